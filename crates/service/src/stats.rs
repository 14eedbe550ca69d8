//! Counters of a service and of each of its clients.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    thread::available_parallelism,
};

use gost_core::{
    meter::{Direction, Meter, Metering},
    policy::Stats,
};
use parking_lot::RwLock;

/// Counters. Each thread adds to a place of its own, so that counting neither waits nor takes a
/// cache line away from another core.
#[derive(Debug)]
pub struct Counters {
    shards: Box<[Shard]>,
    reset: bool,
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard {
    total: AtomicU64,
    /// Wraps below zero where connections end on another thread than they began on.
    current: AtomicU64,
    input: AtomicU64,
    output: AtomicU64,
    errors: AtomicU64,
}

impl Counters {
    /// Counters of a whole service; with `reset`, [`Self::take`] begins to count bytes anew.
    pub fn of_service(reset: bool) -> Arc<Self> {
        Self::with_shards(
            available_parallelism().map_or(1, |n| n.get().min(16)),
            reset,
        )
    }

    fn with_shards(count: usize, reset: bool) -> Arc<Self> {
        Arc::new(Self {
            shards: (0..count).map(|_| Shard::default()).collect(),
            reset,
        })
    }

    fn shard(&self) -> &Shard {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static MINE: usize = NEXT.fetch_add(1, Relaxed);
        }
        &self.shards[MINE.with(|mine| *mine) % self.shards.len()]
    }

    fn sum(&self, of: impl Fn(&Shard) -> u64) -> u64 {
        self.shards
            .iter()
            .fold(0, |sum, shard| sum.wrapping_add(of(shard)))
    }

    /// What was counted so far, or for bytes since they were last taken.
    pub fn now(&self) -> Stats {
        Stats {
            total_connections: self.sum(|shard| shard.total.load(Relaxed)),
            current_connections: self.sum(|shard| shard.current.load(Relaxed)),
            input_bytes: self.sum(|shard| shard.input.load(Relaxed)),
            output_bytes: self.sum(|shard| shard.output.load(Relaxed)),
            total_errors: self.sum(|shard| shard.errors.load(Relaxed)),
        }
    }

    /// The same; bytes are counted anew from here where they are to be reset.
    pub fn take(&self) -> Stats {
        let now = self.now();
        if !self.reset {
            return now;
        }
        Stats {
            input_bytes: self.sum(|shard| shard.input.swap(0, Relaxed)),
            output_bytes: self.sum(|shard| shard.output.swap(0, Relaxed)),
            ..now
        }
    }

    /// True when [`Self::take`] begins to count bytes anew.
    pub const fn is_reset(&self) -> bool {
        self.reset
    }

    /// A meter that counts here.
    pub fn meter(self: &Arc<Self>) -> Meter {
        Meter::new(self.clone())
    }

    /// Counts a connection, as open for as long as the result lives.
    pub(crate) fn open(self: &Arc<Self>) -> Open {
        let shard = self.shard();
        shard.total.fetch_add(1, Relaxed);
        shard.current.fetch_add(1, Relaxed);
        Open(self.clone())
    }

    /// Counts a failure.
    pub(crate) fn failed(&self) {
        self.shard().errors.fetch_add(1, Relaxed);
    }
}

impl Metering for Counters {
    fn count(&self, direction: Direction, bytes: usize) {
        let shard = self.shard();
        let counter = match direction {
            Direction::In => &shard.input,
            Direction::Out => &shard.output,
        };
        counter.fetch_add(bytes as u64, Relaxed);
    }
}

/// A connection that is counted as open.
#[derive(Debug)]
pub(crate) struct Open(Arc<Counters>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.shard().current.fetch_sub(1, Relaxed);
    }
}

/// The counters of the clients of a service, by who they proved to be.
#[derive(Debug, Default)]
pub struct Clients {
    reset: bool,
    all: RwLock<HashMap<String, Arc<Counters>>>,
}

/// More clients than this, and those that are idle are forgotten once they were reported.
const MANY: usize = 100_000;

impl Clients {
    /// Counters for any client; `reset` as of [`Counters::of_service`].
    pub fn new(reset: bool) -> Self {
        Self {
            reset,
            ..Self::default()
        }
    }

    /// The counters of a client; all who need not prove who they are have the empty name.
    pub fn of(&self, client: &str) -> Arc<Counters> {
        if let Some(found) = self.all.read().get(client) {
            return found.clone();
        }
        let mut all = self.all.write();
        all.entry(client.to_owned())
            .or_insert_with(|| Counters::with_shards(1, self.reset))
            .clone()
    }

    /// All clients and their counters.
    pub fn all(&self) -> Vec<(String, Arc<Counters>)> {
        let all = self.all.read();
        all.iter().map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    /// Forgets some of very many clients that have no connection.
    pub fn forget_idle(&self, idle: &[String]) {
        let mut all = self.all.write();
        if all.len() <= MANY {
            return;
        }
        for client in idle {
            // Nobody else has them, so nobody is about to count.
            if all.get(client).is_some_and(|c| Arc::strong_count(c) == 1) {
                all.remove(client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn threads_count_together_and_bytes_can_be_taken() {
        for reset in [false, true] {
            let counters = Counters::with_shards(3, reset);
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    let counters = counters.clone();
                    thread::spawn(move || {
                        for _ in 0..1000 {
                            let open = counters.open();
                            counters.count(Direction::In, 2);
                            counters.count(Direction::Out, 3);
                            drop(open);
                        }
                        counters.failed();
                        counters.open()
                    })
                })
                .collect();
            let open: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
            let taken = counters.take();
            assert_eq!(
                taken,
                Stats {
                    total_connections: 8008,
                    current_connections: 8,
                    input_bytes: 16_000,
                    output_bytes: 24_000,
                    total_errors: 8
                }
            );
            drop(open);
            let now = counters.now();
            assert_eq!(now.current_connections, 0);
            assert_eq!(now.input_bytes, if reset { 0 } else { 16_000 });
        }
    }

    #[test]
    fn a_client_has_the_same_counters_each_time() {
        let clients = Clients::new(false);
        clients.of("ann").count(Direction::In, 1);
        clients.of("ann").count(Direction::In, 1);
        clients.of("").count(Direction::Out, 5);
        let mut all = clients.all();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        let bytes: Vec<_> = all
            .iter()
            .map(|(name, c)| (name.as_str(), c.now().input_bytes, c.now().output_bytes))
            .collect();
        assert_eq!(bytes, [("", 0, 5), ("ann", 2, 0)]);
    }
}
