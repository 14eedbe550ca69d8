//! A session in the table of its socket.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use gost_kcp::{Opening, Stats};
use tokio::time::Instant;

use crate::{link::Link, settings::Settings, statistics::STATISTICS};

/// Datagrams that go to an address for each that came from it, as long as nobody there said that
/// any of them has arrived: whoever can write another's address on a datagram should not get much
/// out of it.
const UNPROVEN: u32 = 6;

/// A session with all that only the task of its socket has to know.
pub(crate) struct Entry {
    pub(crate) link: Arc<Link>,
    pub(crate) settings: Arc<Settings>,
    /// The time that counts of those in `times`.
    pub(crate) armed: Option<Instant>,
    /// It is in `ready`.
    pub(crate) listed: bool,
    /// Nothing was sent since.
    pub(crate) idle_since: Option<Instant>,
    /// How many datagrams may be sent before the peer has proven that it is there; `None` when it
    /// has.
    pub(crate) unproven: Option<u32>,
    /// What of its counts is in the statistics.
    pub(crate) told: Stats,
}

impl Entry {
    /// A session that has just begun. Whether its peer is where its datagrams say has yet to be
    /// proven, unless it was dialed.
    pub(crate) fn new(link: Arc<Link>, settings: Arc<Settings>, dialed: bool) -> Self {
        STATISTICS.sessions.fetch_add(1, Relaxed);
        Self {
            link,
            settings,
            armed: None,
            listed: false,
            idle_since: None,
            unproven: (!dialed).then_some(0),
            told: Stats::default(),
        }
    }

    /// True when nothing may be sent, whatever is due. Who waits for more gives up in time.
    pub(crate) fn is_muted(&self) -> bool {
        self.unproven == Some(0)
    }

    /// Adds what was counted to the statistics.
    pub(crate) fn tell(&mut self) {
        let counted = self.link.lock().session.stats();
        STATISTICS.add(&counted, &self.told);
        self.told = counted;
    }

    /// Hands over a datagram; false when it is of another conversation.
    pub(crate) fn take(&mut self, now: Instant, body: &[u8]) -> bool {
        let mut state = self.link.lock();
        let conversation = Opening::conversation(body);
        if conversation.is_some_and(|c| c != state.session.conversation()) {
            return false;
        }
        state.session.receive(now.into_std(), body);
        if let Some(allowed) = self.unproven {
            let allowed = allowed.saturating_add(UNPROVEN);
            self.unproven = (!state.session.is_heard()).then_some(allowed);
        }
        state.wake();
        true
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        STATISTICS.sessions.fetch_sub(1, Relaxed);
    }
}
