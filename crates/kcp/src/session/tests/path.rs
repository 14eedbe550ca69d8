//! The path, and a simulation of both ends.

use std::collections::BTreeMap;

use super::super::*;

/// A path for datagrams, the same for the same seed.
pub(super) struct Path {
    random: fastrand::Rng,
    /// Percent of datagrams that are lost, and that come twice.
    loss: u8,
    repeat: u8,
    /// Milliseconds that a datagram takes at least, and at most in addition.
    delay: u64,
    jitter: u64,
    /// By arrival; each with the end that gets it.
    flying: BTreeMap<(u64, u64), (usize, Vec<u8>)>,
    count: u64,
}

impl Path {
    pub(super) fn new(seed: u64, loss: u8, delay: u64, jitter: u64) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            loss,
            repeat: loss / 2,
            delay,
            jitter,
            flying: BTreeMap::new(),
            count: 0,
        }
    }

    fn send(&mut self, now: u64, to: usize, datagram: &[u8]) {
        let chance = |random: &mut fastrand::Rng, percent| random.u8(..100) < percent;
        let copies = 1 + u8::from(chance(&mut self.random, self.repeat));
        for _ in 0..copies {
            self.count += 1;
            if !chance(&mut self.random, self.loss) {
                let at = now + self.delay + self.random.u64(..=self.jitter);
                self.flying
                    .insert((at, self.count), (to, datagram.to_vec()));
            }
        }
    }
}

/// What came of it.
pub(super) struct Outcome {
    /// Simulated milliseconds.
    pub(super) took: u64,
    pub(super) stats: [Stats; 2],
    pub(super) datagrams: u64,
    /// How many milliseconds after they could be written bytes were read, for each time that some
    /// were.
    pub(super) lateness: Vec<u64>,
}

/// Sends `text` from either end to the other, through a path; panics when it does not get there.
pub(super) fn run(configs: [&Config; 2], path: &mut Path, texts: [&[u8]; 2]) -> Outcome {
    run_slowly(configs, path, texts, (usize::MAX, 1))
}

/// The same; so many bytes are written at once, and the next after so many milliseconds.
pub(super) fn run_slowly(
    configs: [&Config; 2],
    path: &mut Path,
    texts: [&[u8]; 2],
    (at_once, every): (usize, u64),
) -> Outcome {
    let start = Instant::now();
    let at = |now: u64| start + Duration::from_millis(now);
    let mut ends = configs.map(|c| Session::new(99, c.clone(), start).unwrap());
    let mut written = [0; 2];
    let mut read = [0; 2];
    let mut lateness = Vec::new();
    let mut now = 0;
    while read != [texts[1].len(), texts[0].len()] {
        assert!(now < 1_000_000, "no progress: {read:?}");
        while let Some(first) = path.flying.first_entry() {
            if first.key().0 > now {
                break;
            }
            let (to, datagram) = first.remove();
            ends[to].receive(at(now), &datagram[packet::HEADER..]);
        }
        for (i, end) in ends.iter_mut().enumerate() {
            assert!(!end.is_dead());
            let rest = &texts[i][written[i]..];
            let due = at_once.saturating_mul((now / every) as usize + 1);
            let some = due.saturating_sub(written[i]).min(end.writable());
            let some = &rest[..rest.len().min(some)];
            end.write(some);
            written[i] += some.len();
            while !end.peek().is_empty() {
                let piece = end.peek();
                let expected = &texts[1 - i][read[i]..][..piece.len()];
                assert_eq!(piece, expected, "at {}", read[i]);
                let length = piece.len();
                end.consume(length);
                read[i] += length;
                let written_at = ((read[i] - 1) / at_once) as u64 * every;
                lateness.push(now - written_at);
            }
            let due = end.next_timeout().is_some_and(|t| t <= at(now));
            if due || end.wants_send() {
                let mut room = [0; 1500];
                while let Some(length) = end.transmit(at(now), &mut room) {
                    assert!(length <= configs[i].mtu);
                    path.send(now, 1 - i, &room[..length]);
                }
            }
        }
        let arrival = path.flying.first_key_value().map(|((at, _), _)| *at);
        let timers = ends.iter().filter_map(Session::next_timeout);
        let timer = timers
            .min()
            .map(|t| t.duration_since(start).as_millis() as u64);
        let write = (written[0] < texts[0].len()).then_some((now / every + 1) * every);
        let write = write.filter(|_| at_once < usize::MAX);
        let next = arrival.into_iter().chain(timer).chain(write).min();
        now = next.map_or(now, |next| next.max(now)).max(now);
        if path.flying.is_empty() && next.is_none_or(|next| next <= now) {
            now += 1;
        }
    }
    Outcome {
        took: now,
        stats: ends.map(|end| end.stats()),
        datagrams: path.count,
        lateness,
    }
}

/// Random bytes.
pub(super) fn text(length: usize, seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| random.u8(..))
        .take(length)
        .collect()
}
