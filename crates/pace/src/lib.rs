//! How fast bytes may move under a limit that many share.
//!
//! A limit has [`Rates`] and [`Buckets`] for both directions, and each connection under it has
//! [`Turns`].
//! Nobody takes a lock, and those who share a limit get alike.
//!
//! ```
//! use gost_core::meter::Direction;
//! use gost_pace::{Buckets, Clock, Rate, Turns};
//!
//! let (clock, buckets, turns) = (Clock::default(), Buckets::default(), Turns::default());
//! let rate = Rate::new(1_000_000, 0).unwrap();
//! // A step of 20 ms is there at the beginning.
//! let allowed = turns.ask(&buckets, Direction::In, rate, clock.now());
//! assert!(allowed.is_ok_and(|bytes| bytes >= 20_000));
//! turns.take(&buckets, Direction::In, rate, clock.now(), 60_000);
//! assert!(turns.ask(&buckets, Direction::In, rate, clock.now()).is_err());
//! ```

mod bucket;

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use gost_core::meter::Direction;
use tokio::time::Instant;

use self::bucket::{Bucket, Turn};

pub use bucket::Rate;

/// A clock that counts nanoseconds. All who share a limit have the same one.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Default for Clock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock {
    /// Nanoseconds since it was made.
    pub fn now(self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The rate of each direction, which can be exchanged while others look; none at first.
#[derive(Debug, Default)]
pub struct Rates {
    input: Cell,
    output: Cell,
}

impl Rates {
    /// The rate of a direction.
    pub fn get(&self, direction: Direction) -> Option<Rate> {
        let cell = self.way(direction);
        Rate::new(cell.bytes.load(Relaxed), cell.burst.load(Relaxed))
    }

    /// Sets the rate of a direction. Somebody who looks at the same time may see the new rate with
    /// the old burst.
    pub fn set(&self, direction: Direction, rate: Option<Rate>) {
        let cell = self.way(direction);
        let (bytes, burst) = rate.map_or((0, 0), Rate::parts);
        cell.burst.store(burst, Relaxed);
        cell.bytes.store(bytes, Relaxed);
    }

    const fn way(&self, direction: Direction) -> &Cell {
        match direction {
            Direction::In => &self.input,
            Direction::Out => &self.output,
        }
    }
}

/// A rate in atomic parts; no rate for 0 bytes.
#[derive(Debug, Default)]
struct Cell {
    bytes: AtomicU64,
    burst: AtomicU64,
}

/// What has moved each way under one limit.
#[derive(Debug, Default)]
pub struct Buckets {
    input: Bucket,
    output: Bucket,
}

impl Buckets {
    /// True when they are as good as new ones.
    pub fn is_full(&self, now: u64) -> bool {
        self.input.is_full(now) && self.output.is_full(now)
    }

    const fn way(&self, direction: Direction) -> &Bucket {
        match direction {
            Direction::In => &self.input,
            Direction::Out => &self.output,
        }
    }
}

/// The turns of one of those who are under a limit, one for each direction.
#[derive(Debug, Default)]
pub struct Turns {
    input: Turn,
    output: Turn,
}

impl Turns {
    /// How many bytes may move now, at least one.
    ///
    /// # Errors
    /// For how long nothing may.
    pub fn ask(
        &self,
        buckets: &Buckets,
        direction: Direction,
        rate: Rate,
        now: u64,
    ) -> Result<u64, Duration> {
        self.way(direction).ask(buckets.way(direction), rate, now)
    }

    /// Counts bytes that have moved.
    pub fn take(&self, buckets: &Buckets, direction: Direction, rate: Rate, now: u64, bytes: u64) {
        let turn = self.way(direction);
        turn.take(buckets.way(direction), rate, now, bytes);
    }

    const fn way(&self, direction: Direction) -> &Turn {
        match direction {
            Direction::In => &self.input,
            Direction::Out => &self.output,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_exchanged_one_by_one() {
        let rates = Rates::default();
        assert_eq!(rates.get(Direction::In), None);
        rates.set(Direction::In, Rate::new(5, 9));
        rates.set(Direction::Out, Rate::new(7, 0));
        assert_eq!(rates.get(Direction::In), Rate::new(5, 9));
        assert_eq!(rates.get(Direction::Out), Rate::new(7, 0));
        rates.set(Direction::In, None);
        assert_eq!(rates.get(Direction::In), None);
    }
}
