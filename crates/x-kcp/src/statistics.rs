//! What was counted in all sessions of the process, and the signal that has it logged.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
};

use gost_kcp::Stats;
use parking_lot::Mutex;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::AbortHandle,
};

/// Counts of all sessions so far.
pub(crate) static STATISTICS: Statistics = Statistics::new();

/// Counts of everything. The names in the log are those that kcp-go has for them.
#[derive(Debug)]
pub(crate) struct Statistics {
    /// Sessions that are open.
    pub(crate) sessions: AtomicI64,
    /// Datagrams that came, whatever they were, and that were sent.
    pub(crate) datagrams_in: AtomicU64,
    pub(crate) datagrams_out: AtomicU64,
    /// Bytes of those.
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
    /// Datagrams that were of no session.
    pub(crate) strange: AtomicU64,
    segments_in: AtomicU64,
    segments_out: AtomicU64,
    timed_out: AtomicU64,
    resent_early: AtomicU64,
    repeated: AtomicU64,
    recovered: AtomicU64,
}

impl Statistics {
    const fn new() -> Self {
        Self {
            sessions: AtomicI64::new(0),
            datagrams_in: AtomicU64::new(0),
            datagrams_out: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            strange: AtomicU64::new(0),
            segments_in: AtomicU64::new(0),
            segments_out: AtomicU64::new(0),
            timed_out: AtomicU64::new(0),
            resent_early: AtomicU64::new(0),
            repeated: AtomicU64::new(0),
            recovered: AtomicU64::new(0),
        }
    }

    /// Adds what a session has counted since it was asked last.
    pub(crate) fn add(&self, now: &Stats, last: &Stats) {
        if now == last {
            return;
        }
        for (all, now, last) in [
            (&self.segments_in, now.received, last.received),
            (&self.segments_out, now.sent, last.sent),
            (&self.timed_out, now.timed_out, last.timed_out),
            (&self.resent_early, now.resent_early, last.resent_early),
            (&self.repeated, now.repeated, last.repeated),
            (&self.recovered, now.recovered, last.recovered),
        ] {
            if now > last {
                all.fetch_add(now - last, Relaxed);
            }
        }
    }

    fn log(&self) {
        let of = |count: &AtomicU64| count.load(Relaxed);
        let (lost, early) = (of(&self.timed_out), of(&self.resent_early));
        tracing::info!(
            CurrEstab = self.sessions.load(Relaxed),
            InPkts = of(&self.datagrams_in),
            OutPkts = of(&self.datagrams_out),
            InBytes = of(&self.bytes_in),
            OutBytes = of(&self.bytes_out),
            InErrs = of(&self.strange),
            InSegs = of(&self.segments_in) + of(&self.repeated),
            OutSegs = of(&self.segments_out) + lost + early,
            RetransSegs = lost + early,
            LostSegs = lost,
            FastRetransSegs = early,
            RepeatSegs = of(&self.repeated),
            FECRecovered = of(&self.recovered),
            "KCP SNMP"
        );
    }
}

/// Logs the statistics at each `SIGUSR1`, as long as somebody holds it.
#[derive(Debug)]
pub(crate) struct Watch(AbortHandle);

impl Watch {
    /// The watch of the process; `None` when the system gives no signals.
    pub(crate) fn start() -> Option<Arc<Self>> {
        static RUNNING: Mutex<Weak<Watch>> = Mutex::new(Weak::new());
        let mut running = RUNNING.lock();
        if let Some(watch) = running.upgrade().filter(|watch| !watch.0.is_finished()) {
            return Some(watch);
        }
        let mut asked = match signal(SignalKind::user_defined1()) {
            Ok(asked) => asked,
            Err(error) => {
                tracing::warn!("kcp: no statistics at SIGUSR1: {error}");
                return None;
            }
        };
        let task = tokio::spawn(async move {
            while asked.recv().await.is_some() {
                STATISTICS.log();
            }
        });
        let watch = Arc::new(Self(task.abort_handle()));
        *running = Arc::downgrade(&watch);
        Some(watch)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}
