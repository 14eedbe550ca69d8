//! Spreads a window over the round trip, so that it does not leave at once and drown the path.

use super::Millis;

/// Credit and round trips are counted in parts of so much, as they are often less than 1: so small
/// that even a window of one segment in the longest round trip gives some credit in a millisecond.
const UNIT: u64 = 1 << 20;

/// Shorter round trips, in milliseconds, are those of a machine with itself or its neighbour, where
/// acknowledgements come before a timer would.
const NEAR: u64 = 2;

/// The round trip as long as none was measured, in milliseconds.
const UNKNOWN: u64 = 100;

/// The longest burst, in segments, unless the rate makes it more within a millisecond.
const BURST: u64 = 32;

/// How many segments may leave now.
#[derive(Debug)]
pub(super) struct Pace {
    /// The mean round trip in units of a millisecond.
    round_trip: Option<u64>,
    /// Segments that may leave, in units.
    credit: u64,
    /// When the credit was last counted.
    at: Millis,
    /// Segments wait for credit until then.
    pub(super) held: Option<Millis>,
}

impl Pace {
    pub(super) const fn new() -> Self {
        Self {
            round_trip: None,
            credit: 0,
            at: 0,
            held: None,
        }
    }

    /// A round trip took so many milliseconds.
    pub(super) fn measure(&mut self, sample: u32) {
        let sample = u64::from(sample) * UNIT;
        self.round_trip = Some(match self.round_trip {
            None => sample,
            Some(mean) => mean - mean / 8 + sample / 8,
        });
    }

    /// Gives credit for the time that has passed: twice the window in a round trip.
    pub(super) fn refill(&mut self, now: Millis, window: u32) {
        let (rate, burst) = self.limits(window);
        let passed = now.saturating_sub(self.at);
        let gained = passed.saturating_mul(rate);
        self.credit = self.credit.saturating_add(gained).min(burst);
        if self.at == 0 {
            // The first burst needs no time before it.
            self.credit = burst;
        }
        self.at = now.max(1);
        // Who still has something to send asks again.
        self.held = None;
    }

    /// Takes credit for a segment; false when there is none.
    pub(super) fn take(&mut self, window: u32) -> bool {
        if self.is_near() {
            return true;
        }
        if self.credit >= UNIT {
            self.credit -= UNIT;
            return true;
        }
        let (rate, burst) = self.limits(window);
        // One timer for several segments, where that does not make a burst of them.
        let missing = burst.min(4 * UNIT) - self.credit;
        self.held = Some(self.at + missing.div_ceil(rate.max(1)).max(1));
        false
    }

    fn is_near(&self) -> bool {
        self.round_trip.is_some_and(|mean| mean < NEAR * UNIT)
    }

    /// Credit per millisecond, and the most that is given at once.
    fn limits(&self, window: u32) -> (u64, u64) {
        let window = u64::from(window.max(1));
        let round_trip = self.round_trip.unwrap_or(UNKNOWN * UNIT).max(UNIT);
        let rate = 2 * window * UNIT * UNIT / round_trip;
        let burst = (window / 4).clamp(1, BURST) * UNIT;
        (rate, burst.max(rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many segments leave in each of so many milliseconds.
    fn leave(pace: &mut Pace, window: u32, time: std::ops::Range<Millis>) -> Vec<usize> {
        time.map(|now| {
            pace.refill(now, window);
            (0..2000).take_while(|_| pace.take(window)).count()
        })
        .collect()
    }

    #[test]
    fn a_window_is_spread_over_half_a_round_trip() {
        let mut pace = Pace::new();
        pace.measure(50);
        let left = leave(&mut pace, 1024, 1..26);
        let most = left.iter().max().copied().unwrap_or(0);
        assert!((40..=64).contains(&most), "{left:?}");
        let all: usize = left.iter().sum();
        assert!((950..1100).contains(&all), "{all}");
        assert_eq!(pace.held, Some(26), "a moment later there is more");
    }

    #[test]
    fn a_small_window_is_not_sent_at_once_either() {
        let mut pace = Pace::new();
        pace.measure(100);
        let left = leave(&mut pace, 32, 1..51);
        assert!(left.iter().all(|n| *n <= 8), "{left:?}");
        assert!(left.iter().sum::<usize>() >= 32, "{left:?}");
    }

    #[test]
    fn rest_is_not_saved_up() {
        let mut pace = Pace::new();
        pace.measure(50);
        leave(&mut pace, 256, 1..10);
        let late = leave(&mut pace, 256, 10_000..10_001);
        assert!(late[0] <= 32, "{late:?}");
    }

    #[test]
    fn the_smallest_window_in_the_longest_round_trip_leaves_in_the_end() {
        let mut pace = Pace::new();
        pace.measure(120_000);
        leave(&mut pace, 1, 1..2);
        assert!(!pace.take(1));
        let held = pace.held.unwrap();
        assert!((50_000..70_000).contains(&held), "{held}");
        assert_eq!(leave(&mut pace, 1, held..held + 1), [1]);
        // Counted each millisecond it comes to the same.
        let left: usize = leave(&mut pace, 1, held + 1..2 * held + 1).iter().sum();
        assert_eq!(left, 1);
    }

    #[test]
    fn neighbours_are_not_kept_waiting() {
        let mut pace = Pace::new();
        pace.measure(1);
        pace.refill(1, 32);
        assert!((0..1000).all(|_| pace.take(32)));
    }
}
