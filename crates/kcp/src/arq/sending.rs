//! What is sent, and sent again.

use super::{
    Acks, Arq, DEAD, FIRST_PROBE, LONGEST_PROBE, MAX_TIMEOUT, MIN_THRESHOLD, MIN_TIMEOUT,
    MIN_TIMEOUT_NO_DELAY, Millis, Out, before,
};
use crate::segment::{Command, Header};

/// A segment that has a number.
#[derive(Debug)]
pub(super) struct Flight {
    data: Vec<u8>,
    pub(super) acknowledged: bool,
    /// It is in the list of those to be sent again.
    listed: bool,
    /// It was sent again because others overtook it: from then on only time counts.
    overtaken: bool,
    /// It was sent before.
    sent: bool,
    /// How many acknowledgements of later segments came since.
    pub(super) passed: u32,
    /// When it was last sent, by the clock on the wire.
    time: u32,
    /// The same, by ours.
    sent_at: Millis,
    timeout: u32,
    resend_at: Millis,
}

impl Arq {
    /// How many bytes may be written now.
    pub(crate) fn writable(&self) -> usize {
        self.room() * self.segment
    }

    /// True when so much may be written that it is worth while to wake the writer.
    pub(crate) fn is_roomy(&self) -> bool {
        self.room() >= self.slack() / 2
    }

    /// How many more segments may be written.
    fn room(&self) -> usize {
        let most = self.config.send_window as usize + self.slack();
        most.saturating_sub(self.queue.len() + self.flight.len())
    }

    /// Segments beyond what may be on its way: enough to keep going until the writer is back.
    fn slack(&self) -> usize {
        (self.config.send_window as usize).clamp(32, 128)
    }

    /// Queues bytes; how many is for the caller to bound, see [`Self::writable`].
    pub(crate) fn write(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let full = self.segment;
            if self.queue.back().is_none_or(|last| last.len() >= full) {
                let buffer = self.buffer();
                self.queue.push_back(buffer);
            }
            let Some(last) = self.queue.back_mut() else {
                return;
            };
            let (now, later) = bytes.split_at(bytes.len().min(full - last.len()));
            last.extend_from_slice(now);
            bytes = later;
        }
    }

    /// True when everything that was written has arrived.
    pub(crate) fn is_delivered(&self) -> bool {
        self.queue.is_empty() && self.flight.is_empty()
    }

    /// How many segments may be on their way.
    pub(super) fn window(&self) -> u32 {
        let window = self.config.send_window.min(self.remote_window);
        if self.config.no_congestion_control {
            window
        } else {
            window.min(self.congestion_window)
        }
    }

    /// How many more segments may be on their way.
    pub(super) fn allowed(&self) -> usize {
        (self.window() as usize).saturating_sub(self.flight.len())
    }

    /// Gives numbers to what may be sent for the first time; says how many.
    pub(super) fn move_to_flight(&mut self) -> usize {
        let moved = self.allowed().min(self.queue.len());
        for data in self.queue.drain(..moved) {
            self.flight.push_back(Flight {
                data,
                acknowledged: false,
                listed: false,
                overtaken: false,
                sent: false,
                passed: 0,
                time: 0,
                sent_at: 0,
                timeout: 0,
                resend_at: 0,
            });
        }
        self.unsent += moved;
        moved
    }

    /// Lists what is to be sent again. `moved` segments are going to be sent for the first time.
    pub(super) fn find_lost(&mut self, now: Millis, moved: usize) {
        let due = self.next_timeout.is_some_and(|at| at <= now);
        if !due && !self.overtaken {
            return;
        }
        self.overtaken = false;
        let late = Millis::from(self.round_trip + self.round_trip / 8);
        let (mut early, mut timed_out) = (false, false);
        let mut next: Option<Millis> = None;
        let timeout = self.timeout;
        let flown = self.flight.len() - self.unsent;
        for (i, segment) in self.flight.iter_mut().take(flown).enumerate() {
            if segment.acknowledged {
                continue;
            }
            let passed = segment.passed > 0
                && !segment.overtaken
                // With nothing new to send, what is sent again costs nobody anything.
                && (moved == 0
                    || (self.config.fast_resend > 0 && segment.passed >= self.config.fast_resend));
            // Those that are merely late come within a part of the round trip.
            let late_until = segment.sent_at + late;
            let again = if passed && late_until <= now {
                segment.overtaken = true;
                segment.timeout = timeout;
                self.stats.resent_early += 1;
                early = true;
                true
            } else if segment.resend_at <= now {
                let more = if self.config.no_delay {
                    timeout / 2
                } else {
                    timeout
                };
                segment.timeout = segment.timeout.saturating_add(more).min(MAX_TIMEOUT);
                segment.passed = 0;
                segment.overtaken = false;
                self.stats.timed_out += 1;
                timed_out = true;
                true
            } else {
                false
            };
            if again {
                segment.resend_at = now + Millis::from(segment.timeout);
                self.dead |= i == 0 && self.tries >= DEAD;
                if !segment.listed {
                    segment.listed = true;
                    self.resend.push_back(self.una.wrapping_add(i as u32));
                }
            }
            let at = match segment.resend_at {
                at if passed && !again => at.min(late_until),
                at => at,
            };
            next = Some(next.map_or(at, |next| next.min(at)));
        }
        self.next_timeout = next;
        if early {
            let flying = self.flight.len() as u32;
            self.threshold = (flying / 2).max(MIN_THRESHOLD);
            self.congestion_window = self.threshold.saturating_add(self.config.fast_resend);
            self.credit = 0;
        }
        if timed_out {
            let window = self.config.send_window.min(self.remote_window);
            let window = window.min(self.congestion_window);
            self.threshold = (window / 2).max(MIN_THRESHOLD);
            self.congestion_window = 1;
            self.credit = 0;
        }
    }

    /// Writes data: first what was lost, then what is new.
    pub(super) fn emit_data(&mut self, now: Millis, header: Header, out: &mut Out<'_>) {
        while let Some(number) = self.resend.front().copied() {
            let index = number.wrapping_sub(self.una) as usize;
            let wanted = self.flight.get(index).is_some_and(|s| !s.acknowledged);
            if wanted && !self.emit_one(now, header, index, out) {
                return;
            }
            self.resend.pop_front();
            if let Some(segment) = self.flight.get_mut(index) {
                segment.listed = false;
            }
        }
        while self.unsent > 0 {
            let index = self.flight.len() - self.unsent;
            if !self.emit_one(now, header, index, out) {
                return;
            }
            self.unsent -= 1;
        }
    }

    /// Writes one segment; false when it does not fit, or has to wait.
    fn emit_one(&mut self, now: Millis, header: Header, index: usize, out: &mut Out<'_>) -> bool {
        let window = self.window();
        let segment = &mut self.flight[index];
        if !out.fits(segment.data.len()) || !self.pace.take(window) {
            return false;
        }
        let header = Header {
            command: Command::Push,
            number: self.una.wrapping_add(index as u32),
            length: segment.data.len() as u32,
            ..header
        };
        if !out.put(header, &segment.data) {
            return false;
        }
        segment.time = header.time;
        segment.sent_at = now;
        if !segment.sent {
            self.stats.sent += 1;
            segment.timeout = self.timeout;
            segment.resend_at = now + Millis::from(self.timeout);
        }
        segment.sent = true;
        self.tries += u32::from(index == 0);
        let at = segment.resend_at;
        self.next_timeout = Some(self.next_timeout.map_or(at, |next| next.min(at)));
        true
    }

    /// All segments before `expected` have arrived.
    pub(super) fn acknowledge_before(&mut self, expected: u32) {
        let flown = (self.flight.len() - self.unsent) as u32;
        let arrived = expected.wrapping_sub(self.una);
        if arrived == 0 || arrived > flown {
            return;
        }
        for _ in 0..arrived {
            if let Some(segment) = self.flight.pop_front() {
                self.give_back(segment.data);
            }
        }
        self.una = expected;
        self.tries = 0;
        if self.flight.is_empty() {
            self.next_timeout = None;
        }
    }

    /// A segment has arrived; true when that is news.
    pub(super) fn acknowledge(&mut self, number: u32) -> bool {
        let flown = self.flight.len() - self.unsent;
        let index = number.wrapping_sub(self.una) as usize;
        if index >= flown {
            return false;
        }
        let segment = &mut self.flight[index];
        let news = !std::mem::replace(&mut segment.acknowledged, true);
        let data = std::mem::take(&mut segment.data);
        self.give_back(data);
        news
    }

    /// Notes for each segment how many later ones have arrived.
    pub(super) fn count_overtaken(&mut self, acks: &mut Acks) {
        let Some(time) = acks.time else { return };
        let una = self.una;
        let order = |number: &u32| number.wrapping_sub(una).cast_signed();
        acks.numbers.sort_unstable_by_key(order);
        let Some(span) = acks.numbers.last().map(order) else {
            return;
        };
        let mut passed = 0;
        let span = usize::try_from(span).unwrap_or(0);
        for (i, segment) in self.flight.iter_mut().enumerate().take(span) {
            let number = una.wrapping_add(i as u32);
            while acks
                .numbers
                .get(passed)
                .is_some_and(|n| !before(number, *n))
            {
                passed += 1;
            }
            if !segment.acknowledged && !before(time, segment.time) {
                segment.passed += (acks.numbers.len() - passed) as u32;
                self.overtaken |= !segment.overtaken;
            }
        }
    }

    /// A round trip took so many milliseconds. Source: `update_ack` of kcp-go, RFC 6298.
    pub(super) fn measure(&mut self, sample: u32) {
        if self.round_trip == 0 {
            self.round_trip = sample;
            self.deviation = sample / 2;
        } else {
            let difference = self.round_trip.abs_diff(sample);
            // One that is better than expected does not make the timeout longer by much.
            let expected = sample.saturating_add(self.deviation) >= self.round_trip;
            let weight = if expected { 4 } else { 32 };
            self.deviation = self.deviation - self.deviation / weight + difference / weight;
            self.round_trip = self.round_trip - self.round_trip / 8 + sample / 8;
        }
        let least = if self.config.no_delay {
            MIN_TIMEOUT_NO_DELAY
        } else {
            MIN_TIMEOUT
        };
        let timeout = self.round_trip + self.config.interval.max(4 * self.deviation);
        self.timeout = timeout.clamp(least, MAX_TIMEOUT);
    }

    /// So many segments were acknowledged.
    pub(super) fn open_window(&mut self, mut acknowledged: u32) {
        if self.config.no_congestion_control {
            return;
        }
        if self.congestion_window < self.threshold {
            let more = acknowledged.min(self.threshold - self.congestion_window);
            self.congestion_window += more;
            acknowledged -= more;
        }
        self.credit = self.credit.saturating_add(acknowledged);
        while self.credit >= self.congestion_window {
            self.credit -= self.congestion_window;
            self.congestion_window = self.congestion_window.saturating_add(1);
        }
        let most = self.config.send_window.min(self.remote_window).max(1);
        if self.congestion_window >= most {
            self.congestion_window = most;
            self.credit = 0;
        }
    }

    /// Sees to it that the peer is asked about its window while that is closed.
    pub(super) fn watch_window(&mut self, now: Millis) {
        if self.remote_window > 0 {
            self.probe_at = None;
        } else if self.probe_at.is_none() {
            self.probe_wait = FIRST_PROBE;
            self.probe_at = Some(now + FIRST_PROBE);
        }
    }

    /// Asks when it is time to.
    pub(super) fn probe(&mut self, now: Millis) {
        if self.probe_at.is_some_and(|at| at <= now) {
            self.probe_wait = (self.probe_wait * 3 / 2).min(LONGEST_PROBE);
            self.probe_at = Some(now + self.probe_wait);
            self.ask = true;
        }
    }
}
