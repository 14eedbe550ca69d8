//! One direction of an impaired path as a calculation, without any clock.

use std::time::Duration;

use tokio::time::Instant;

use super::Impairment;
use crate::payload::Random;

/// Decides when things that enter a path leave it.
#[derive(Debug)]
pub(super) struct Lane {
    path: Impairment,
    random: Random,
    /// When the rate lets the next byte in.
    free: Option<Instant>,
    /// When the last block of a stream leaves.
    last: Option<Instant>,
}

impl Lane {
    /// `direction` keeps the two directions of a path from deciding alike.
    pub(super) fn new(path: Impairment, direction: u64) -> Self {
        let random = Random::new(path.seed.wrapping_mul(2).wrapping_add(direction));
        Self {
            path,
            random,
            free: None,
            last: None,
        }
    }

    /// When a datagram of `len` bytes that enters at `now` leaves; never, if
    /// it is lost.
    pub(super) fn datagram(&mut self, now: Instant, len: usize) -> Option<Instant> {
        // All are drawn each time, or one decision would shift the others.
        let lost = self.random.chance(self.path.loss);
        let late = self.random.chance(self.path.reorder);
        let jitter = self.jitter();
        if lost {
            return None;
        }
        if let Some(rate) = self.path.rate {
            let waiting = self
                .free
                .map_or(Duration::ZERO, |free| free.duration_since(now));
            if waiting > transmission(self.path.queue, rate) {
                return None;
            }
        }
        let mut at = self.sent(now, len) + self.path.delay + jitter;
        if late {
            at += self.path.late_by;
        }
        Some(at)
    }

    /// When a block of `len` bytes of a stream that enters at `now` leaves;
    /// never before the block in front of it.
    pub(super) fn block(&mut self, now: Instant, len: usize) -> Instant {
        let lost = self.random.chance(self.path.loss);
        let mut at = now.max(self.sent(now, len)) + self.path.delay + self.jitter();
        if lost {
            at += self.path.retransmit;
        }
        let at = self.last.map_or(at, |last| last.max(at));
        self.last = Some(at);
        at
    }

    fn sent(&mut self, now: Instant, len: usize) -> Instant {
        let Some(rate) = self.path.rate else {
            return now;
        };
        let start = self.free.map_or(now, |free| free.max(now));
        let end = start + transmission(len as u64, rate);
        self.free = Some(end);
        end
    }

    fn jitter(&mut self) -> Duration {
        self.path.jitter.mul_f64(self.random.unit())
    }
}

/// Time that `bytes` take at `rate` bytes per second.
fn transmission(bytes: u64, rate: u64) -> Duration {
    let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn fates(path: Impairment, count: usize) -> Vec<Option<Duration>> {
        let start = Instant::now();
        let mut lane = Lane::new(path, 0);
        (0..count)
            .map(|_| lane.datagram(start, 1000).map(|at| at - start))
            .collect()
    }

    #[test]
    fn a_default_path_changes_nothing() {
        assert_eq!(fates(Impairment::default(), 3), [Some(Duration::ZERO); 3]);
    }

    #[test]
    fn the_seed_decides_and_the_share_is_right() {
        let path = Impairment {
            loss: 0.1,
            reorder: 0.2,
            ..Impairment::delay(50 * MS)
        };
        let first = fates(path, 10_000);
        assert_eq!(first, fates(path, 10_000));
        assert_ne!(first, fates(Impairment { seed: 2, ..path }, 10_000));
        let lost = first.iter().filter(|fate| fate.is_none()).count();
        assert!((900..1100).contains(&lost), "{lost}");
        let late = first.iter().filter(|fate| **fate == Some(55 * MS)).count();
        assert!((1650..1950).contains(&late), "{late}");
    }

    #[test]
    fn the_two_directions_differ() {
        let now = Instant::now();
        let [mut there, mut back] = [0, 1].map(|way| Lane::new(Impairment::loss(0.5), way));
        let same = (0..1000)
            .filter(|_| there.datagram(now, 1).is_some() == back.datagram(now, 1).is_some())
            .count();
        assert!((400..600).contains(&same), "{same}");
    }

    #[test]
    fn jitter_stays_in_its_bounds() {
        let path = Impairment {
            jitter: 10 * MS,
            ..Impairment::delay(5 * MS)
        };
        let fates: Vec<_> = fates(path, 1000).into_iter().flatten().collect();
        assert!(fates.iter().all(|at| (5 * MS..15 * MS).contains(at)));
        assert!(fates.iter().any(|at| *at > 14 * MS) && fates.iter().any(|at| *at < 6 * MS));
    }

    #[test]
    fn a_rate_spaces_datagrams_and_its_queue_is_bounded() {
        let path = Impairment {
            rate: Some(1_000_000),
            queue: 5000,
            ..Impairment::default()
        };
        let fates = fates(path, 20);
        assert_eq!(fates[..3], [Some(MS), Some(2 * MS), Some(3 * MS)]);
        assert_eq!(fates.iter().flatten().count(), 6);
        assert_eq!(fates[10], None);
    }

    #[test]
    fn a_stream_keeps_its_order_and_waits_for_its_losses() {
        let path = Impairment {
            loss: 0.1,
            jitter: 20 * MS,
            ..Impairment::delay(10 * MS)
        };
        let start = Instant::now();
        let mut lane = Lane::new(path, 0);
        let times: Vec<_> = (0..200).map(|i| lane.block(start + MS * i, 100)).collect();
        assert!(times.is_sorted());
        assert!(times[199] >= start + 200 * MS);
    }
}
