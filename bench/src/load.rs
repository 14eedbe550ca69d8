//! Loads over TCP, and the window in which a load is measured.

use std::io::Read as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::client::{Path, exchange};
use crate::machine::Spent;
use crate::metric::{Metric, Sample, percentile};
use crate::program::Running;

/// Connections that download at once.
const DOWNLOADS: usize = 4;
/// Connections that are made, or exchange messages, at once.
const CLIENTS: usize = 16;
/// Bytes that a download reads at once.
const READ: usize = 256 * 1024;
/// How long a load runs before it is measured.
const WARM_UP: Duration = Duration::from_millis(150);

/// What one thread of a load sees.
pub(crate) struct Worker<'a> {
    stop: &'a AtomicBool,
    measuring: &'a AtomicBool,
    count: &'a Counter,
}

/// Alone on its cache line, for each thread writes its own all the time.
#[derive(Default)]
#[repr(align(128))]
struct Counter(AtomicU64);

impl Worker<'_> {
    /// Whether to go on.
    pub(crate) fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    /// Whether the window is open, for what is not a count.
    pub(crate) fn measures(&self) -> bool {
        self.measuring.load(Ordering::Relaxed)
    }

    /// Adds to what this thread has done.
    pub(crate) fn done(&self, count: u64) {
        self.count.0.fetch_add(count, Ordering::Relaxed);
    }
}

/// What happened in a window.
pub(crate) struct Window<T> {
    /// Sum of what the threads counted.
    pub(crate) count: f64,
    /// Length in seconds.
    pub(crate) seconds: f64,
    /// CPU time of the program in seconds.
    pub(crate) cpu: f64,
    /// CPU time of everything else on the machine but the load, in seconds.
    pub(crate) others: f64,
    /// What each thread returned.
    pub(crate) returned: Vec<T>,
}

/// Runs `work` in `threads` threads and measures the program meanwhile.
pub(crate) fn drive<T: Send>(
    program: &Running,
    threads: usize,
    length: Duration,
    work: impl Fn(&Worker<'_>) -> Result<T> + Sync,
) -> Result<Window<T>> {
    let (stop, measuring) = (AtomicBool::new(false), AtomicBool::new(false));
    let counters: Vec<Counter> = (0..threads).map(|_| Counter::default()).collect();
    let total = || {
        counters
            .iter()
            .map(|counter| counter.0.load(Ordering::Relaxed))
            .sum::<u64>()
    };
    thread::scope(|scope| {
        let start = |count| {
            let worker = Worker {
                stop: &stop,
                measuring: &measuring,
                count,
            };
            let work = &work;
            scope.spawn(move || work(&worker))
        };
        let running: Vec<_> = counters.iter().map(start).collect();
        thread::sleep(WARM_UP);

        let (spent, cpu, count, since) = (Spent::now(), program.cpu(), total(), Instant::now());
        measuring.store(true, Ordering::Relaxed);
        thread::sleep(length);
        measuring.store(false, Ordering::Relaxed);
        let (count, seconds) = (total() - count, since.elapsed().as_secs_f64());
        let cpu = program.cpu().saturating_sub(cpu);
        let spent_after = Spent::now();
        stop.store(true, Ordering::Relaxed);

        let join = |thread: thread::ScopedJoinHandle<'_, Result<T>>| {
            // A panic of a thread is one of the whole.
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        let returned = running.into_iter().map(join).collect::<Result<_>>()?;
        Ok(Window {
            count: count as f64,
            seconds,
            cpu: cpu.as_secs_f64(),
            others: spent_after?.by_others(&spent?, cpu).as_secs_f64(),
            returned,
        })
    })
}

/// All loads over TCP, one after the other.
pub(crate) fn streams(
    program: &Running,
    path: Path,
    length: Duration,
    sample: &mut Sample,
) -> Result<()> {
    path.check().context("check")?;

    let bulk = drive(program, DOWNLOADS, length, |worker| download(path, worker));
    let bulk = bulk.context("bulk")?;
    let gigabytes = bulk.count / 1e9;
    sample.set(Metric::Gbps, gigabytes * 8.0 / bulk.seconds);
    sample.set(Metric::CpuPerGb, bulk.cpu / gigabytes);

    let churn = drive(program, CLIENTS, length, |worker| connect(path, worker));
    let churn = churn.context("new connections")?;
    sample.set(Metric::ConnRate, churn.count / churn.seconds);
    sample.set(Metric::CpuPerConn, churn.cpu * 1e3 / churn.count);

    let trips = drive(program, CLIENTS, length, |worker| round_trips(path, worker));
    let trips = trips.context("round trips")?;
    let mut nanos = trips.returned.concat();
    sample.set(Metric::P50, percentile(&mut nanos, 0.50) / 1e3);
    sample.set(Metric::P99, percentile(&mut nanos, 0.99) / 1e3);

    let seconds = bulk.seconds + churn.seconds + trips.seconds;
    sample.disturbance = (bulk.others + churn.others + trips.others) / seconds;
    Ok(())
}

fn download(path: Path, worker: &Worker<'_>) -> Result<()> {
    let mut stream = path.download()?;
    let mut buffer = vec![0; READ];
    while worker.goes_on() {
        match stream.read(&mut buffer).context("download")? {
            0 => anyhow::bail!("the download ended"),
            size => worker.done(size as u64),
        }
    }
    Ok(())
}

fn connect(path: Path, worker: &Worker<'_>) -> Result<()> {
    while worker.goes_on() {
        let mut stream = path.connect()?;
        exchange(&mut stream)?;
        worker.done(1);
    }
    Ok(())
}

/// Returns the time of every round trip in nanoseconds.
fn round_trips(path: Path, worker: &Worker<'_>) -> Result<Vec<u32>> {
    let mut stream = path.connect()?;
    let mut nanos = Vec::with_capacity(1 << 16);
    while worker.goes_on() {
        let begun = Instant::now();
        exchange(&mut stream)?;
        if worker.measures() {
            nanos.push(u32::try_from(begun.elapsed().as_nanos()).unwrap_or(u32::MAX));
        }
    }
    Ok(nanos)
}
