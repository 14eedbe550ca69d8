//! How fast bytes may move under limits that many share: what has moved, and whose turn it is.
//!
//! Nobody takes a lock. The whole bucket is one number: the time by which everything that has moved so far will have
//! been paid for. Moving bytes puts it off; while it lies in the future the bucket is in debt, and
//! how far it lies in the past is the credit. Each of those who share the bucket may move again
//! when what it moved last has been paid for, so that they take turns, and wake only for their own.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// A second.
const SECOND: u64 = 1_000_000_000;

/// How long an idle bucket fills, unless its size is given: not so long that the average over some
/// seconds would show it.
const BURST: u64 = SECOND / 20;

/// For how long credit grows while somebody waits for it: who wakes late has lost nothing.
const LATE: u64 = SECOND / 5;

/// How long a turn that nobody takes stays valid.
const TURN: u64 = SECOND;

/// How much is moved at once when nobody else waits: what is paid for in so long.
const STEP: u64 = SECOND / 50;

/// The longest debt: the steps of those who share a bucket shrink so that it is not reached.
const QUEUE: u64 = SECOND / 10;

/// The least that is moved at once, unless that takes longer than `STEP`.
const LEAST: u64 = 1024;

/// Bytes per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Bytes per second, not 0.
    bytes: u64,
    /// Bytes that may move at once after a pause; 0 for what is usual.
    burst: u64,
}

impl Rate {
    /// So many bytes per second; `burst` bytes at once after a pause, 0 for what is usual. No rate
    /// for 0 bytes.
    pub fn new(bytes: u64, burst: u64) -> Option<Self> {
        (bytes > 0).then_some(Self { bytes, burst })
    }

    pub(crate) const fn parts(self) -> (u64, u64) {
        (self.bytes, self.burst)
    }

    /// How long so many bytes take, in nanoseconds.
    fn cost(self, bytes: u64) -> u64 {
        let cost = u128::from(bytes) * u128::from(SECOND) / u128::from(self.bytes);
        u64::try_from(cost).unwrap_or(u64::MAX)
    }

    /// How many bytes move in so many nanoseconds.
    fn bytes_in(self, time: u64) -> u64 {
        let bytes = u128::from(time) * u128::from(self.bytes) / u128::from(SECOND);
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    /// How long an idle bucket fills.
    fn depth(self) -> u64 {
        if self.burst == 0 {
            BURST
        } else {
            self.cost(self.burst)
        }
    }

    /// How much may be moved at once when the bucket has so much debt.
    fn step(self, debt: u64) -> u64 {
        let time = STEP * QUEUE.saturating_sub(debt) / QUEUE;
        let least = LEAST.min(self.bytes_in(STEP));
        let most = if self.burst == 0 {
            u64::MAX
        } else {
            self.burst
        };
        self.bytes_in(time).max(least).min(most).max(1)
    }
}

/// What has moved one way under one limit. All times are nanoseconds since some moment.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    /// When everything that has moved will have been paid for.
    due: AtomicU64,
    /// Until when somebody waits, or has just waited.
    pressed: AtomicU64,
}

impl Bucket {
    /// When everything is paid for, if that lies in the future; otherwise how far the credit
    /// reaches back.
    fn due(&self, rate: Rate, now: u64) -> u64 {
        self.due.load(Relaxed).max(self.floor(rate, now))
    }

    fn floor(&self, rate: Rate, now: u64) -> u64 {
        let depth = if now < self.pressed.load(Relaxed) {
            rate.depth().max(LATE)
        } else {
            rate.depth()
        };
        now.saturating_sub(depth)
    }

    /// Counts bytes that have moved, and says when they are paid for.
    fn spend(&self, rate: Rate, now: u64, bytes: u64) -> u64 {
        let (floor, cost) = (self.floor(rate, now), rate.cost(bytes));
        let after = |due: u64| due.max(floor).saturating_add(cost);
        // The closure never refuses, so both arms hold what was there before.
        let before = self
            .due
            .fetch_update(Relaxed, Relaxed, |due| Some(after(due)));
        after(before.unwrap_or_else(|due| due))
    }

    /// Notes that somebody waits until then.
    fn press(&self, until: u64) {
        self.pressed.fetch_max(until.saturating_add(LATE), Relaxed);
    }

    /// True when the bucket is as good as a new one.
    pub(crate) fn is_full(&self, now: u64) -> bool {
        self.due.load(Relaxed).saturating_add(LATE) <= now
    }
}

/// The turn of one of those who share a bucket.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// When it is ours to move; 0 when we have not asked.
    at: AtomicU64,
    /// Bytes that are left of it: who moves little at once has it for as much.
    left: AtomicU64,
}

impl Turn {
    /// How many bytes may move now, or for how long nothing may.
    pub(crate) fn ask(&self, bucket: &Bucket, rate: Rate, now: u64) -> Result<u64, Duration> {
        let (turn, left) = (self.at.load(Relaxed), self.left.load(Relaxed));
        if turn > now {
            return Err(Duration::from_nanos(turn - now));
        }
        let age = now - turn;
        if left > 0 && age <= QUEUE {
            return Ok(left);
        }
        let due = bucket.due(rate, now);
        let debt = due.saturating_sub(now);
        let is_ours = turn > 0 && left == 0 && age <= TURN;
        // The first time it is behind all that has moved so far; when very many share, again.
        let wait = if is_ours {
            (debt > QUEUE).then(|| debt - QUEUE / 2)
        } else {
            (debt > 0).then_some(debt)
        };
        if let Some(wait) = wait {
            self.set(now + wait, 0);
            bucket.press(now + wait);
            return Err(Duration::from_nanos(wait));
        }
        let credit = rate.bytes_in(now.saturating_sub(due));
        let step = credit.max(rate.step(debt));
        self.set(now.max(1), step);
        Ok(step)
    }

    /// Counts bytes that have moved.
    pub(crate) fn take(&self, bucket: &Bucket, rate: Rate, now: u64, bytes: u64) {
        let due = bucket.spend(rate, now, bytes);
        let left = self.left.load(Relaxed).saturating_sub(bytes);
        if left > 0 {
            self.left.store(left, Relaxed);
        } else if due > now {
            self.set(due, 0);
            bucket.press(due);
        } else {
            self.set(0, 0);
        }
    }

    fn set(&self, at: u64, left: u64) {
        self.at.store(at, Relaxed);
        self.left.store(left, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Lets `count` senders move all they may, each waking `late` after its turn has come, and
    /// gives what each has moved after so long. Every other one moves little at a time.
    fn run(rate: Rate, count: usize, late: u64, time: u64) -> Vec<u64> {
        let bucket = Bucket::default();
        let turns: Vec<Turn> = (0..count).map(|_| Turn::default()).collect();
        let (start, mut moved) = (5 * SECOND, vec![0; count]);
        let mut wakes: BTreeSet<_> = (0..count).map(|who| (start, who)).collect();
        loop {
            let (now, who) = wakes.pop_first().unwrap();
            if now >= start + time {
                return moved;
            }
            match turns[who].ask(&bucket, rate, now) {
                Ok(bytes) => {
                    let most = if who % 2 == 1 {
                        rate.bytes / 500 + 1
                    } else {
                        u64::MAX
                    };
                    let bytes = bytes.min(most);
                    moved[who] += bytes;
                    turns[who].take(&bucket, rate, now, bytes);
                    wakes.insert((now, who));
                }
                Err(wait) => {
                    let wait = u64::try_from(wait.as_nanos()).unwrap();
                    wakes.insert((now + wait + late, who));
                }
            }
        }
    }

    #[test]
    fn ten_seconds_of_many_are_exact_within_two_percent() {
        let mega = 1024 * 1024;
        for (rate, count) in [
            (20_000, 1),
            (100_000, 10),
            (mega, 1),
            (10 * mega, 100),
            (10 * mega, 1000),
            (10_000 * mega, 8),
        ] {
            for late in [0, 1_500_000, 80_000_000] {
                let moved = run(Rate::new(rate, 0).unwrap(), count, late, 10 * SECOND);
                let (moved, wanted) = (moved.iter().sum::<u64>(), 10 * rate);
                let is_exact = moved.abs_diff(wanted) * 50 <= wanted;
                assert!(is_exact, "{rate} {count} {late}: {moved} of {wanted}");
            }
        }
    }

    #[test]
    fn those_who_share_get_alike() {
        for count in [2, 10, 100] {
            let rate = Rate::new(10 << 20, 0).unwrap();
            let moved = run(rate, count, 1_000_000, 60 * SECOND);
            let (least, most) = (moved.iter().min().unwrap(), moved.iter().max().unwrap());
            assert!(least * 10 > most * 8, "{count}: {least} to {most}");
        }
    }

    #[test]
    fn steps_are_large_and_waits_short() {
        let rate = Rate::new(100 << 20, 0).unwrap();
        assert_eq!(rate.step(0), 2 << 20);
        // A hundred of them have about as much in debt.
        assert!(rate.step(QUEUE * 95 / 100) > 100_000);
        assert_eq!(Rate::new(1 << 20, 0).unwrap().step(QUEUE), 1024);
        assert_eq!(Rate::new(100, 0).unwrap().step(0), 2);
        assert_eq!(Rate::new(100 << 20, 5000).unwrap().step(0), 5000);
    }

    #[test]
    fn a_pause_gives_a_burst_and_no_more() {
        for (burst, wanted) in [(0, 50_000), (300_000, 300_000)] {
            let rate = Rate::new(1_000_000, burst).unwrap();
            let (bucket, turn) = (Bucket::default(), Turn::default());
            let now = 100 * SECOND;
            assert_eq!(turn.ask(&bucket, rate, now), Ok(wanted));
            turn.take(&bucket, rate, now, wanted + 1000);
            let wait = Duration::from_millis(1);
            assert_eq!(turn.ask(&bucket, rate, now), Err(wait));
            assert!(turn.ask(&bucket, rate, now + SECOND / 1000).is_ok());
        }
    }

    #[test]
    fn who_comes_while_others_wait_goes_behind_them() {
        let rate = Rate::new(1_000_000, 0).unwrap();
        let (bucket, old, new) = (Bucket::default(), Turn::default(), Turn::default());
        let now = 10 * SECOND;
        old.take(&bucket, rate, now, 600_000);
        // A burst of 50 ms was there.
        let wait = Duration::from_millis(550);
        assert_eq!(new.ask(&bucket, rate, now), Err(wait));
        assert_eq!(old.ask(&bucket, rate, now), Err(wait));
        // It has waited, and need not wait again although others have moved since.
        let later = now + SECOND * 55 / 100;
        old.take(&bucket, rate, later, 20_000);
        assert!(new.ask(&bucket, rate, later).is_ok());
        assert!(old.ask(&bucket, rate, later).is_err());
        // A turn that was not taken is lost in the end.
        let (much_later, moved) = (later + 2 * SECOND, Turn::default());
        moved.take(&bucket, rate, much_later, 250_000);
        assert!(new.ask(&bucket, rate, much_later).is_err());
    }

    #[test]
    fn a_rate_that_changes_counts_at_once() {
        let (slow, fast) = (
            Rate::new(1000, 0).unwrap(),
            Rate::new(1_000_000, 0).unwrap(),
        );
        let bucket = Bucket::default();
        let ask = |rate, now| Turn::default().ask(&bucket, rate, now);
        let now = 10 * SECOND;
        Turn::default().take(&bucket, fast, now, 150_000);
        assert!(ask(fast, now).is_err());
        let later = now + SECOND / 10;
        assert!(ask(fast, later).unwrap() > ask(slow, later).unwrap());
    }
}
