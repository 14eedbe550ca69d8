//! Sessions of yamux: the connection of the `yamux` crate, and a task that drives it.
//!
//! The crate tells the peer of a stream, and that a stream was accepted, only with the first data.
//! The original waits 75 s for that and then ends the session, so both are told at once here: with
//! a frame of no data.

mod driver;
mod io;
mod state;
mod stream;
mod unread;

pub(crate) use state::Handle;

use std::time::Duration;

/// How a session of yamux is run.
#[derive(Clone, Debug)]
pub(crate) struct YamuxSettings {
    /// Time between two signs of life; `None` for none.
    pub(crate) keepalive: Option<Duration>,
    /// How much all windows together may grow beyond 256 KiB for each stream, in bytes.
    pub(crate) growth: usize,
    /// How many bytes of all streams may wait to be read before the session is read no further.
    pub(crate) unread: usize,
    /// Streams that may wait to be accepted.
    pub(crate) backlog: usize,
}

/// Streams of one session at once, of both sides.
const MAX_STREAMS: usize = 4096;

impl YamuxSettings {
    fn config(&self) -> yamux::Config {
        // Streams that are gone are counted until the connection was told; at its own bound it
        // ends with all streams.
        let streams = 2 * MAX_STREAMS;
        let windows = streams * yamux::DEFAULT_CREDIT as usize;
        let mut config = yamux::Config::default();
        // In this order: each setting is checked against the other.
        config.set_max_connection_receive_window(None);
        config.set_max_num_streams(streams);
        config.set_max_connection_receive_window(Some(windows.saturating_add(self.growth)));
        config
    }
}
