//! Choosing a way: nodes, hops, chains, routes.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU32, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use crate::{
    addr::{Addr, Target},
    error::Result,
    outbound::{Ask, Connector, Dialer, NodeAddr, Outbound},
    policy::{Answer, Asker},
    values::Values,
};

/// How to speak with a node: how to reach it, and how to ask it for a target.
#[derive(Clone)]
pub struct Transport {
    /// Reaches the node.
    pub dialer: Arc<dyn Dialer>,
    /// Asks it for a target.
    pub connector: Arc<dyn Connector>,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport")
    }
}

/// Counts the failures of a node, or of whatever else can be chosen.
#[derive(Debug, Default)]
pub struct Marker {
    fails: AtomicU32,
    /// Milliseconds since [`Marker::epoch`] of the last failure.
    last: AtomicI64,
}

impl Marker {
    fn now() -> i64 {
        static EPOCH: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        i64::try_from(EPOCH.get_or_init(Instant::now).elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    /// Notes a failure.
    pub fn mark(&self) {
        self.last.store(Self::now(), Relaxed);
        self.fails.fetch_add(1, Relaxed);
    }

    /// Notes a success.
    pub fn reset(&self) {
        if self.fails.load(Relaxed) != 0 {
            self.fails.store(0, Relaxed);
        }
    }

    /// Consecutive failures.
    pub fn fails(&self) -> u32 {
        self.fails.load(Relaxed)
    }

    /// True when it failed at least `max_fails` times, the last time less than `timeout` ago.
    pub fn is_failed(&self, max_fails: u32, timeout: Duration) -> bool {
        self.fails() >= max_fails.max(1) && {
            let since = Self::now() - self.last.load(Relaxed);
            i128::from(since) < i128::try_from(timeout.as_millis()).unwrap_or(i128::MAX)
        }
    }
}

/// A node that can be chosen, with what its choice depends on.
pub struct Node {
    /// Its name and address.
    pub addr: NodeAddr,
    /// The network to reach a forwarder's node over, when it isn't the client's.
    pub network: Option<crate::addr::Network>,
    /// How to speak with it; a forwarder's node is just a target and has none.
    pub transport: Option<Transport>,
    /// The sockets to reach it with when it is the first of a route.
    pub sockets: Option<Arc<dyn Outbound>>,
    /// Its failures.
    pub marker: Arc<Marker>,
    /// Turns its address into one to dial.
    pub names: Names,
    /// Everything else that was configured: weight, backup, limits of failure.
    pub values: Values,
}

/// Who turns names into addresses: a table first, then a resolver.
#[derive(Clone, Default)]
pub struct Names {
    /// The table.
    pub hosts: Option<Arc<dyn crate::policy::HostMapper>>,
    /// The resolver.
    pub resolver: Option<Arc<dyn crate::policy::Resolver>>,
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Names")
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({})", self.addr)
    }
}

/// What is known of a request when a way is chosen for it.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// What is to be reached, after hosts and resolver.
    pub target: Target,
    /// What the client named, or what was sniffed.
    pub host: Option<Addr>,
    /// The protocol that was sniffed.
    pub protocol: Option<&'static str>,
    /// What the `hash` strategy hashes.
    pub hash: Option<Arc<str>>,
    /// Who asks.
    pub asker: Asker,
}

impl Request {
    /// A request on behalf of `ask` for a target.
    pub fn new(target: &Target, ask: &Ask) -> Self {
        Self {
            target: target.clone(),
            host: ask.host.clone(),
            hash: ask.hash.clone(),
            asker: Asker {
                client: ask.client.map(Addr::from).unwrap_or_default(),
                session: ask.session,
                ..Asker::default()
            },
            ..Self::default()
        }
    }
}

/// What a hop has to say to a request.
#[derive(Clone, Debug)]
pub enum Choice {
    /// This node.
    Node(Arc<Node>),
    /// A rule of the hop keeps the request out: the way ends before the hop.
    Skip,
}

/// A step of a chain: several nodes, of which one is taken.
pub trait Hop: Send + Sync + 'static {
    /// Chooses a node that is not in `tried`; an error when there is none to choose.
    fn select<'a>(
        &'a self,
        request: &'a Request,
        tried: &'a [Arc<Node>],
    ) -> Answer<'a, Result<Choice>>;
}

/// A strategy among candidates that are all fit.
pub trait Selector: Send + Sync + 'static {
    /// The place of the chosen one in `candidates`; `None` when there are none.
    fn choose(&self, candidates: &[Arc<Node>], request: &Request) -> Option<usize>;
}

/// Hops in order.
pub trait Chain: Send + Sync + 'static {
    /// The nodes to go through, the first one next to us; an empty list goes direct.
    fn route<'a>(
        &'a self,
        request: &'a Request,
        tried: &'a [Arc<Node>],
    ) -> Answer<'a, Result<Vec<Arc<Node>>>>;
}
