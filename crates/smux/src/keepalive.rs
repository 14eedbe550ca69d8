//! When to send NOP and when to give up.

use std::time::{Duration, Instant};

use crate::config::KeepAlive;

/// Two clocks that tick independently from the start of the session, as they
/// do in the Go library.
#[derive(Debug)]
pub(crate) struct Timers {
    ping: Ticker,
    check: Ticker,
    heard: bool,
}

#[derive(Debug)]
struct Ticker {
    period: Duration,
    next: Option<Instant>,
}

/// What the clocks demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    /// Send a NOP frame.
    pub(crate) ping: bool,
    /// Nothing was heard for a whole timeout.
    pub(crate) dead: bool,
}

impl Timers {
    pub(crate) fn new(config: KeepAlive, now: Instant) -> Self {
        Self {
            ping: Ticker::new(config.interval, now),
            check: Ticker::new(config.timeout, now),
            heard: false,
        }
    }

    /// Something arrived, or could not have, because nothing was received.
    pub(crate) fn heard(&mut self) {
        self.heard = true;
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        match (self.ping.next, self.check.next) {
            (Some(ping), Some(check)) => Some(ping.min(check)),
            (ping, check) => ping.or(check),
        }
    }

    pub(crate) fn tick(&mut self, now: Instant) -> Due {
        let ping = self.ping.tick(now);
        let dead = self.check.tick(now) && !std::mem::take(&mut self.heard);
        Due { ping, dead }
    }
}

impl Ticker {
    fn new(period: Duration, now: Instant) -> Self {
        Self {
            period,
            // None if beyond what the clock can tell: never.
            next: now.checked_add(period),
        }
    }

    /// Whether the time has come. Ticks that were missed are left out.
    fn tick(&mut self, now: Instant) -> bool {
        let Some(due) = self.next.filter(|&next| next <= now) else {
            return false;
        };
        let next = due.checked_add(self.period);
        self.next = if next.is_some_and(|next| next <= now) {
            now.checked_add(self.period)
        } else {
            next
        };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pings_each_interval_and_checks_each_timeout() {
        let start = Instant::now();
        let mut timers = Timers::new(KeepAlive::default(), start);
        let mut pings = Vec::new();
        let mut dead = None;
        while dead.is_none() {
            let now = timers.next().unwrap();
            let due = timers.tick(now);
            let second = (now - start).as_secs();
            if due.ping {
                pings.push(second);
            }
            if second == 40 {
                timers.heard();
            }
            if second == 20 {
                timers.heard();
            }
            if due.dead {
                dead = Some(second);
            }
        }
        assert_eq!(pings, [10, 20, 30, 40, 50, 60, 70, 80, 90]);
        assert_eq!(dead, Some(90));
    }

    #[test]
    fn a_peer_that_never_speaks_is_given_up_at_the_first_check() {
        let start = Instant::now();
        let mut timers = Timers::new(KeepAlive::default(), start);
        assert!(!timers.tick(start + 29 * SECOND).dead);
        assert!(timers.tick(start + 30 * SECOND).dead);
    }

    #[test]
    fn missed_ticks_are_left_out() {
        let start = Instant::now();
        let mut timers = Timers::new(KeepAlive::default(), start);
        timers.heard();
        let late = start + 25 * SECOND;
        assert!(timers.tick(late).ping);
        assert!(!timers.tick(late).ping);
        assert_eq!(timers.next(), Some(start + 30 * SECOND));
    }

    #[test]
    fn a_period_beyond_the_clock_never_ends() {
        let config = KeepAlive {
            interval: Duration::MAX,
            timeout: Duration::MAX,
        };
        let mut timers = Timers::new(config, Instant::now());
        assert_eq!(timers.next(), None);
        assert!(!timers.tick(Instant::now()).dead);
    }
}
