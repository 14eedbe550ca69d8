//! Limits of traffic that a plugin sets.

use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use gost_core::{
    addr::Network,
    meter::{Allowance, Direction, Meter, Metering},
    policy::{Asker, LimitScope, TrafficLimiter},
};
use gost_pace::{Buckets, Clock, Rate, Rates, Turns};
use parking_lot::Mutex;

use crate::{client::Client, messages::LimitRequest};

/// How long an answer counts when nobody says how long.
const REFRESH: Duration = Duration::from_secs(30);
/// The shortest time for which one counts.
const SHORTEST: Duration = Duration::from_secs(1);
/// How soon one is asked again that has not answered, in nanoseconds.
const RETRY: u64 = 1_000_000_000;
/// How soon those look again who wait for the first answer.
const LOOK: Duration = Duration::from_millis(5);
/// How many are remembered before those are forgotten that nobody uses.
const REMEMBERED: usize = 256;

/// Limits that a plugin sets. One that does not answer leaves them as they were; as long as it has
/// never answered there is no limit, once its time to answer is over.
pub(crate) struct PluginLimiter {
    client: Arc<Client>,
    shared: Mutex<Shared>,
}

/// What all connections of a service, or of a client, have in common.
#[derive(Default)]
struct Shared {
    limits: HashMap<(String, Option<String>), Arc<Limits>>,
    /// How many there may be before it is worth looking for those that nobody uses.
    most: usize,
}

impl PluginLimiter {
    pub(crate) fn new(client: Arc<Client>) -> Self {
        Self {
            client,
            shared: Mutex::default(),
        }
    }

    fn limits(&self, question: LimitRequest) -> Arc<Limits> {
        Limits::new(self.client.clone(), question)
    }

    fn shared(&self, client: Option<&str>, question: LimitRequest) -> Arc<Limits> {
        let key = (question.service.clone(), client.map(str::to_owned));
        let mut shared = self.shared.lock();
        if let Some(found) = shared.limits.get(&key) {
            return found.clone();
        }
        if shared.limits.len() >= shared.most {
            shared
                .limits
                .retain(|_, limits| Arc::strong_count(limits) > 1 || limits.is_fresh());
            shared.most = (shared.limits.len() * 2).max(REMEMBERED);
        }
        let made = self.limits(question);
        shared.limits.insert(key, made.clone());
        made
    }
}

/// What the plugin is asked about a scope.
fn question(scope: &LimitScope<'_>, asker: &Asker) -> LimitRequest {
    let (name, network, addr) = match scope {
        LimitScope::Service(network) => ("service", *network, None),
        LimitScope::Conn(_) => ("conn", Network::Tcp, None),
        LimitScope::Client { target: None, .. } => ("client", Network::Tcp, None),
        LimitScope::Client {
            target: Some(target),
            ..
        } => ("client", target.network, Some(&target.addr)),
    };
    LimitRequest {
        network: network.to_string(),
        addr: addr.map(ToString::to_string).unwrap_or_default(),
        client: asker.user.clone(),
        src: asker.client.to_string(),
        service: asker.service.to_string(),
        scope: name.to_owned(),
    }
}

impl TrafficLimiter for PluginLimiter {
    fn meter(&self, scope: LimitScope<'_>, asker: &Asker) -> Meter {
        self.meter_kept(scope, asker, REFRESH)
    }

    fn meter_kept(&self, scope: LimitScope<'_>, asker: &Asker, time: Duration) -> Meter {
        let question = question(&scope, asker);
        let limits = match scope {
            LimitScope::Service(_) => self.shared(None, question),
            LimitScope::Client { name, .. } => self.shared(Some(name), question),
            LimitScope::Conn(_) => self.limits(question),
        };
        let time = u64::try_from(time.max(SHORTEST).as_nanos()).unwrap_or(u64::MAX);
        limits.holds.store(time, Relaxed);
        limits.refresh();
        Meter::new(Arc::new(Share::of(limits)))
    }
}

/// The limits of one scope.
struct Limits {
    /// Itself, for the task that asks.
    me: Weak<Self>,
    plugin: Arc<Client>,
    question: LimitRequest,
    rates: Rates,
    buckets: Buckets,
    clock: Clock,
    /// When to ask again, by the clock.
    next: AtomicU64,
    /// For how many nanoseconds an answer counts.
    holds: AtomicU64,
    /// True once there was an answer, or none in time.
    is_known: AtomicBool,
    is_asking: AtomicBool,
}

/// Whoever asks no longer, also when he was interrupted.
struct Asking(Arc<Limits>);

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.is_known.store(true, Relaxed);
        self.0.is_asking.store(false, Relaxed);
    }
}

impl Limits {
    fn new(plugin: Arc<Client>, question: LimitRequest) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            plugin,
            question,
            rates: Rates::default(),
            buckets: Buckets::default(),
            clock: Clock::default(),
            next: AtomicU64::new(0),
            holds: AtomicU64::new(0),
            is_known: AtomicBool::new(false),
            is_asking: AtomicBool::new(false),
        })
    }

    fn is_fresh(&self) -> bool {
        self.clock.now() < self.next.load(Relaxed)
    }

    /// Asks the plugin when it is time to.
    fn refresh(&self) {
        if self.is_fresh() || self.is_asking.swap(true, Relaxed) {
            return;
        }
        let Some(asking) = self.me.upgrade().map(Asking) else {
            return;
        };
        tokio::spawn(async move {
            let limits = &asking.0;
            let answer = limits.plugin.call(limits.question.clone()).await;
            let holds = match answer {
                Ok(reply) => {
                    // Zero and less is no limit.
                    let rate = |bytes: i64| Rate::new(u64::try_from(bytes).unwrap_or(0), 0);
                    limits.rates.set(Direction::In, rate(reply.input));
                    limits.rates.set(Direction::Out, rate(reply.output));
                    limits.holds.load(Relaxed)
                }
                Err(_) => RETRY,
            };
            let next = limits.clock.now().saturating_add(holds);
            limits.next.store(next, Relaxed);
        });
    }
}

/// One of those who are under the limits of a scope.
struct Share {
    limits: Arc<Limits>,
    turns: Turns,
}

impl Share {
    fn of(limits: Arc<Limits>) -> Self {
        Self {
            limits,
            turns: Turns::default(),
        }
    }
}

impl Metering for Share {
    fn count(&self, direction: Direction, bytes: usize) {
        let limits = &self.limits;
        if let Some(rate) = limits.rates.get(direction) {
            let (buckets, now) = (&limits.buckets, limits.clock.now());
            self.turns.take(buckets, direction, rate, now, bytes as u64);
        }
    }

    fn allow(&self, direction: Direction, want: usize) -> Allowance {
        let limits = &self.limits;
        limits.refresh();
        if !limits.is_known.load(Relaxed) {
            return Allowance::After(LOOK);
        }
        let Some(rate) = limits.rates.get(direction) else {
            return Allowance::Bytes(want);
        };
        let (buckets, now) = (&limits.buckets, limits.clock.now());
        match self.turns.ask(buckets, direction, rate, now) {
            Ok(bytes) => Allowance::Bytes(want.min(usize::try_from(bytes).unwrap_or(usize::MAX))),
            Err(wait) => Allowance::After(wait),
        }
    }

    fn of_one(&self) -> Option<Meter> {
        Some(Meter::new(Arc::new(Self::of(self.limits.clone()))))
    }
}
