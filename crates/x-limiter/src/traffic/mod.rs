//! Bytes per second: of all clients together, of each connection, of addresses and of users.

mod rules;
mod shared;

use std::{
    net::IpAddr,
    sync::{
        Arc, OnceLock,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    time::Duration,
};

use gost_core::{
    meter::{Allowance, Direction, Meter, Metering},
    policy::{Asker, LimitScope, TrafficLimiter},
};
use gost_loader::Reloading;
use gost_pace::{Buckets, Clock, Rate, Rates, Turns};

use self::shared::Shared;

pub use rules::TrafficRules;

/// Limits bytes per second. The rules can change while connections are under them; what has moved
/// is remembered apart from them.
pub struct Traffic(Arc<State>);

struct State {
    rules: Reloading<TrafficRules>,
    all: Arc<Buckets>,
    addresses: Shared<IpAddr>,
    users: Shared<Arc<str>>,
    clock: Clock,
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
            clock: Clock::default(),
        }))
    }
}

/// How long to wait for rules that are not known yet.
const SHUT: Duration = Duration::from_millis(200);

impl TrafficLimiter for Traffic {
    fn meter(&self, scope: LimitScope<'_>, _: &Asker) -> Meter {
        let lines = match scope {
            LimitScope::Service(_) => [Some(Key::All), None],
            LimitScope::Conn(addr) => {
                let ip = addr.ip().to_canonical();
                [Some(Key::Each), Some(Key::Address(ip))]
            }
            LimitScope::Client { name, .. } => [Some(Key::User(name.into())), None],
        };
        let lines = lines.map(|key| key.map(Line::new));
        Meter::new(Arc::new(Limited::new(self.0.clone(), lines)))
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

impl State {
    /// What has moved under a line.
    fn buckets(&self, key: &Key) -> Arc<Buckets> {
        match key {
            Key::All => self.all.clone(),
            Key::Each => Arc::default(),
            Key::Address(ip) => self.addresses.of(ip, self.clock.now()),
            Key::User(name) => self.users.of(name, self.clock.now()),
        }
    }
}

/// A line of the rules, and the turns of one who is under it.
struct Line {
    key: Key,
    /// What the rules say of it, as long as they are the same.
    rates: Rates,
    /// Made once they say something.
    buckets: OnceLock<Arc<Buckets>>,
    turns: Turns,
}

impl Line {
    fn new(key: Key) -> Self {
        Self {
            key,
            rates: Rates::default(),
            buckets: OnceLock::new(),
            turns: Turns::default(),
        }
    }

    fn limit(&self, direction: Direction) -> Option<(Rate, &Buckets)> {
        Some((self.rates.get(direction)?, self.buckets.get()?))
    }
}

/// What one connection is under.
struct Limited {
    state: Arc<State>,
    lines: [Option<Line>; 2],
    /// Of which rules the lines know.
    version: AtomicU64,
    is_shut: AtomicBool,
}

impl Limited {
    fn new(state: Arc<State>, lines: [Option<Line>; 2]) -> Self {
        Self {
            state,
            lines,
            version: AtomicU64::new(u64::MAX),
            is_shut: AtomicBool::new(false),
        }
    }

    /// The lines, as the rules are now.
    fn lines(&self) -> impl Iterator<Item = &Line> {
        let version = self.state.rules.version();
        if self.version.load(Acquire) != version {
            self.learn();
            self.version.store(version, Release);
        }
        self.lines.iter().flatten()
    }

    fn learn(&self) {
        let rules = self.state.rules.load();
        for line in self.lines.iter().flatten() {
            for direction in [Direction::In, Direction::Out] {
                let rate = line.key.rate(&rules, direction);
                if rate.is_some() {
                    line.buckets.get_or_init(|| self.state.buckets(&line.key));
                }
                line.rates.set(direction, rate);
            }
        }
        self.is_shut.store(rules.is_shut, Relaxed);
    }
}

impl Metering for Limited {
    fn count(&self, direction: Direction, bytes: usize) {
        for line in self.lines() {
            if let Some((rate, buckets)) = line.limit(direction) {
                let now = self.state.clock.now();
                let turns = &line.turns;
                turns.take(buckets, direction, rate, now, bytes as u64);
            }
        }
    }

    fn allow(&self, direction: Direction, want: usize) -> Allowance {
        let lines = self.lines();
        if self.is_shut.load(Relaxed) {
            return Allowance::After(SHUT);
        }
        let mut allowed = Allowance::Bytes(want);
        for line in lines {
            let Some((rate, buckets)) = line.limit(direction) else {
                continue;
            };
            let now = self.state.clock.now();
            let asked = line.turns.ask(buckets, direction, rate, now);
            allowed = match (allowed, asked) {
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
        let again = |line: &Line| Line {
            buckets: line.buckets.clone(),
            ..Line::new(line.key.clone())
        };
        let lines = self.lines.each_ref().map(|line| line.as_ref().map(again));
        let one = Self::new(self.state.clone(), lines);
        Some(Meter::new(Arc::new(one)))
    }
}

#[cfg(test)]
mod tests;
