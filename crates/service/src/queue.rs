//! A queue before a recorder, so that who records never waits.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use gost_core::{
    error::{Error, Result, Why},
    listener::BoxFuture,
    policy::{Answer, Recorder},
};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

/// How many records wait at most.
const RECORDS: usize = 8192;

/// How many bytes of records wait at most.
const BYTES: usize = 16 << 20;

/// How many records a recorder may be busy with at once.
const BUSY: usize = 32;

/// How long a recorder may take for one.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often failures and losses are said.
const SAYING: Duration = Duration::from_secs(10);

/// A queue before a recorder. Records that find it full are lost; how many is counted, and said now
/// and then. What is in it when it is dropped is still recorded.
pub struct Queue {
    items: mpsc::Sender<Item>,
    shared: Arc<Shared>,
}

enum Item {
    Record(Bytes, Arc<str>),
    /// Everything before this is to be done.
    Flush(oneshot::Sender<()>),
}

struct Shared {
    name: String,
    /// Bytes of the records that wait.
    bytes: AtomicUsize,
    lost: AtomicU64,
    said: Mutex<Option<Instant>>,
}

impl Queue {
    /// A queue before `sink`, with a task in the runtime that this is called in. The name is for
    /// messages.
    pub fn start(name: &str, sink: Arc<dyn Recorder>) -> Self {
        let (items, waiting) = mpsc::channel(RECORDS);
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            bytes: AtomicUsize::new(0),
            lost: AtomicU64::new(0),
            said: Mutex::default(),
        });
        tokio::spawn(drain(sink, waiting, shared.clone()));
        Self { items, shared }
    }

    /// How many records were lost because there were too many, or because the recorder failed.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Relaxed)
    }

    /// Waits until everything is recorded that is in the queue now.
    pub async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        if self.items.send(Item::Flush(done)).await.is_ok() {
            // An error means that the task is gone, and with it what it had to do.
            let _ = wait.await;
        }
    }
}

impl Recorder for Queue {
    fn record(&self, record: Bytes, metadata: &Arc<str>) -> Answer<'static, Result<()>> {
        let size = record.len();
        let before = self.shared.bytes.fetch_add(size, Relaxed);
        let item = Item::Record(record, metadata.clone());
        if before + size <= BYTES && self.items.try_send(item).is_ok() {
            return Answer::Now(Ok(()));
        }
        self.shared.bytes.fetch_sub(size, Relaxed);
        let error = Error::new(Why::Limited, "too many records at once");
        self.shared.lose(&error);
        Answer::Now(Err(error))
    }
}

impl Shared {
    /// Counts a record that is lost, and says so unless that was said just before.
    fn lose(&self, reason: &Error) {
        let lost = self.lost.fetch_add(1, Relaxed) + 1;
        let mut said = self.said.lock();
        if said.is_none_or(|at| at.elapsed() >= SAYING) {
            *said = Some(Instant::now());
            drop(said);
            tracing::warn!(
                recorder = self.name,
                "{lost} records lost so far, the last because: {reason}"
            );
        }
    }
}

/// Gives records to the recorder, in order; it may be busy with several.
async fn drain(sink: Arc<dyn Recorder>, mut waiting: mpsc::Receiver<Item>, shared: Arc<Shared>) {
    let mut busy: FuturesUnordered<BoxFuture<'static, (usize, Result<()>)>> =
        FuturesUnordered::new();
    let mut open = true;
    while open || !busy.is_empty() {
        tokio::select! {
            Some((size, result)) = busy.next() => finish(&shared, size, &result),
            item = waiting.recv(), if open && busy.len() < BUSY => match item {
                None => open = false,
                Some(Item::Flush(done)) => {
                    while let Some((size, result)) = busy.next().await {
                        finish(&shared, size, &result);
                    }
                    // Whoever asked may have left.
                    let _ = done.send(());
                }
                Some(Item::Record(record, metadata)) => {
                    let size = record.len();
                    match sink.record(record, &metadata) {
                        Answer::Now(result) => finish(&shared, size, &result),
                        later => busy.push(Box::pin(async move {
                            let late = |_| Err(Error::new(Why::TimedOut, "not recorded in time"));
                            let recorded = tokio::time::timeout(PATIENCE, later).await;
                            (size, recorded.unwrap_or_else(late))
                        })),
                    }
                }
            },
        }
    }
}

fn finish(shared: &Shared, size: usize, result: &Result<()>) {
    shared.bytes.fetch_sub(size, Relaxed);
    if let Err(error) = result {
        shared.lose(error);
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Queue({})", self.shared.name)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;

    /// Records as often as it is allowed to.
    struct Slow {
        permits: Arc<Semaphore>,
        records: Arc<Mutex<Vec<Bytes>>>,
    }

    impl Recorder for Slow {
        fn record(&self, record: Bytes, _: &Arc<str>) -> Answer<'static, Result<()>> {
            let (permits, records) = (self.permits.clone(), self.records.clone());
            Answer::later(async move {
                permits.acquire().await.unwrap().forget();
                records.lock().push(record.clone());
                if record == "bad" {
                    return Err(Error::new(Why::Other, "bad"));
                }
                Ok(())
            })
        }
    }

    fn slow(permits: usize) -> (Queue, Arc<Semaphore>, Arc<Mutex<Vec<Bytes>>>) {
        let permits = Arc::new(Semaphore::new(permits));
        let records = Arc::<Mutex<Vec<Bytes>>>::default();
        let sink = Slow {
            permits: permits.clone(),
            records: records.clone(),
        };
        (Queue::start("q", Arc::new(sink)), permits, records)
    }

    fn give(queue: &Queue, record: impl Into<Bytes>) -> bool {
        match queue.record(record.into(), &"null".into()) {
            Answer::Now(result) => result.is_ok(),
            _ => panic!("a queue answers at once"),
        }
    }

    #[tokio::test]
    async fn what_is_too_much_is_lost_and_counted_and_nobody_waits() {
        let (queue, permits, records) = slow(0);
        let taken = (0..RECORDS + 10)
            .filter(|n| give(&queue, n.to_string()))
            .count();
        assert_eq!((taken, queue.lost()), (RECORDS, 10));
        permits.add_permits(RECORDS);
        queue.flush().await;
        assert_eq!(records.lock().len(), RECORDS);
        assert_eq!(records.lock()[1], "1");

        assert!(!give(&queue, vec![0; BYTES + 1]));
        assert!(give(&queue, vec![0; BYTES]));
        assert!(!give(&queue, "x"));
        permits.add_permits(1);
        queue.flush().await;
        permits.add_permits(2);
        assert!(give(&queue, "bad"));
        queue.flush().await;
        assert_eq!(queue.lost(), 13);
    }

    #[tokio::test(start_paused = true)]
    async fn a_recorder_that_hangs_is_given_up() {
        let (queue, permits, records) = slow(0);
        assert!(give(&queue, "a"));
        queue.flush().await;
        assert_eq!((queue.lost(), records.lock().len()), (1, 0));
        permits.add_permits(1);
        assert!(give(&queue, "b"));
        drop(queue);
        while records.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(records.lock()[0], "b");
    }
}
