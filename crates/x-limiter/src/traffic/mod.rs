//! Bytes per second: of all clients together, of each connection, of addresses and of users.

mod bucket;
mod rules;
mod shared;

use std::{net::IpAddr, sync::Arc, time::Duration};

use gost_core::{
    meter::{Allowance, Direction, Meter, Metering},
    policy::{Asker, LimitScope, TrafficLimiter},
};
use gost_loader::Reloading;
use tokio::time::Instant;

use self::{
    bucket::{Bucket, Rate, Turn},
    shared::Shared,
};

pub use rules::TrafficRules;

/// A bucket for each direction.
#[derive(Debug, Default)]
struct Buckets {
    input: Bucket,
    output: Bucket,
}

impl Buckets {
    const fn way(&self, direction: Direction) -> &Bucket {
        match direction {
            Direction::In => &self.input,
            Direction::Out => &self.output,
        }
    }

    fn is_full(&self, now: u64) -> bool {
        self.input.is_full(now) && self.output.is_full(now)
    }
}

/// Limits bytes per second. The rules can change while connections are under them; what has moved
/// is remembered apart from them.
pub struct Traffic(Arc<State>);

struct State {
    rules: Reloading<TrafficRules>,
    all: Arc<Buckets>,
    addresses: Shared<IpAddr>,
    users: Shared<Arc<str>>,
    start: Instant,
}

impl Traffic {
    /// Limits by these rules.
    pub fn new(rules: TrafficRules) -> Self {
        Self::with(Reloading::fixed(rules))
    }

    /// Limits by rules that are loaded, also those who are under a limit already when they change.
    /// As long as they are not known, nothing moves.
    pub fn with(rules: Reloading<TrafficRules>) -> Self {
        Self(Arc::new(State {
            rules,
            all: Arc::default(),
            addresses: Shared::default(),
            users: Shared::default(),
            start: Instant::now(),
        }))
    }
}

/// How long to wait for rules that are not known yet.
const SHUT: Duration = Duration::from_millis(200);

impl State {
    /// Nanoseconds since the beginning.
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl TrafficLimiter for Traffic {
    fn meter(&self, scope: LimitScope<'_>, _: &Asker) -> Meter {
        let (state, now) = (&self.0, self.0.now());
        let lines: Box<[Line]> = match scope {
            LimitScope::Service => Box::new([Line::new(Key::All, state.all.clone())]),
            LimitScope::Conn(addr) => {
                let ip = addr.ip().to_canonical();
                let shared = state.addresses.of(&ip, now);
                let own = Line::new(Key::Each, Arc::default());
                Box::new([own, Line::new(Key::Address(ip), shared)])
            }
            LimitScope::Client(name) => {
                let name: Arc<str> = name.into();
                let shared = state.users.of(&name, now);
                Box::new([Line::new(Key::User(name), shared)])
            }
        };
        Meter::new(Arc::new(Limited {
            state: state.clone(),
            lines,
        }))
    }
}

/// Which line of the rules somebody is under.
#[derive(Clone)]
enum Key {
    All,
    Each,
    Address(IpAddr),
    User(Arc<str>),
}

impl Key {
    fn rate(&self, rules: &TrafficRules, direction: Direction) -> Option<Rate> {
        let addresses = &rules.addresses;
        let rates = match self {
            Self::All => addresses.all,
            Self::Each => addresses.each,
            Self::Address(ip) => addresses.own(*ip),
            Self::User(name) => rules.users.get(&**name).copied().or(addresses.each),
        };
        match direction {
            Direction::In => rates?.input,
            Direction::Out => rates?.output,
        }
    }
}

/// A line of the rules, and the turns of one who is under it.
struct Line {
    key: Key,
    buckets: Arc<Buckets>,
    turns: [Turn; 2],
}

impl Line {
    fn new(key: Key, buckets: Arc<Buckets>) -> Self {
        Self {
            key,
            buckets,
            turns: <[Turn; 2]>::default(),
        }
    }

    const fn turn(&self, direction: Direction) -> &Turn {
        match direction {
            Direction::In => &self.turns[0],
            Direction::Out => &self.turns[1],
        }
    }
}

/// What one connection is under.
struct Limited {
    state: Arc<State>,
    lines: Box<[Line]>,
}

impl Metering for Limited {
    fn count(&self, direction: Direction, bytes: usize) {
        let (rules, now) = (self.state.rules.load(), self.state.now());
        for line in &self.lines {
            if let Some(rate) = line.key.rate(&rules, direction) {
                let bucket = line.buckets.way(direction);
                line.turn(direction).take(bucket, rate, now, bytes as u64);
            }
        }
    }

    fn allow(&self, direction: Direction, want: usize) -> Allowance {
        let (rules, now) = (self.state.rules.load(), self.state.now());
        if rules.is_shut {
            return Allowance::After(SHUT);
        }
        let mut allowed = Allowance::Bytes(want);
        for line in &self.lines {
            let Some(rate) = line.key.rate(&rules, direction) else {
                continue;
            };
            let bucket = line.buckets.way(direction);
            allowed = match (allowed, line.turn(direction).ask(bucket, rate, now)) {
                (Allowance::Bytes(n), Ok(bytes)) => {
                    Allowance::Bytes(n.min(usize::try_from(bytes).unwrap_or(usize::MAX)))
                }
                (Allowance::After(one), Err(other)) => Allowance::After(one.max(other)),
                (_, Err(wait)) => Allowance::After(wait),
                (allowed, Ok(_)) => allowed,
            };
        }
        allowed
    }

    fn of_one(&self) -> Option<Meter> {
        let one = |line: &Line| Line::new(line.key.clone(), line.buckets.clone());
        Some(Meter::new(Arc::new(Self {
            state: self.state.clone(),
            lines: self.lines.iter().map(one).collect(),
        })))
    }
}

#[cfg(test)]
mod tests;
