//! Relays in user space that make a path worse: later, slower, lossy, out of
//! order, cut.
//!
//! Every decision is drawn from a generator with a given seed, by the number
//! of the datagram (or block of a stream) in its direction, so that the same
//! traffic is treated alike in every run.
//!
//! ```no_run
//! # async fn example(server: std::net::SocketAddr) -> std::io::Result<()> {
//! use gost_testkit::impair::{Impairment, UdpRelay};
//! use std::time::Duration;
//!
//! let lossy = Impairment { delay: Duration::from_millis(50), loss: 0.05, ..Impairment::default() };
//! let relay = UdpRelay::start(server, lossy).await?;
//! // Clients now talk to relay.address() instead of the server.
//! # Ok(()) }
//! ```

mod lane;
mod tcp;
mod udp;

use std::time::Duration;

pub use self::tcp::{Cut, How, TcpRelay};
pub use self::udp::UdpRelay;

/// How much worse a path is made, in each of its two directions.
///
/// The default changes nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Impairment {
    /// Time that everything needs for the path.
    pub delay: Duration,
    /// Up to this much more, drawn for each datagram or block. It alone
    /// already reorders datagrams; a stream keeps its order.
    pub jitter: Duration,
    /// Probability of a loss. A datagram is gone; a block of a stream, and
    /// all behind it, comes [`Impairment::retransmit`] later.
    pub loss: f64,
    /// Probability that a datagram comes [`Impairment::late_by`] later, so
    /// that those behind it overtake. Streams know no such thing.
    pub reorder: f64,
    /// How much later a reordered datagram comes.
    pub late_by: Duration,
    /// How much later a lost block of a stream comes.
    pub retransmit: Duration,
    /// Bytes per second, if limited.
    pub rate: Option<u64>,
    /// Bytes that wait for the rate before further datagrams are lost.
    pub queue: u64,
    /// Names the sequence of decisions.
    pub seed: u64,
}

impl Default for Impairment {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            loss: 0.0,
            reorder: 0.0,
            late_by: Duration::from_millis(5),
            retransmit: Duration::from_millis(200),
            rate: None,
            queue: 256 * 1024,
            seed: 1,
        }
    }
}

impl Impairment {
    /// A path that is only long: `delay` in each direction.
    pub fn delay(delay: Duration) -> Self {
        Self {
            delay,
            ..Self::default()
        }
    }

    /// A path that only loses, with probability `loss` in each direction.
    pub fn loss(loss: f64) -> Self {
        Self {
            loss,
            ..Self::default()
        }
    }
}
