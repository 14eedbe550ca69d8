//! A bucket of bytes without a lock.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use gost_core::meter::Allowance;
use tokio::time::Instant;

const SECOND: u64 = 1_000_000_000;
/// Nobody is woken for less than this part of a second's bytes.
const STEPS: u64 = 20;

/// A bucket that holds a second's worth of bytes, of which so many may pass in a second.
///
/// It keeps one number: when it would be full again. What has been taken is as much as comes in
/// until then.
pub(crate) struct Bucket {
    start: Instant,
    /// Bytes per second; 0 for any number.
    rate: AtomicU64,
    /// Nanoseconds since `start`.
    full_at: AtomicU64,
}

impl Bucket {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            rate: AtomicU64::new(0),
            full_at: AtomicU64::new(0),
        }
    }

    /// Sets another rate; how full it is in seconds stays.
    pub(crate) fn set(&self, rate: u64) {
        self.rate.store(rate, Relaxed);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// How many of `want` bytes may pass.
    pub(crate) fn allow(&self, want: usize) -> Allowance {
        let rate = self.rate.load(Relaxed);
        if rate == 0 {
            return Allowance::Bytes(want);
        }
        // What is there, in nanoseconds of the rate.
        let missing = self.full_at.load(Relaxed).saturating_sub(self.now());
        let there = bytes(SECOND.saturating_sub(missing), rate);
        let step = (rate / STEPS).max(1).min(want as u64);
        if there >= step {
            return Allowance::Bytes(want.min(usize::try_from(there).unwrap_or(usize::MAX)));
        }
        let wait = (missing + nanos(step, rate)).saturating_sub(SECOND);
        Allowance::After(Duration::from_nanos(wait.max(1)))
    }

    /// Takes bytes out.
    pub(crate) fn count(&self, taken: usize) {
        let rate = self.rate.load(Relaxed);
        if rate == 0 {
            return;
        }
        let (now, taken) = (self.now(), nanos(taken as u64, rate));
        let later = |full_at: u64| Some(full_at.max(now).saturating_add(taken));
        // The closure never gives up.
        let _ = self.full_at.fetch_update(Relaxed, Relaxed, later);
    }
}

fn bytes(nanos: u64, rate: u64) -> u64 {
    u64::try_from(u128::from(nanos) * u128::from(rate) / u128::from(SECOND)).unwrap_or(u64::MAX)
}

fn nanos(bytes: u64, rate: u64) -> u64 {
    let nanos = (u128::from(bytes) * u128::from(SECOND)).div_ceil(u128::from(rate));
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn so_many_bytes_pass_in_a_time() {
        for rate in [1_u64, 999, 1_000_000] {
            let bucket = Bucket::new();
            bucket.set(rate);
            let start = Instant::now();
            let mut passed = 0_u64;
            while start.elapsed() < Duration::from_secs(10) {
                match bucket.allow(65536) {
                    Allowance::Bytes(some) => {
                        bucket.count(some);
                        passed += some as u64;
                    }
                    Allowance::After(wait) => tokio::time::sleep(wait).await,
                    Allowance::Over => panic!("there is no end"),
                }
            }
            // One second's worth is there at the beginning.
            let wanted = rate * 11;
            assert!(passed.abs_diff(wanted) <= wanted / 10, "{rate}: {passed}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_rate_everything_passes() {
        let bucket = Bucket::new();
        bucket.count(usize::MAX);
        assert_eq!(bucket.allow(9), Allowance::Bytes(9));
    }
}
