//! What a session may be told, by configuration and by the channel that it belongs to.

use std::time::Duration;

use gost_core::{
    error::{Error, Result, Why},
    options,
};
use gost_smux::{Config, ConfigError, KeepAlive, Version};

use crate::yamux::YamuxSettings;

options! {
    /// Keys of a multiplexed session. Nothing is negotiated: both ends must be told the same type
    /// and version. Source of names and defaults: `internal/util/mux` of the original.
    pub struct MuxOptions {
        /// The protocol, `smux` or `yamux`.
        kind: String = "smux".into(), "mux.type" | "muxType";
        /// The version of smux, 1 or 2; 0 for the channel's own: 2 for mtcp, otherwise 1.
        version: i64 = 0, "mux.version" | "muxVersion";
        /// Send no signs of life, and do not miss those of the peer.
        keepalive_disabled: bool = false, "mux.keepaliveDisabled" | "muxKeepaliveDisabled";
        /// Time between two signs of life; 0 for the default, 10s for smux and 30s for yamux.
        keepalive_interval: Duration = Duration::ZERO, "mux.keepaliveInterval" | "muxKeepaliveInterval";
        /// Silence of the peer that ends a session (smux); not shorter than the interval.
        keepalive_timeout: Duration = Duration::from_secs(30), "mux.keepaliveTimeout" | "muxKeepaliveTimeout";
        /// The largest frame that is sent, in bytes, up to 65535 (smux).
        max_frame_size: i64 = 32768, "mux.maxFrameSize" | "muxMaxFrameSize";
        /// How many bytes of all streams may wait to be read before the session is read no
        /// further; for yamux beside those by which windows have grown.
        max_receive_buffer: i64 = 4_194_304, "mux.maxReceiveBuffer" | "muxMaxReceiveBuffer";
        /// How many bytes of one stream may wait to be read (version 2 of smux), to begin with.
        max_stream_buffer: i64 = 65536, "mux.maxStreamBuffer" | "muxMaxStreamBuffer";
        /// How many bytes more the streams of a session may have together, where the path is long
        /// and fast (version 2 of smux, yamux); less than 0 for none.
        max_window_growth: i64 = 16_777_216, "mux.maxWindowGrowth";
        /// How many bytes of one stream may wait to be read, at least 262144 (yamux).
        max_stream_window: i64 = 262_144, "mux.maxStreamWindow" | "muxMaxStreamWindow";
    }
}

/// How many streams of one session may be open that the peer opened. Further ones are closed at
/// once: nothing else bounds what a peer can make us hold.
const MAX_ACCEPTED: usize = 1 << 16;

/// Streams that may wait to be accepted. As many as a session of ours opens at most: they may all
/// come in one read, before anybody had a chance to accept one.
const BACKLOG: usize = 1024;

/// A connection that takes nothing for so long is given up. A peer may have to stop reading because
/// one of its streams is not read, so this must not be short.
pub(crate) const WRITE_STALL: Duration = Duration::from_mins(10);

/// A session whose readers leave more than half of the buffer unread for so long, once it was
/// full, is stalled.
pub(crate) const RECEIVE_STALL: Duration = Duration::from_millis(250);

/// Time between two signs of life of yamux.
const YAMUX_KEEPALIVE: Duration = Duration::from_secs(30);

/// How a session is to be run: options that were found valid, completed by the channel.
#[derive(Clone, Debug)]
pub struct MuxSettings {
    pub(crate) smux: Config,
    /// Instead of smux.
    pub(crate) yamux: Option<YamuxSettings>,
    pub(crate) idle: Option<Duration>,
    pub(crate) max_accepted: usize,
}

impl MuxOptions {
    /// Checks the options. `version` is that of the channel, for who names none.
    ///
    /// # Errors
    /// [`Why::BadInput`], naming the key.
    pub fn settings(&self, version: Version) -> Result<MuxSettings> {
        match self.kind.as_str() {
            "" | "smux" | "yamux" => {}
            other => {
                return Err(bad(
                    "mux.type",
                    &format!("{other:?} is neither smux nor yamux"),
                ));
            }
        }
        let default = Config::default();
        let keep_alive = (!self.keepalive_disabled).then(|| {
            let default = KeepAlive::default();
            KeepAlive {
                interval: positive(self.keepalive_interval).unwrap_or(default.interval),
                timeout: positive(self.keepalive_timeout).unwrap_or(default.timeout),
            }
        });
        let smux = Config {
            version: match self.version {
                ..=0 => version,
                number => Version::try_from(number).map_err(|e| refused(&e))?,
            },
            keep_alive,
            max_frame_size: size(self.max_frame_size, default.max_frame_size),
            max_receive_buffer: size(self.max_receive_buffer, default.max_receive_buffer),
            max_stream_buffer: size(self.max_stream_buffer, default.max_stream_buffer),
            max_window_growth: match usize::try_from(self.max_window_growth) {
                Ok(0) => default.max_window_growth,
                growth => growth.unwrap_or(0),
            },
            accept_backlog: BACKLOG,
            ..default
        };
        smux.validate().map_err(|e| refused(&e))?;
        Ok(MuxSettings {
            yamux: match self.kind.as_str() {
                "yamux" => Some(self.yamux(&smux)?),
                _ => None,
            },
            smux,
            idle: None,
            max_accepted: MAX_ACCEPTED,
        })
    }
}

impl MuxOptions {
    fn yamux(&self, smux: &Config) -> Result<YamuxSettings> {
        let least = i64::from(yamux::DEFAULT_CREDIT);
        let window = match self.max_stream_window {
            ..=0 => least,
            window => window,
        };
        if !(least..=1 << 30).contains(&window) {
            let range = format!("must be {least} to {}", 1 << 30);
            return Err(bad("mux.maxStreamWindow", &range));
        }
        // A window grows by itself; what was asked for one is room for all.
        let asked = usize::try_from(window - least).unwrap_or_default();
        let interval = positive(self.keepalive_interval).unwrap_or(YAMUX_KEEPALIVE);
        Ok(YamuxSettings {
            keepalive: (!self.keepalive_disabled).then_some(interval),
            growth: smux.max_window_growth.max(asked),
            unread: smux.max_receive_buffer + smux.max_window_growth.max(asked),
            backlog: smux.accept_backlog,
        })
    }
}

impl MuxSettings {
    /// Lets so many streams wait to be accepted; further ones are closed. 0 for 1024.
    #[must_use]
    pub fn with_backlog(mut self, streams: usize) -> Self {
        let streams = if streams == 0 { BACKLOG } else { streams };
        self.smux.accept_backlog = streams;
        if let Some(yamux) = &mut self.yamux {
            yamux.backlog = streams;
        }
        self
    }

    /// Ends the session when it had no stream for so long; `None` for never.
    #[must_use]
    pub const fn with_idle_timeout(mut self, idle: Option<Duration>) -> Self {
        self.idle = idle;
        self
    }

    /// Allows so many streams at once that the peer opened; further ones are closed at once.
    /// 65536 by default.
    #[must_use]
    pub const fn with_max_accepted(mut self, streams: usize) -> Self {
        self.max_accepted = streams;
        self
    }
}

/// Zero and what was negative stand for the default, as in the original.
fn positive(wait: Duration) -> Option<Duration> {
    (!wait.is_zero()).then_some(wait)
}

fn size(value: i64, default: usize) -> usize {
    match usize::try_from(value) {
        Ok(0) | Err(_) => default,
        Ok(value) => value,
    }
}

fn bad(key: &str, what: &str) -> Error {
    Error::new(Why::BadInput, format!("{key}: {what}"))
}

fn refused(error: &ConfigError) -> Error {
    let key = match error {
        ConfigError::Version(_) => "mux.version",
        ConfigError::KeepAliveInterval => "mux.keepaliveInterval",
        ConfigError::KeepAliveTimeout => "mux.keepaliveTimeout",
        ConfigError::MaxFrameSize => "mux.maxFrameSize",
        ConfigError::MaxReceiveBuffer => "mux.maxReceiveBuffer",
        ConfigError::MaxStreamBuffer | ConfigError::StreamAboveReceiveBuffer => {
            "mux.maxStreamBuffer"
        }
        ConfigError::MaxWindowGrowth => "mux.maxWindowGrowth",
        ConfigError::SendBuffer => "mux",
    };
    bad(key, &error.to_string())
}

#[cfg(test)]
mod tests {
    use gost_core::{options::Options, values::Values};

    use super::*;

    fn settings(key: &str, value: &str) -> Result<MuxSettings> {
        let mut errors = Vec::new();
        let options = MuxOptions::read(&Values::new().with(key, value), &mut errors);
        assert_eq!(errors, []);
        options.settings(Version::V2)
    }

    #[test]
    fn the_channel_gives_the_version_that_the_user_does_not() {
        let version = |value| settings("mux.version", value).unwrap().smux.version;
        assert_eq!(version("0"), Version::V2);
        assert_eq!(version("-1"), Version::V2);
        assert_eq!(version("1"), Version::V1);
        assert_eq!(version("2"), Version::V2);
    }

    #[test]
    fn zero_and_less_stand_for_the_default() {
        let usual = Config {
            version: Version::V2,
            accept_backlog: 1024,
            ..Config::default()
        };
        for (key, value) in [
            ("mux.keepaliveInterval", "0"),
            ("mux.keepaliveInterval", "-3s"),
            ("mux.keepaliveTimeout", "0"),
            ("mux.maxFrameSize", "-1"),
            ("mux.maxReceiveBuffer", "0"),
            ("mux.maxStreamBuffer", "0"),
            ("mux.type", ""),
        ] {
            assert_eq!(settings(key, value).unwrap().smux, usual, "{key}={value}");
        }
    }

    #[test]
    fn values_arrive() {
        let smux = |key, value| settings(key, value).unwrap().smux;
        assert_eq!(smux("MUX.keepAliveDisabled", "true").keep_alive, None);
        assert_eq!(smux("mux.maxFrameSize", "65535").max_frame_size, 65535);
        assert_eq!(
            smux("mux.maxStreamBuffer", "1048576").max_stream_buffer,
            1 << 20
        );
        let keep_alive = smux("mux.keepaliveInterval", "3").keep_alive.unwrap();
        assert_eq!(keep_alive.interval, Duration::from_secs(3));
        assert_eq!(keep_alive.timeout, Duration::from_secs(30));
    }

    #[test]
    fn the_flat_names_of_the_documentation_of_the_original_are_known_too() {
        let smux = |key, value| settings(key, value).unwrap().smux;
        assert_eq!(smux("muxKeepAliveDisabled", "true").keep_alive, None);
        assert_eq!(smux("muxMaxFrameSize", "1000").max_frame_size, 1000);
        assert_eq!(
            smux("muxMaxReceiveBuffer", "65536").max_receive_buffer,
            65536
        );
        assert_eq!(smux("muxMaxStreamBuffer", "1000").max_stream_buffer, 1000);
        assert_eq!(smux("muxVersion", "1").version, Version::V1);
        let keep_alive = smux("muxKeepAliveTimeout", "40s").keep_alive.unwrap();
        assert_eq!(keep_alive.timeout, Duration::from_secs(40));
    }

    #[test]
    fn windows_grow_unless_told_not_to() {
        let growth = |value| {
            settings("mux.maxWindowGrowth", value)
                .unwrap()
                .smux
                .max_window_growth
        };
        assert_eq!(growth("0"), 16 << 20);
        assert_eq!(growth("1048576"), 1 << 20);
        assert_eq!(growth("-1"), 0);
    }

    #[test]
    fn errors_name_the_key() {
        for (key, value) in [
            ("mux.type", "mplex"),
            ("mux.version", "3"),
            ("mux.maxFrameSize", "65536"),
            ("mux.maxReceiveBuffer", "2147483648"),
            ("mux.maxStreamBuffer", "4194305"),
            ("mux.maxWindowGrowth", "2147483648"),
        ] {
            let error = settings(key, value).unwrap_err();
            assert_eq!(error.why(), Why::BadInput);
            let text = error.to_string();
            assert!(text.starts_with(&format!("{key}: ")), "{text}");
        }
        let error = settings("mux.keepaliveInterval", "31s").unwrap_err();
        assert!(error.to_string().starts_with("mux.keepaliveTimeout: "));
    }
}
