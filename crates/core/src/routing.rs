//! Choosing a way: nodes, hops, chains, routes.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::time::Instant;

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

/// Counts the failures of a node, or of whatever else can be chosen, and keeps what its last
/// probe found.
#[derive(Debug, Default)]
pub struct Marker {
    fails: AtomicU32,
    /// Milliseconds of the last failure, since the first one of the program.
    last: AtomicI64,
    /// [`NEVER`], [`FAILED`], or the microseconds that the last probe took.
    latency: AtomicU64,
}

const NEVER: u64 = 0;
const FAILED: u64 = u64::MAX;

/// What the last probe found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probed {
    /// There was none yet.
    Never,
    /// It failed.
    Failed,
    /// It took so long.
    Took(Duration),
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

    /// Notes the result of a probe: how long it took, or `None` for a failure. It counts as a
    /// success or failure too.
    pub fn probed(&self, took: Option<Duration>) {
        let latency = if let Some(took) = took {
            self.reset();
            u64::try_from(took.as_micros()).map_or(FAILED - 1, |t| t.clamp(1, FAILED - 1))
        } else {
            self.mark();
            FAILED
        };
        self.latency.store(latency, Relaxed);
    }

    /// What the last probe found.
    pub fn latency(&self) -> Probed {
        match self.latency.load(Relaxed) {
            NEVER => Probed::Never,
            FAILED => Probed::Failed,
            micros => Probed::Took(Duration::from_micros(micros)),
        }
    }
}

/// A node that can be chosen. Made by [`Node::new`]; the fields are set before it is shared.
#[non_exhaustive]
pub struct Node {
    id: u64,
    /// Its name and address.
    pub addr: NodeAddr,
    /// The name of its hop, for messages; may be empty.
    pub hop: Arc<str>,
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

impl Node {
    /// A node at an address that is just a target: it has neither transport nor sockets.
    pub fn new(addr: NodeAddr) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            id: NEXT.fetch_add(1, Relaxed),
            addr,
            hop: "".into(),
            network: None,
            transport: None,
            sockets: None,
            marker: Arc::default(),
            names: Names::default(),
            values: Values::new(),
        }
    }

    /// A number that no other node of this process has: names repeat from hop to hop.
    pub const fn id(&self) -> u64 {
        self.id
    }
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
    /// The HTTP request that was sniffed.
    pub http: Option<Arc<HttpFacts>>,
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
            asker: Asker::clone(&ask.asker()),
            ..Self::default()
        }
    }
}

/// What a sniffed HTTP request asks for, as far as rules can be about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpFacts {
    /// The method as sent.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The parameters of the query, decoded, in order.
    pub query: Vec<(String, String)>,
    /// The header fields in order.
    pub headers: Vec<(String, String)>,
    /// The body, or as much of its beginning as rules want to see.
    pub body: Bytes,
}

/// What a hop has to say to a request.
#[derive(Clone, Debug)]
pub enum Choice {
    /// This node.
    Node(Arc<Node>),
    /// Whichever of these answers first; never empty. Who can reach only one takes the first.
    Race(Vec<Arc<Node>>),
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

/// Knows from elsewhere which node a hop takes.
pub trait NodeSource: Send + Sync + 'static {
    /// The configuration of the node for a request, as JSON; `None` when there is none.
    fn choose<'a>(&'a self, request: &'a Request) -> Answer<'a, Result<Option<Bytes>>>;
}

/// One step of a route.
#[derive(Clone, Debug)]
pub enum Step {
    /// This node.
    Node(Arc<Node>),
    /// Whichever of these answers first.
    Race(Vec<Arc<Node>>),
}

impl Step {
    /// The nodes that may be taken.
    pub fn nodes(&self) -> &[Arc<Node>] {
        match self {
            Self::Node(node) => std::slice::from_ref(node),
            Self::Race(nodes) => nodes,
        }
    }
}

/// The way that a chain chose for one request.
#[derive(Clone, Debug, Default)]
pub struct Route {
    /// The steps, the one next to us first; without any the way is direct.
    pub steps: Vec<Step>,
    /// Told of the success or failure of the route's nodes: the chain's marker, and that of the
    /// group's entry which led to the chain.
    pub markers: Vec<Arc<Marker>>,
}

/// Hops in order.
pub trait Chain: Send + Sync + 'static {
    /// The way to take, with no node in it that is in `tried`; a route without steps goes direct.
    /// An error when a hop that must be passed has no node to choose.
    fn route<'a>(
        &'a self,
        request: &'a Request,
        tried: &'a [Arc<Node>],
    ) -> Answer<'a, Result<Route>>;
}
