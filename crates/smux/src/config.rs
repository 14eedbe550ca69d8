//! What a session may be told, and the rules for it.

use std::time::Duration;

use thiserror::Error;

/// The protocol version, the first byte of every frame. Both ends must be set
/// to the same one: smux negotiates nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Version {
    /// Only the session as a whole has flow control: one reader that stalls
    /// stops every stream once the receive buffer is full.
    #[default]
    V1,
    /// Each stream has a window of its own, announced by UPD frames.
    V2,
}

/// When to send NOP frames and when to give the peer up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepAlive {
    /// Time between two NOP frames; 10 s by default.
    pub interval: Duration,
    /// The session closes when nothing arrived during a whole period of this
    /// length; 30 s by default. Must not be shorter than `interval`.
    pub timeout: Duration,
}

/// The settings of a session.
///
/// The protocol's settings have the defaults and the rules of the Go library
/// `xtaci/smux`, which is the peer to be expected. Sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The protocol version; 1 by default.
    pub version: Version,
    /// Keep-alive, or `None` to send no NOP and never to time out.
    pub keep_alive: Option<KeepAlive>,
    /// Largest payload of a frame that is sent, 1 to 65535; 32768 by default.
    /// Frames of any size are received.
    pub max_frame_size: usize,
    /// How much may be received but not yet read over all streams, before no
    /// more is taken from the connection; 4 MiB by default.
    pub max_receive_buffer: usize,
    /// The window that is announced for each stream in version 2; 64 KiB by
    /// default. Must not exceed `max_receive_buffer`.
    pub max_stream_buffer: usize,
    /// How much larger all windows of a session together may become than
    /// `max_stream_buffer` for each stream, in version 2: windows grow with
    /// the product of bandwidth and delay that is measured. 16 MiB by
    /// default, 0 for never. Data within it does not count against
    /// `max_receive_buffer`. Not part of the protocol.
    pub max_window_growth: usize,
    /// How many streams opened by the peer may wait for [`accept`]; further
    /// ones are answered with FIN. 1024 by default. Not part of the protocol.
    ///
    /// [`accept`]: crate::Session::accept
    pub accept_backlog: usize,
    /// How much data may be queued for sending before writers have to wait;
    /// 128 KiB by default. As much again may be held by [`Outgoing`] while it
    /// is being written. Not part of the protocol.
    ///
    /// [`Outgoing`]: crate::Outgoing
    pub send_buffer: usize,
    /// Pieces of payload shorter than this are copied out of the buffer that
    /// was received into; longer ones share it and so keep it allocated until
    /// they are read. 8 KiB by default. The memory that unread data can hold
    /// is bounded by `max_receive_buffer` times the size of that buffer
    /// divided by this. Not part of the protocol.
    pub copy_below: usize,
}

/// Why a [`Config`] is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// The version is neither 1 nor 2.
    #[error("unsupported protocol version {0}, must be 1 or 2")]
    Version(i64),
    /// The keep-alive interval is zero.
    #[error("keep-alive interval must be positive")]
    KeepAliveInterval,
    /// The keep-alive timeout is shorter than its interval.
    #[error("keep-alive timeout must not be shorter than the keep-alive interval")]
    KeepAliveTimeout,
    /// The frame size is not 1 to 65535.
    #[error("max frame size must be 1 to 65535")]
    MaxFrameSize,
    /// The receive buffer is not 1 to 2147483647.
    #[error("max receive buffer must be 1 to 2147483647")]
    MaxReceiveBuffer,
    /// The stream buffer is not 1 to 2147483647.
    #[error("max stream buffer must be 1 to 2147483647")]
    MaxStreamBuffer,
    /// The stream buffer is larger than the receive buffer.
    #[error("max stream buffer must not be larger than max receive buffer")]
    StreamAboveReceiveBuffer,
    /// The growth of windows is not 0 to 1073741823.
    #[error("max window growth must be at most 1073741823")]
    MaxWindowGrowth,
    /// The send buffer is zero, so that nothing could ever be sent.
    #[error("send buffer must be positive")]
    SendBuffer,
}

impl Version {
    /// The byte at the start of every frame.
    pub const fn number(self) -> u8 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }
}

impl TryFrom<i64> for Version {
    type Error = ConfigError;

    fn try_from(number: i64) -> Result<Self, ConfigError> {
        match number {
            1 => Ok(Self::V1),
            2 => Ok(Self::V2),
            other => Err(ConfigError::Version(other)),
        }
    }
}

impl Default for KeepAlive {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
        }
    }
}

impl Config {
    /// Checks the rules that are written at the fields.
    pub fn validate(&self) -> Result<(), ConfigError> {
        const LARGEST_BUFFER: usize = i32::MAX as usize;
        if let Some(keep_alive) = self.keep_alive {
            if keep_alive.interval.is_zero() {
                return Err(ConfigError::KeepAliveInterval);
            }
            if keep_alive.timeout < keep_alive.interval {
                return Err(ConfigError::KeepAliveTimeout);
            }
        }
        if !(1..=usize::from(u16::MAX)).contains(&self.max_frame_size) {
            return Err(ConfigError::MaxFrameSize);
        }
        if !(1..=LARGEST_BUFFER).contains(&self.max_receive_buffer) {
            return Err(ConfigError::MaxReceiveBuffer);
        }
        if !(1..=LARGEST_BUFFER).contains(&self.max_stream_buffer) {
            return Err(ConfigError::MaxStreamBuffer);
        }
        if self.max_stream_buffer > self.max_receive_buffer {
            return Err(ConfigError::StreamAboveReceiveBuffer);
        }
        if self.max_window_growth > LARGEST_BUFFER / 2 {
            return Err(ConfigError::MaxWindowGrowth);
        }
        if self.send_buffer == 0 {
            return Err(ConfigError::SendBuffer);
        }
        Ok(())
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            version: Version::V1,
            keep_alive: Some(KeepAlive::default()),
            max_frame_size: 32768,
            max_receive_buffer: 4 << 20,
            max_stream_buffer: 64 << 10,
            max_window_growth: 16 << 20,
            accept_backlog: 1024,
            send_buffer: 128 << 10,
            copy_below: 8 << 10,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut Config)) -> Result<(), ConfigError> {
        let mut config = Config::default();
        change(&mut config);
        config.validate()
    }

    fn keep_alive(interval: u64, timeout: u64) -> KeepAlive {
        KeepAlive {
            interval: Duration::from_secs(interval),
            timeout: Duration::from_secs(timeout),
        }
    }

    #[test]
    fn the_rules_of_the_library() {
        assert_eq!(with(|_| ()), Ok(()));
        assert_eq!(
            with(|c| c.keep_alive = Some(keep_alive(0, 30))),
            Err(ConfigError::KeepAliveInterval)
        );
        assert_eq!(
            with(|c| c.keep_alive = Some(keep_alive(31, 30))),
            Err(ConfigError::KeepAliveTimeout)
        );
        assert_eq!(with(|c| c.keep_alive = Some(keep_alive(30, 30))), Ok(()));
        assert_eq!(with(|c| c.keep_alive = None), Ok(()));
        for size in [0, 65536] {
            assert_eq!(
                with(|c| c.max_frame_size = size),
                Err(ConfigError::MaxFrameSize)
            );
        }
        assert_eq!(with(|c| c.max_frame_size = 65535), Ok(()));
        for size in [0, 1 << 31] {
            assert_eq!(
                with(|c| c.max_receive_buffer = size),
                Err(ConfigError::MaxReceiveBuffer)
            );
            assert_eq!(
                with(|c| c.max_stream_buffer = size),
                Err(ConfigError::MaxStreamBuffer)
            );
        }
        assert_eq!(
            with(|c| c.max_receive_buffer = 65535),
            Err(ConfigError::StreamAboveReceiveBuffer)
        );
        assert_eq!(with(|c| c.max_receive_buffer = 65536), Ok(()));
        assert_eq!(
            with(|c| c.max_window_growth = 1 << 30),
            Err(ConfigError::MaxWindowGrowth)
        );
        assert_eq!(with(|c| c.max_window_growth = 0), Ok(()));
        assert_eq!(with(|c| c.send_buffer = 0), Err(ConfigError::SendBuffer));
    }

    #[test]
    fn versions_are_one_and_two() {
        assert_eq!(Version::try_from(1), Ok(Version::V1));
        assert_eq!(Version::try_from(2), Ok(Version::V2));
        for other in [-1, 0, 3, i64::MAX] {
            assert_eq!(Version::try_from(other), Err(ConfigError::Version(other)));
        }
    }
}
