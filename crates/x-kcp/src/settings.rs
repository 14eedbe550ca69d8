//! What the keys and the file come to.

use std::{fmt, sync::Arc, time::Duration};

use gost_core::{
    addr::Network,
    error::{Error, Phase, Result, Why},
};
use gost_kcp::{Cipher, CipherKind, Config, Envelope, Key, MAX_MTU, Mode};
use gost_mux::{MuxOptions, MuxSettings, Version};
use serde::Deserialize;

use crate::options::KcpOptions;

/// What is read at most of a file.
const LONGEST_FILE: u64 = 1 << 20;

/// How a channel is to be run.
pub(crate) struct Settings {
    pub(crate) session: Config,
    pub(crate) envelope: Envelope,
    pub(crate) mux: MuxSettings,
    pub(crate) compress: bool,
    /// The upper six bits of the traffic class of datagrams.
    pub(crate) dscp: u32,
    /// What datagrams look like.
    pub(crate) network: Network,
}

/// The settings of a file or an object. Names are those of kcptun; what else is there is for
/// programs that are not this one.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Fields {
    key: Option<String>,
    crypt: Option<String>,
    mode: Option<String>,
    mtu: Option<i64>,
    sndwnd: Option<i64>,
    rcvwnd: Option<i64>,
    datashard: Option<usize>,
    parityshard: Option<usize>,
    dscp: Option<u32>,
    nocomp: Option<bool>,
    acknodelay: Option<bool>,
    nodelay: Option<i64>,
    interval: Option<i64>,
    resend: Option<i64>,
    nc: Option<i64>,
    sockbuf: Option<i64>,
    smuxver: Option<i64>,
    smuxbuf: Option<i64>,
    streambuf: Option<i64>,
    keepalive: Option<i64>,
    tcp: Option<bool>,
}

impl Fields {
    /// Reads a JSON object. As in Go the case of names does not matter.
    fn read(json: serde_json::Value, place: &str) -> Result<Self> {
        let json = match json {
            serde_json::Value::Object(map) => map
                .into_iter()
                .map(|(name, value)| (name.to_ascii_lowercase(), value))
                .collect(),
            other => other,
        };
        serde_json::from_value(json).map_err(|e| bad(place, &e))
    }

    /// The file and the object; where both say something, the object goes before.
    fn of(options: &KcpOptions) -> Result<Self> {
        let mut fields = Self::default();
        if !options.file.is_empty() {
            let place = format!("kcp.configFile {}", options.file);
            let text = read_file(&options.file).map_err(|e| bad(&place, &e))?;
            let json = serde_json::from_slice(&text).map_err(|e| bad(&place, &e))?;
            fields = Self::read(json, &place)?;
        }
        if let Some(object) = options.object.0.clone() {
            let object = Self::read(object, "kcp.config")?;
            fields = object.or(fields);
        }
        Ok(fields)
    }

    fn or(self, other: Self) -> Self {
        macro_rules! or {
            ($($field:ident)*) => { Self { $($field: self.$field.or(other.$field),)* } };
        }
        or!(key crypt mode mtu sndwnd rcvwnd datashard parityshard dscp nocomp acknodelay nodelay
            interval resend nc sockbuf smuxver smuxbuf streambuf keepalive tcp)
    }
}

fn read_file(path: &str) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;

    let mut text = Vec::new();
    std::fs::File::open(path)?
        .take(LONGEST_FILE)
        .read_to_end(&mut text)?;
    Ok(text)
}

impl Settings {
    /// Makes sense of the options of a component; `place` names it.
    ///
    /// # Errors
    /// [`Why::BadInput`], naming the key.
    pub(crate) fn new(options: &KcpOptions, place: &str) -> Result<Arc<Self>> {
        let file = Fields::of(options)?;
        let fields = Fields {
            key: options.key.0.clone(),
            crypt: options.crypt.clone(),
            mode: options.mode.clone(),
            mtu: options.mtu,
            sndwnd: options.send_window,
            rcvwnd: options.receive_window,
            nocomp: options.no_compression,
            interval: options.interval,
            smuxver: options.smux_version,
            smuxbuf: options.smux_buffer,
            streambuf: options.stream_buffer,
            keepalive: options.keepalive,
            tcp: options.tcp,
            ..Fields::default()
        }
        .or(file);
        let key = fields.key.as_deref().unwrap_or("");
        let crypt = cipher(fields.crypt.as_deref().unwrap_or(""), place);
        if key.is_empty() && crypt != CipherKind::None {
            tracing::warn!(
                "{place}: kcp.key is not set, so everybody knows the key of this channel"
            );
        }
        Ok(Arc::new(Self {
            session: session(&fields, place)?,
            envelope: Envelope::new(Arc::new(Cipher::new(crypt, &Key::derive(key)))),
            mux: mux(&fields)?,
            compress: !fields.nocomp.unwrap_or(false),
            dscp: fields.dscp.unwrap_or(0),
            network: if fields.tcp == Some(true) {
                Network::FakeTcp
            } else {
                Network::Udp
            },
        }))
    }
}

/// The original takes AES for a name that it does not know, and so must this.
fn cipher(name: &str, place: &str) -> CipherKind {
    name.parse().unwrap_or_else(|error| {
        tracing::warn!("{place}: kcp.crypt: {name:?} is {error}; aes is used");
        CipherKind::default()
    })
}

fn session(fields: &Fields, place: &str) -> Result<Config> {
    let positive = |value: Option<i64>, default: u32| match value {
        Some(1..) => u32::try_from(value.unwrap_or(0)).unwrap_or(u32::MAX),
        _ => default,
    };
    let default = Config::default();
    let interval = fields.interval.unwrap_or(0).clamp(10, 5000);
    let mut config = Config {
        no_delay: fields.nodelay.unwrap_or(0) != 0,
        interval: u32::try_from(interval).unwrap_or(default.interval),
        fast_resend: positive(fields.resend, 0),
        no_congestion_control: fields.nc.unwrap_or(0) != 0,
        send_window: positive(fields.sndwnd, default.send_window).min(65535),
        receive_window: positive(fields.rcvwnd, default.receive_window).min(65535),
        ack_no_delay: fields.acknodelay.unwrap_or(false),
        ..default
    };
    // Any other name stands for what is set by hand.
    if let Ok(mode) = fields.mode.as_deref().unwrap_or("").parse::<Mode>() {
        config = config.with_mode(mode);
    }
    let (data, parity) = (
        fields.datashard.unwrap_or(10),
        fields.parityshard.unwrap_or(3),
    );
    let mut config = config
        .with_shards(data, parity)
        .map_err(|e| bad("datashard and parityshard", &e))?;
    if let Some(mtu @ 1..) = fields.mtu {
        // As kcp-go does with one that it can't use.
        let usable = usize::try_from(mtu)
            .ok()
            .filter(|mtu| (config.overhead() + 50..=MAX_MTU).contains(mtu));
        if let Some(mtu) = usable {
            config.mtu = mtu;
        } else {
            tracing::warn!("{place}: kcp.mtu: {mtu} is not usable, {} is", config.mtu);
        }
    }
    config.validate().map_err(|e| bad("kcp", &e))?;
    Ok(config)
}

fn mux(fields: &Fields) -> Result<MuxSettings> {
    let given = |value: Option<i64>| value.filter(|n| *n > 0);
    let socket = given(fields.sockbuf).unwrap_or(4 << 20);
    let receive = given(fields.smuxbuf).unwrap_or(socket);
    let stream = given(fields.streambuf).unwrap_or(socket / 2);
    let keepalive = given(fields.keepalive).and_then(|n| u64::try_from(n).ok());
    let keepalive = Duration::from_secs(keepalive.unwrap_or(10));
    if let Some(version) = fields.smuxver
        && !(0..=2).contains(&version)
    {
        return Err(bad("kcp.smuxver", &format!("{version} is neither 1 nor 2")));
    }
    let options = MuxOptions {
        version: fields.smuxver.unwrap_or(0),
        keepalive_interval: keepalive,
        keepalive_timeout: keepalive.max(Duration::from_secs(30)),
        max_receive_buffer: receive,
        max_stream_buffer: stream.min(receive),
        ..MuxOptions::default()
    };
    options.settings(Version::V1)
}

fn bad(what: &str, error: &impl fmt::Display) -> Error {
    Error::new(Why::BadInput, format!("{what}: {error}")).phase(Phase::Bind)
}

#[cfg(test)]
mod tests {
    use gost_core::{options::Options as _, values::Values};

    use super::*;

    fn settings(keys: &[(&str, &str)]) -> Result<Arc<Settings>> {
        let values = keys
            .iter()
            .fold(Values::new(), |values, (k, v)| values.with(k, *v));
        let mut errors = Vec::new();
        let options = KcpOptions::read(&values, &mut errors);
        assert_eq!(errors, []);
        Settings::new(&options, "test")
    }

    fn opens(a: &Settings, b: &Settings) -> bool {
        let mut packet = [1; 100];
        let mut nonces = gost_kcp::Nonces::new([0; 32]);
        a.envelope.close(&mut nonces, &mut [&mut packet]);
        b.envelope.open(&mut packet).is_some()
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn nothing_set_is_what_the_original_is_without_anything_set() {
        let nothing = settings(&[]).unwrap();
        assert_eq!(nothing.session, Config::default());
        assert!(nothing.compress);
        let same = settings(&[("kcp.key", ""), ("kcp.crypt", "aes"), ("kcp.mtu", "0")]).unwrap();
        assert!(opens(&nothing, &same));
        assert_eq!(same.session, nothing.session);
    }

    #[test]
    fn keys_arrive() {
        let some = settings(&[
            ("kcp.key", "k"),
            ("kcp.crypt", "tea"),
            ("kcp.mode", "fast3"),
            ("kcp.mtu", "1000"),
            ("kcp.sndwnd", "256"),
            ("kcp.rcvwnd", "99999"),
            ("kcp.nocomp", "true"),
        ])
        .unwrap();
        let expected = Config {
            no_delay: true,
            interval: 10,
            fast_resend: 2,
            no_congestion_control: true,
            mtu: 1000,
            send_window: 256,
            receive_window: 65535,
            ..Config::default()
        };
        assert_eq!(some.session, expected);
        assert!(!some.compress && some.network == Network::Udp);
        assert!(!opens(&some, &settings(&[("kcp.key", "k")]).unwrap()));
    }

    #[test]
    fn a_file_is_honoured_and_keys_go_before_it() {
        let file = file(
            r#"{"key": "from the file", "Crypt": "none", "mtu": 900, "datashard": 0, "nodelay": 1,
                "interval": 20, "resend": 3, "nc": 1, "nocomp": true, "quiet": true,
                "tcp": true}"#,
        );
        let path = file.path().to_str().unwrap();
        let read = settings(&[("c", path)]).unwrap();
        let expected = Config {
            no_delay: true,
            interval: 20,
            fast_resend: 3,
            no_congestion_control: true,
            mtu: 900,
            shards: None,
            ..Config::default()
        };
        assert_eq!(read.session, expected);
        assert!(!read.compress && read.network == Network::FakeTcp);
        assert!(opens(&read, &settings(&[("kcp.crypt", "none")]).unwrap()));
        let keys = [
            ("c", path),
            ("kcp.crypt", "aes"),
            ("kcp.nocomp", "false"),
            ("kcp.mode", "normal"),
        ];
        let both = settings(&keys).unwrap();
        assert!(both.compress && both.session.interval == 40);
        assert!(opens(
            &both,
            &settings(&[("kcp.key", "from the file")]).unwrap()
        ));
    }

    #[test]
    fn errors_name_what_is_wrong() {
        let broken = file("{");
        let path = broken.path().to_str().unwrap();
        for (keys, text) in [
            (("c", path), path),
            (("c", "/does/not/exist"), "/does/not/exist"),
            (("kcp.smuxver", "3"), "kcp.smuxver: 3 is neither 1 nor 2"),
        ] {
            let error = settings(&[keys]).err().unwrap().to_string();
            assert!(error.contains(text), "{error}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_replaced_as_in_the_original() {
        for mtu in ["20", "1501"] {
            assert_eq!(settings(&[("kcp.mtu", mtu)]).unwrap().session.mtu, 1400);
        }
        let unknown = settings(&[("kcp.crypt", "rot13")]).unwrap();
        assert!(opens(&unknown, &settings(&[]).unwrap()));
        assert_eq!(
            settings(&[("kcp.mode", "turbo")]).unwrap().session,
            Config::default()
        );
    }
}
