//! Who takes the sessions that begin at a socket.

use std::sync::Arc;

use gost_core::addr::Addr;

use crate::{settings::Settings, stream::KcpStream};

/// Who takes new sessions.
pub(crate) trait Door: Send + Sync + 'static {
    /// How a new session is to be run, if there may be one.
    fn settings(&self) -> Option<Arc<Settings>>;

    /// Takes the stream of a new session.
    fn enter(&self, stream: KcpStream, peer: Addr);

    /// True when nobody waits for sessions any more.
    fn is_closed(&self) -> bool;

    /// How many sessions there may be at once.
    fn most(&self) -> usize;
}

/// For sockets of clients.
pub(crate) struct NoDoor;

impl Door for NoDoor {
    fn settings(&self) -> Option<Arc<Settings>> {
        None
    }

    fn enter(&self, _: KcpStream, _: Addr) {}

    fn is_closed(&self) -> bool {
        true
    }

    fn most(&self) -> usize {
        0
    }
}
