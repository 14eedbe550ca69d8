//! How a session is to be run.

use std::str::FromStr;

use crate::{fec, packet, segment};

/// The longest datagram that kcp-go takes.
pub const MAX_MTU: usize = 1500;

/// What `mtu` is unless something else is asked for.
pub const DEFAULT_MTU: usize = 1400;

/// How a session is to be run. The defaults are those of kcp-go when nothing is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Retransmit sooner, and more often.
    pub no_delay: bool,
    /// The interval in milliseconds at which kcp-go looks what there is to do. Here it is the most
    /// that an acknowledgement is delayed, and the least by which the retransmission timeout is
    /// above the round trip time. 10 to 5000.
    pub interval: u32,
    /// Retransmit what so many later segments were acknowledged before; 0 for never.
    pub fast_resend: u32,
    /// Send as fast as the windows allow, whatever is lost.
    pub no_congestion_control: bool,
    /// The longest datagram that is sent, in bytes.
    pub mtu: usize,
    /// How many segments may be on their way.
    pub send_window: u32,
    /// How many segments may wait to be read.
    pub receive_window: u32,
    /// Acknowledge each datagram at once.
    pub ack_no_delay: bool,
    /// Error correction for what is sent: numbers of data and parity packets.
    pub shards: Option<(usize, usize)>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            no_delay: false,
            interval: 10,
            fast_resend: 0,
            no_congestion_control: false,
            mtu: DEFAULT_MTU,
            send_window: 32,
            receive_window: 32,
            ack_no_delay: false,
            shards: Some((10, 3)),
        }
    }
}

impl Config {
    /// Sets what a mode stands for.
    #[must_use]
    pub fn with_mode(mut self, mode: Mode) -> Self {
        let (no_delay, interval) = match mode {
            Mode::Normal => (false, 40),
            Mode::Fast => (false, 30),
            Mode::Fast2 => (true, 20),
            Mode::Fast3 => (true, 10),
        };
        self.no_delay = no_delay;
        self.interval = interval;
        self.fast_resend = 2;
        self.no_congestion_control = true;
        self
    }

    /// Error correction with so many shards; none when either number is 0.
    ///
    /// # Errors
    /// [`ConfigError::Shards`].
    pub fn with_shards(mut self, data: usize, parity: usize) -> Result<Self, ConfigError> {
        self.shards = (data > 0 && parity > 0).then_some((data, parity));
        self.validate().map(|()| self)
    }

    /// The bytes of a datagram before the segments.
    pub fn overhead(&self) -> usize {
        packet::HEADER + self.shards.map_or(0, |_| fec::HEADER)
    }

    /// How much data a segment takes.
    pub(crate) fn segment(&self) -> usize {
        self.mtu - self.overhead() - segment::HEADER
    }

    /// Checks the numbers.
    ///
    /// # Errors
    /// Names the first that is out of bounds.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if let Some((data, parity)) = self.shards
            && fec::Code::new(data, parity).is_none()
        {
            return Err(ConfigError::Shards);
        }
        // kcp-go wants 50 bytes for segments.
        if !(self.overhead() + 50..=MAX_MTU).contains(&self.mtu) {
            return Err(ConfigError::Mtu);
        }
        if !(10..=5000).contains(&self.interval) {
            return Err(ConfigError::Interval);
        }
        let windows = 1..=MAX_WINDOW;
        if !windows.contains(&self.send_window) || !windows.contains(&self.receive_window) {
            return Err(ConfigError::Window);
        }
        Ok(())
    }
}

/// The header has 16 bits for a window.
const MAX_WINDOW: u32 = 65535;

/// Presets of [`Config`], by the names that kcptun gave them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// An interval of 40 ms.
    Normal,
    /// 30 ms.
    Fast,
    /// 20 ms, and quick retransmission.
    Fast2,
    /// 10 ms, and quick retransmission.
    Fast3,
}

impl FromStr for Mode {
    type Err = UnknownMode;

    fn from_str(name: &str) -> Result<Self, UnknownMode> {
        Ok(match name {
            "normal" => Self::Normal,
            "fast" => Self::Fast,
            "fast2" => Self::Fast2,
            "fast3" => Self::Fast3,
            _ => return Err(UnknownMode),
        })
    }
}

/// A name that is no mode's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not one of normal, fast, fast2, fast3")]
pub struct UnknownMode;

/// What is wrong with a [`Config`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Shards.
    #[error("there can be at most 256 data and parity shards together")]
    Shards,
    /// The length of datagrams.
    #[error("the mtu must be at most 1500, and leave 50 bytes beside the headers")]
    Mtu,
    /// The interval.
    #[error("the interval must be from 10 to 5000 milliseconds")]
    Interval,
    /// Either window.
    #[error("windows must be from 1 to 65535 segments")]
    Window,
}
