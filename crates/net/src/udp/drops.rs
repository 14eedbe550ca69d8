//! Counting what was lost, and saying so.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::time::{Duration, Instant};

/// Two lines about the same loss are at least this far apart.
const PAUSE: Duration = Duration::from_secs(5);

/// A count of dropped datagrams. It is said in the log, but not for each of them.
#[derive(Debug)]
pub struct Drops {
    /// Where they are dropped, for the log.
    place: Box<str>,
    total: AtomicU64,
    said: AtomicU64,
    began: Instant,
    /// Milliseconds after `began` before which nothing is said.
    quiet_until: AtomicU64,
}

impl Drops {
    /// A count for a place, such as `udp 127.0.0.1:53`.
    pub fn new(place: impl Into<Box<str>>) -> Self {
        Self {
            place: place.into(),
            total: AtomicU64::new(0),
            said: AtomicU64::new(0),
            began: Instant::now(),
            quiet_until: AtomicU64::new(0),
        }
    }

    /// How many datagrams were dropped.
    pub fn total(&self) -> u64 {
        self.total.load(Relaxed)
    }

    /// Counts `n` datagrams that were dropped because of `why`.
    pub fn add(&self, n: usize, why: &str) {
        if n == 0 {
            return;
        }
        let total = self.total.fetch_add(n as u64, Relaxed) + n as u64;
        let now = self.began.elapsed().as_millis() as u64;
        let until = self.quiet_until.load(Relaxed);
        let next = now + PAUSE.as_millis() as u64;
        // Of several threads that are here at once, one speaks.
        if now >= until
            && self
                .quiet_until
                .compare_exchange(until, next, Relaxed, Relaxed)
                .is_ok()
        {
            let said = self.said.swap(total, Relaxed);
            tracing::warn!(
                dropped = total.saturating_sub(said),
                total,
                "{}: datagrams dropped, lately because {why}",
                self.place
            );
        }
    }
}

impl Drop for Drops {
    fn drop(&mut self) {
        let (total, said) = (self.total(), self.said.load(Relaxed));
        if total > said {
            tracing::debug!(
                dropped = total - said,
                total,
                "{}: datagrams dropped",
                self.place
            );
        }
    }
}
