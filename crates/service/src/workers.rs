//! The threads that serve connections.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use tokio::{runtime::Handle, sync::Notify};

/// A session's worker serves so many connections more than another before streams go there.
const FAR_MORE: usize = 64;

/// The runtimes that serve connections: the one of the program, or one for each core.
///
/// With a runtime for each core a connection stays on the thread that accepted it, so that its
/// sockets and timers wake no other. Nothing moves it later: what keeps threads equally busy is
/// that one with more connections than its share lets the others accept.
#[derive(Clone)]
pub struct Workers(Arc<Inner>);

struct Inner {
    workers: Box<[Worker]>,
    /// How many wait for their turn; looked at after the loads have changed.
    waiting: AtomicUsize,
    /// Wakes those who wait for their turn.
    changed: Notify,
}

struct Worker {
    runtime: Handle,
    /// Connections that are served here.
    load: AtomicUsize,
}

impl Workers {
    /// The runtime that this is called in, alone.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn current() -> Self {
        Self::new([])
    }

    /// The runtime that this is called in, and others beside it.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn new(others: impl IntoIterator<Item = Handle>) -> Self {
        let runtimes = std::iter::once(Handle::current()).chain(others);
        Self(Arc::new(Inner {
            workers: runtimes
                .map(|runtime| Worker {
                    runtime,
                    load: AtomicUsize::new(0),
                })
                .collect(),
            waiting: AtomicUsize::new(0),
            changed: Notify::new(),
        }))
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.workers.len()
    }

    /// The runtime of a worker; the first is the one of the program.
    pub(crate) fn runtime(&self, worker: usize) -> &Handle {
        &self.0.workers[worker].runtime
    }

    fn loads(&self) -> impl Iterator<Item = usize> {
        let workers = self.0.workers.iter();
        workers.map(|worker| worker.load.load(SeqCst))
    }

    /// The worker with the fewest connections.
    pub(crate) fn idlest(&self) -> usize {
        let loads = self.loads().enumerate();
        loads.min_by_key(|(_, load)| *load).map_or(0, |(i, _)| i)
    }

    /// Who is to serve a stream of a session: the worker that the session is with, because there a
    /// stream wakes no other thread, unless it has far more connections than another.
    pub(crate) fn near(&self, session: usize) -> usize {
        let idlest = self.idlest();
        let load = |worker: usize| self.0.workers[worker].load.load(SeqCst);
        if load(session) > load(idlest) + FAR_MORE {
            idlest
        } else {
            session
        }
    }

    /// Waits until a worker has no more than its share of the connections. It may have some more
    /// than others: who accepts first is chance, and evens out.
    pub(crate) async fn turn(&self, worker: usize) {
        while self.has_too_many(worker) {
            let _waiting = Waiting::new(&self.0.waiting);
            let changed = self.0.changed.notified();
            if self.has_too_many(worker) {
                changed.await;
            }
        }
    }

    fn has_too_many(&self, worker: usize) -> bool {
        let Some(least) = self.loads().min() else {
            return false;
        };
        self.0.workers[worker].load.load(SeqCst) > least + least / 2 + 1
    }

    /// Counts a connection to a worker for as long as the result lives.
    pub(crate) fn charge(&self, worker: usize) -> Charge {
        self.0.workers[worker].load.fetch_add(1, SeqCst);
        self.tell();
        Charge {
            workers: self.clone(),
            worker,
        }
    }

    fn tell(&self) {
        if self.0.waiting.load(SeqCst) > 0 {
            self.0.changed.notify_waiters();
        }
    }
}

/// Counts somebody who waits.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, SeqCst);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.loads()).finish()
    }
}

/// A connection's part of the load of a worker.
pub(crate) struct Charge {
    workers: Workers,
    worker: usize,
}

impl Charge {
    /// Whose load it is part of.
    pub(crate) const fn worker(&self) -> usize {
        self.worker
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.workers.0.workers[self.worker]
            .load
            .fetch_sub(1, SeqCst);
        self.workers.tell();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn three() -> Workers {
        Workers::new([Handle::current(), Handle::current()])
    }

    #[tokio::test]
    async fn one_with_more_than_its_share_waits_for_the_others() {
        let workers = three();
        let _first = workers.charge(0);
        assert!(workers.turn(0).now_or_never().is_some(), "one more is fine");
        let second = workers.charge(0);
        let mut turn = Box::pin(workers.turn(0));
        assert!(turn.as_mut().now_or_never().is_none());
        let _third = workers.charge(1);
        assert!(turn.as_mut().now_or_never().is_none(), "2, 1, 0");
        let _fourth = workers.charge(2);
        assert!(turn.as_mut().now_or_never().is_some(), "2, 1, 1");

        let _fifth = workers.charge(0);
        let mut turn = Box::pin(workers.turn(0));
        assert!(turn.as_mut().now_or_never().is_none(), "3, 1, 1");
        drop(second);
        assert!(turn.as_mut().now_or_never().is_some(), "its own may end");
    }

    #[tokio::test]
    async fn streams_stay_with_their_session_unless_it_has_far_more_than_others() {
        let workers = three();
        let mut streams = Vec::new();
        for _ in 0..=FAR_MORE {
            assert_eq!(workers.near(1), 1);
            streams.push(workers.charge(1));
        }
        assert_eq!(workers.near(1), 0);
        streams.push(workers.charge(0));
        assert_eq!(workers.near(1), 2);
        streams.push(workers.charge(2));
        assert_eq!(workers.near(1), 1);
    }

    #[tokio::test]
    async fn the_idlest_is_found() {
        let workers = three();
        assert_eq!(workers.idlest(), 0);
        let _a = workers.charge(0);
        let _b = workers.charge(1);
        assert_eq!(workers.idlest(), 2);
    }
}
