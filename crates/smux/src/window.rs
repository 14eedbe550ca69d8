//! Version 2: the windows that peers are given.
//!
//! A stream carries at most one window in each round trip. So a window that
//! is used up faster than the peer could hear of it is doubled, until half of
//! it takes two round trips: that is four times what bandwidth and delay
//! multiply to. All windows together grow within [`Growth`] only, of which
//! each stream that wants to has an equal share.
//!
//! The protocol has no echo that would tell the round trip. But data beyond
//! the limit that the peer knew can come only after the frame that moved the
//! limit has arrived there: the time in between is a round trip or more, and
//! the shortest of such times is close to one.

use std::time::{Duration, Instant};

use crate::config::Config;
use crate::frame::INITIAL_WINDOW;

/// What was read of a stream and what the peer was told of it. Offsets are
/// modulo 2^32.
#[derive(Debug)]
pub(crate) struct ReceiveWindow {
    /// Bytes read so far.
    pub(crate) total: u32,
    /// Bytes read that the peer was not told of.
    untold: u32,
    /// The window that the peer has.
    size: u32,
    /// How much of it came out of the growth that all streams share.
    granted: u32,
    /// How much it would like to have.
    wanted: u32,
    /// The peer has never been allowed to send beyond this offset.
    limit: u32,
    told_at: Option<Instant>,
    /// Data beyond this offset answers what was told then.
    probe: Option<(u32, Instant)>,
}

/// The growth that all windows of a session share, and the round trip.
#[derive(Debug)]
pub(crate) struct Growth {
    most: u32,
    granted: u32,
    /// Streams that want some.
    wanting: u32,
    /// The shortest round trip of this period and of the one before.
    trips: [Option<Duration>; 2],
    /// The last round trip, with all the waiting in a crowded path.
    latest: Duration,
}

impl ReceiveWindow {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            total: 0,
            untold: 0,
            // At most 2^31 - 1 by the rules of the configuration.
            size: config.max_stream_buffer as u32,
            granted: 0,
            wanted: 0,
            limit: INITIAL_WINDOW,
            told_at: None,
            probe: None,
        }
    }

    /// Counts `length` bytes read; says whether the peer should be told.
    ///
    /// That is so for the first read, then whenever half of the window was
    /// read since. It is also the case if `total` wraps around to zero just
    /// before this read: harmless, and what the Go library does.
    pub(crate) fn add(&mut self, length: usize) -> bool {
        // Modulo 2^32 by definition of the counters.
        let length = length as u32;
        self.total = self.total.wrapping_add(length);
        self.untold = self.untold.saturating_add(length);
        self.untold >= self.size / 2 || self.total == length
    }

    /// The bytes read and the window, to be told to the peer at `now`.
    pub(crate) fn tell(
        &mut self,
        config: &Config,
        growth: &mut Growth,
        now: Option<Instant>,
    ) -> (u32, u32) {
        if let (Some(now), Some(told_at), Some(trip)) = (now, self.told_at, growth.round_trip())
            && self.untold >= self.size / 2
        {
            let took = now.saturating_duration_since(told_at);
            let usual = growth.usual();
            if took < 2 * trip {
                let grown = self.size.saturating_add(self.granted);
                self.want(grown.min(growth.most), growth);
            } else if self.wanted < usual && took < 2 * growth.latest {
                // The path is crowded, so that all take longer than it would: those who came
                // first are not to keep more of it than others.
                self.want(usual, growth);
            }
        }
        self.announce(config, growth);
        self.untold = 0;
        self.told_at = now;
        if self.probe.is_none() {
            self.probe = now.map(|now| (self.limit, now));
        }
        let limit = self.total.wrapping_add(self.size);
        if is_after(limit, self.limit) {
            self.limit = limit;
        }
        (self.total, self.size)
    }

    /// Notes that all bytes up to the offset `received` have arrived.
    pub(crate) fn arrived(&mut self, received: u32, growth: &mut Growth, now: Option<Instant>) {
        if let (Some((limit, told_at)), Some(now)) = (self.probe, now)
            && is_after(received, limit)
        {
            self.probe = None;
            growth.add_trip(now.saturating_duration_since(told_at));
        }
    }

    /// How many bytes the peer may have sent that were not read, if it heard
    /// all that it was told.
    pub(crate) fn outstanding(&self) -> usize {
        self.limit.wrapping_sub(self.total) as usize
    }

    /// Gives growth back that was not used for a while; says whether the
    /// peer should be told.
    pub(crate) fn rest(&mut self, growth: &mut Growth, since: Instant) -> bool {
        if self.wanted == 0 || self.told_at.is_some_and(|at| at >= since) {
            return false;
        }
        self.want(0, growth);
        true
    }

    /// Gives back all growth of a stream that is over.
    pub(crate) fn release(&mut self, growth: &mut Growth) {
        self.want(0, growth);
        growth.granted -= std::mem::take(&mut self.granted);
    }

    fn want(&mut self, bytes: u32, growth: &mut Growth) {
        growth.wanting -= u32::from(self.wanted > 0);
        self.wanted = bytes;
        growth.wanting += u32::from(self.wanted > 0);
    }

    fn announce(&mut self, config: &Config, growth: &mut Growth) {
        growth.granted -= self.granted;
        self.granted = self.wanted.min(growth.share());
        growth.granted += self.granted;
        // Both summands are below 2^31 by the rules of the configuration.
        self.size = config.max_stream_buffer as u32 + self.granted;
    }
}

impl Growth {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            // Below 2^30 by the rules of the configuration.
            most: config.max_window_growth as u32,
            granted: 0,
            wanting: 0,
            trips: [None; 2],
            latest: Duration::ZERO,
        }
    }

    /// What one stream may have: as much as each other that wants some, and
    /// no more than is left. One share stays for who comes next.
    fn share(&self) -> u32 {
        let fair = self.most / (self.wanting + 1);
        fair.min(self.most - self.granted)
    }

    /// What those who want some growth have of it, on average.
    fn usual(&self) -> u32 {
        self.granted.checked_div(self.wanting).unwrap_or(0)
    }

    /// True when no window has grown or wants to.
    pub(crate) fn is_idle(&self) -> bool {
        self.wanting == 0
    }

    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.trips.iter().copied().flatten().min()
    }

    fn add_trip(&mut self, trip: Duration) {
        self.latest = trip;
        let [current, _] = &mut self.trips;
        *current = Some(current.map_or(trip, |shortest| shortest.min(trip)));
    }

    /// Forgets old round trips: paths change.
    pub(crate) fn next_period(&mut self) {
        let [current, before] = &mut self.trips;
        if current.is_some() {
            *before = current.take();
        }
    }
}

/// Whether an offset comes after another one, modulo 2^32.
fn is_after(offset: u32, other: u32) -> bool {
    (1..1 << 31).contains(&offset.wrapping_sub(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A stream that is read as fast as it comes, and how it is told so.
    struct Reader {
        window: ReceiveWindow,
        received: u32,
    }

    impl Reader {
        fn new(config: &Config) -> Self {
            let window = ReceiveWindow::new(config);
            Self {
                window,
                received: 0,
            }
        }

        /// Uses up what the peer may send, in one round trip.
        fn round(&mut self, config: &Config, growth: &mut Growth, now: Instant) -> u32 {
            let all = self.window.outstanding();
            for part in [all / 2, all - all / 2] {
                self.received = self.received.wrapping_add(part as u32);
                self.window.arrived(self.received, growth, Some(now));
                if self.window.add(part) {
                    self.window.tell(config, growth, Some(now));
                }
            }
            self.window.size
        }
    }

    #[test]
    fn updates_are_due_first_and_then_at_each_half_window() {
        let config = Config::default();
        let (mut window, mut growth) = (ReceiveWindow::new(&config), Growth::new(&config));
        let due: Vec<_> = [4, 32_767, 1, 32_768, 10, 65_536]
            .into_iter()
            .map(|length| {
                let due = window.add(length);
                due.then(|| window.tell(&config, &mut growth, None))
            })
            .collect();
        let told = |total| Some((total, 65_536));
        let expected = [
            told(4),
            None,
            told(32_772),
            told(65_540),
            None,
            told(131_086),
        ];
        assert_eq!(due, expected);
    }

    #[test]
    fn read_counts_wrap() {
        let mut window = ReceiveWindow::new(&Config::default());
        window.total = u32::MAX - 9;
        assert!(!window.add(5));
        assert!(window.add(32_768));
        assert_eq!(window.total, 32_763);
        for (offset, other, after) in [
            (1, 0, true),
            (0, 0, false),
            (0, 1, false),
            (3, u32::MAX, true),
            (u32::MAX, 3, false),
        ] {
            assert_eq!(is_after(offset, other), after, "{offset} {other}");
        }
    }

    #[test]
    fn a_window_that_limits_grows_to_its_share_and_one_that_does_not_stays() {
        let config = Config::default();
        let mut growth = Growth::new(&config);
        let mut reader = Reader::new(&config);
        let mut now = Instant::now();
        let mut last = 0;
        for _ in 0..20 {
            now += 200 * MS;
            last = reader.round(&config, &mut growth, now);
        }
        assert_eq!(last, 65_536 + (8 << 20), "half of all growth");
        let trip = growth.round_trip().unwrap();
        assert!((200 * MS..=400 * MS).contains(&trip), "{trip:?}");

        // A stream that takes its time.
        let mut slow = ReceiveWindow::new(&config);
        for _ in 0..20 {
            now += 450 * MS;
            growth.add_trip(200 * MS);
            assert!(slow.add(32_768));
            let (_, size) = slow.tell(&config, &mut growth, Some(now));
            assert_eq!(size, 65_536);
        }
    }

    #[test]
    fn all_streams_together_grow_within_bounds_and_alike() {
        let config = Config::default();
        let mut growth = Growth::new(&config);
        let mut readers: Vec<_> = (0..100).map(|_| Reader::new(&config)).collect();
        let mut now = Instant::now();
        for round in 0..40 {
            now += 200 * MS;
            // They begin one after the other.
            for reader in readers.iter_mut().take(1 + 5 * round) {
                reader.round(&config, &mut growth, now);
                assert!(growth.granted <= growth.most);
            }
        }
        let sizes: Vec<_> = readers.iter().map(|r| r.window.size).collect();
        let share = 65_536 + (16 << 20) / 101;
        assert!(sizes.iter().all(|&size| size == share), "{sizes:?}");

        for reader in &mut readers {
            reader.window.release(&mut growth);
        }
        assert_eq!((growth.granted, growth.wanting), (0, 0));
    }

    #[test]
    fn who_comes_late_to_a_crowded_path_gets_as_much_as_others() {
        let config = Config::default();
        let mut growth = Growth::new(&config);
        let mut early = Reader::new(&config);
        let mut late = ReceiveWindow::new(&config);
        let mut now = Instant::now();
        for _ in 0..20 {
            now += 200 * MS;
            early.round(&config, &mut growth, now);
        }
        // By now everything waits for a second.
        for _ in 0..3 {
            growth.add_trip(1000 * MS);
            now += 500 * MS;
            assert!(late.add(late.size as usize / 2));
            late.tell(&config, &mut growth, Some(now));
        }
        now += 1000 * MS;
        let early = early.round(&config, &mut growth, now);
        assert_eq!(late.granted, (16 << 20) / 3);
        assert!(early <= 65_536 + (8 << 20));
        // Which is no reason to grow beyond that.
        growth.add_trip(1000 * MS);
        now += 500 * MS;
        assert!(late.add(late.size as usize / 2));
        assert!(late.tell(&config, &mut growth, Some(now)).1 <= 65_536 + (16 << 20) / 3);
    }

    #[test]
    fn growth_that_is_not_used_goes_back() {
        let config = Config::default();
        let mut growth = Growth::new(&config);
        let mut reader = Reader::new(&config);
        let mut now = Instant::now();
        for _ in 0..20 {
            now += 200 * MS;
            reader.round(&config, &mut growth, now);
        }
        assert!(!reader.window.rest(&mut growth, now));
        assert!(reader.window.rest(&mut growth, now + MS));
        let told = reader.window.tell(&config, &mut growth, Some(now));
        assert_eq!(told, (reader.received, 65_536));
        assert_eq!((growth.granted, growth.wanting), (0, 0));
        // The peer may not have heard of it yet.
        assert!(reader.window.outstanding() > 4 << 20);
    }

    #[test]
    fn a_longer_path_is_noticed() {
        let mut growth = Growth::new(&Config::default());
        growth.add_trip(10 * MS);
        growth.add_trip(30 * MS);
        assert_eq!(growth.round_trip(), Some(10 * MS));
        growth.next_period();
        growth.add_trip(200 * MS);
        assert_eq!(growth.round_trip(), Some(10 * MS));
        growth.next_period();
        assert_eq!(growth.round_trip(), Some(200 * MS));
        // Silence is no news.
        growth.next_period();
        growth.next_period();
        assert_eq!(growth.round_trip(), Some(200 * MS));
    }
}
