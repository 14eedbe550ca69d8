//! Policies: one small trait each. A check returns an [`Answer`], so that a table allocates
//! nothing and a plugin may wait.

use std::{
    fmt,
    future::Future,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use bytes::Bytes;

use crate::{
    addr::{Addr, Network, Target},
    conn::TlsFacts,
    error::Result,
    id::SessionId,
    listener::BoxFuture,
    meter::{Direction, Meter, Metering},
};

/// The answer of a policy: there already, or on its way. One that is on its way sets out when it is
/// polled, so that whoever wants only an answer that is there already may drop it.
pub enum Answer<'a, T> {
    /// There already.
    Now(T),
    /// On its way.
    Later(BoxFuture<'a, T>),
    /// Given away. Polling it again is a mistake of the caller, as with any future.
    Taken,
}

impl<'a, T> Answer<'a, T> {
    /// An answer that is on its way.
    pub fn later(future: impl Future<Output = T> + Send + 'a) -> Self {
        Self::Later(Box::pin(future))
    }
}

impl<T: Unpin> Future for Answer<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match &mut *self {
            Self::Later(future) => future.as_mut().poll(cx),
            Self::Taken => Poll::Pending,
            Self::Now(_) => match std::mem::replace(&mut *self, Self::Taken) {
                Self::Now(value) => Poll::Ready(value),
                Self::Later(_) | Self::Taken => Poll::Pending,
            },
        }
    }
}

impl<T> fmt::Debug for Answer<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if matches!(self, Self::Now(_)) {
            "Answer::Now"
        } else {
            "Answer::Later"
        })
    }
}

/// Who asks a policy, as far as it is known.
#[derive(Clone, Debug, Default)]
pub struct Asker {
    /// The name of the service.
    pub service: Arc<str>,
    /// The client's address.
    pub client: Addr,
    /// Who the client proved to be.
    pub user: String,
    /// The session.
    pub session: SessionId,
    /// What a TLS handshake with the client found out.
    pub tls: Option<Arc<TlsFacts>>,
}

/// A user name and a password. Printing it shows only the name.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The user's name.
    pub username: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({}, ***)", self.username)
    }
}

/// Knows who may use a service.
pub trait Authenticator: Send + Sync + 'static {
    /// The client's identity when the password is right, `None` otherwise. Takes equally long for
    /// users that do not exist.
    fn authenticate<'a>(
        &'a self,
        given: &'a Credentials,
        asker: &'a Asker,
    ) -> Answer<'a, Option<String>>;
}

/// Decides whose connections are taken.
pub trait Admission: Send + Sync + 'static {
    /// True when the address may connect.
    fn admit<'a>(&'a self, network: Network, from: &'a Addr, asker: &'a Asker) -> Answer<'a, bool>;

    /// Another number whenever the rules are others, so that those who are connected already are
    /// judged again; 0, the default, for who judges only those who come.
    fn version(&self) -> u64 {
        0
    }

    /// False when one who was admitted may not stay, as far as that is known without asking
    /// anybody.
    fn lets_stay(&self, client: IpAddr) -> bool {
        let _ = client;
        true
    }
}

/// What a [`Bypass`] is asked about.
#[derive(Clone, Debug, Default)]
pub struct BypassQuery {
    /// The address asked for, resolved or not.
    pub target: Target,
    /// The host before it was resolved, or the sniffed one.
    pub host: Option<Addr>,
    /// The path of an HTTP request.
    pub path: Option<String>,
}

/// Knows which targets are not to be reached this way.
pub trait Bypass: Send + Sync + 'static {
    /// True for a list of what is allowed, false for a list of what is not.
    fn is_whitelist(&self) -> bool;

    /// True while nobody knows what the list says: it was removed, or could never be loaded. Then
    /// it contains everything for a service, and hops and nodes are not passed by for it.
    fn is_shut(&self) -> bool {
        false
    }

    /// True when the target must not be reached this way: refused by a service, not sent through a
    /// hop or a node.
    fn contains<'a>(&'a self, query: &'a BypassQuery, asker: &'a Asker) -> Answer<'a, bool>;

    /// The same, asked for a hop or a node, around which a match leads. Whoever can't tell keeps
    /// everything out of a service, but nothing off a chain.
    fn leads_around<'a>(&'a self, query: &'a BypassQuery, asker: &'a Asker) -> Answer<'a, bool> {
        self.contains(query, asker)
    }
}

/// Which family of addresses is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Family {
    /// Any.
    #[default]
    Any,
    /// IPv4 alone.
    V4,
    /// IPv6 alone.
    V6,
}

/// Turns names into addresses.
pub trait Resolver: Send + Sync + 'static {
    /// All addresses of a host, the preferred ones first; never an empty list.
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        family: Family,
        asker: &'a Asker,
    ) -> Answer<'a, Result<Vec<IpAddr>>>;
}

/// A table of names, asked before any resolver.
pub trait HostMapper: Send + Sync + 'static {
    /// The addresses of a host; `None` when the table does not have it.
    fn lookup<'a>(
        &'a self,
        host: &'a str,
        family: Family,
        asker: &'a Asker,
    ) -> Answer<'a, Option<Vec<IpAddr>>>;
}

/// Takes records.
pub trait Recorder: Send + Sync + 'static {
    /// Takes one record. `metadata` is what the service has configured about the recording, as a
    /// JSON object or `null`, for those who pass it on.
    fn record(&self, record: Bytes, metadata: &Arc<str>) -> Answer<'static, Result<()>>;
}

/// Something that happened to a service, or how it fares.
#[derive(Clone, Debug)]
pub enum Event {
    /// A service changed its state.
    Status {
        /// The service.
        service: Arc<str>,
        /// The state: `running`, `ready`, `failed`, `closed`.
        state: &'static str,
        /// The sentence for people.
        text: String,
    },
    /// The counters of a service, or of one client of it.
    Stats {
        /// The service.
        service: Arc<str>,
        /// The client, when the counters are one's own.
        client: Option<String>,
        /// The counters.
        stats: Stats,
    },
}

/// Counters of a service or a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Connections so far.
    pub total_connections: u64,
    /// Connections now.
    pub current_connections: u64,
    /// Bytes from the client.
    pub input_bytes: u64,
    /// Bytes to the client.
    pub output_bytes: u64,
    /// Errors so far.
    pub total_errors: u64,
}

/// Is told of events, in batches.
pub trait Observer: Send + Sync + 'static {
    /// Takes a batch; what fails is offered again before anything new.
    fn observe<'a>(&'a self, events: &'a [Event]) -> Answer<'a, Result<()>>;
}

/// Knows which tunnel a host name leads to.
pub trait Ingress: Send + Sync + 'static {
    /// The endpoint of a host, which may have a port.
    fn rule<'a>(&'a self, host: &'a str, asker: &'a Asker) -> Answer<'a, Option<String>>;

    /// Leads a host to an endpoint; false when this table can't be written.
    fn set_rule<'a>(
        &'a self,
        host: &'a str,
        endpoint: &'a str,
        asker: &'a Asker,
    ) -> Answer<'a, bool>;
}

/// A service as others can find it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovered {
    /// Which instance.
    pub id: String,
    /// The name it is found by.
    pub name: String,
    /// The node that it runs on.
    pub node: String,
    /// The network to reach it over.
    pub network: String,
    /// The address to reach it at.
    pub address: String,
}

/// Finds services of other processes.
pub trait Discovery: Send + Sync + 'static {
    /// Makes a service known.
    fn register<'a>(&'a self, service: &'a Discovered) -> Answer<'a, Result<()>>;

    /// Makes it known no longer.
    fn deregister<'a>(&'a self, service: &'a Discovered) -> Answer<'a, Result<()>>;

    /// Says that it is still there.
    fn renew<'a>(&'a self, service: &'a Discovered) -> Answer<'a, Result<()>>;

    /// All instances of a name.
    fn find<'a>(&'a self, name: &'a str) -> Answer<'a, Result<Vec<Discovered>>>;
}

/// A place among the connections allowed at once; dropping it gives the place back.
pub type ConnPermit = Box<dyn Send + Sync>;

/// Limits connections at once.
pub trait ConnLimiter: Send + Sync + 'static {
    /// A place for a client's connection; `None` when all are taken.
    fn admit(&self, client: IpAddr) -> Option<ConnPermit>;
}

/// Limits requests per second.
pub trait RateLimiter: Send + Sync + 'static {
    /// True when a client may ask now.
    fn allow(&self, client: IpAddr) -> bool;
}

/// Whose traffic is limited.
#[derive(Clone, Debug)]
pub enum LimitScope<'a> {
    /// All of a service, which is reached over this network.
    Service(Network),
    /// One connection.
    Conn(SocketAddr),
    /// One client, wherever it connects from.
    Client {
        /// Who it is.
        name: &'a str,
        /// What it asks for now.
        target: Option<&'a Target>,
    },
}

/// Limits bytes per second.
pub trait TrafficLimiter: Send + Sync + 'static {
    /// What limits the bytes of a scope; no meter when nothing does.
    fn meter(&self, scope: LimitScope<'_>, asker: &Asker) -> Meter;

    /// The same, where what others say about a scope counts for so long before they are asked
    /// again.
    fn meter_kept(&self, scope: LimitScope<'_>, asker: &Asker, time: Duration) -> Meter {
        let _ = time;
        self.meter(scope, asker)
    }
}

/// A number of bytes that may be used up, possibly within a time. As a meter it counts those of a
/// client's connections, and ends them when it is used up.
pub trait Quota: Metering {
    /// Where it stands.
    fn state(&self) -> QuotaState;

    /// True when it is used up, so that no connection is to be taken.
    fn is_blocked(&self) -> bool;

    /// Waits until it may no longer be blocked.
    fn changed(&self) -> Answer<'_, ()>;

    /// Sets how many bytes have been used, and stores that.
    fn reset(&self, used: u64) -> Answer<'_, Result<()>>;
}

/// Where a [`Quota`] stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaState {
    /// Bytes used.
    pub used: u64,
    /// Bytes there are; 0 for no end.
    pub limit: u64,
    /// When counting begins; `None` for always.
    pub starts: Option<SystemTime>,
    /// When counting ends; `None` for never.
    pub expires: Option<SystemTime>,
    /// Which bytes count; `None` for both directions.
    pub direction: Option<Direction>,
    /// True within its time.
    pub active: bool,
    /// True after its time.
    pub expired: bool,
    /// True when it is used up.
    pub blocked: bool,
}

/// What a [`Rewriter`] is told about a body, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BodyFacts {
    /// Whose it is.
    pub session: Option<SessionId>,
    /// Which way it goes: `In` for that of a request, `Out` for that of a response.
    pub direction: Option<Direction>,
    /// What was requested.
    pub uri: String,
    /// Which part of a stream of events it is.
    pub event: Option<EventPart>,
}

/// A part of a stream of server-sent events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPart {
    /// What it is.
    pub phase: EventPhase,
    /// The number of the event, from 0.
    pub index: u64,
    /// The stream broke off.
    pub is_broken: bool,
}

/// What a part of a stream of events is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventPhase {
    /// The first event.
    Start,
    /// Another one.
    Event,
    /// What follows the last one; its body is empty.
    End,
}

/// Changes the bodies of requests and responses.
pub trait Rewriter: Send + Sync + 'static {
    /// The new body.
    fn rewrite<'a>(&'a self, body: Bytes, about: &'a BodyFacts) -> Answer<'a, Result<Bytes>>;
}

/// Something kept for a while.
#[derive(Clone, Debug)]
pub struct Cached {
    /// What was kept.
    pub data: Bytes,
    /// Until when it is fresh; `None` for always.
    pub expires: Option<SystemTime>,
}

/// Keeps things for a while.
pub trait Cache: Send + Sync + 'static {
    /// What is kept under a key, fresh or not.
    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Result<Option<Cached>>>;

    /// Keeps something; `None` for as long as the cache likes.
    fn set<'a>(
        &'a self,
        key: &'a str,
        data: Bytes,
        ttl: Option<Duration>,
    ) -> Answer<'a, Result<()>>;

    /// Forgets a key.
    fn delete<'a>(&'a self, key: &'a str) -> Answer<'a, Result<()>>;
}

/// A route of a virtual network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OsRoute {
    /// The destination: a prefix or a name.
    pub destination: String,
    /// Who takes it.
    pub gateway: String,
}

/// A routing table of a virtual network.
pub trait OsRouter: Send + Sync + 'static {
    /// The route to a destination, in one of several networks where whoever knows the routes has
    /// several: `id` is which, such as that of a tunnel, or empty.
    fn route<'a>(&'a self, destination: &'a str, id: &'a str) -> Answer<'a, Option<OsRoute>>;

    /// It is in force from now on: what it does to the system begins, if it does anything but
    /// answer. The program says so to those that have a name, each time their configuration is
    /// taken over; never to one of a configuration that was refused.
    fn take_effect(&self) {}
}

/// A number that only grows, or one that goes up and down.
pub trait Gauge: Send + Sync + 'static {
    /// Adds to it; less than zero takes away.
    fn add(&self, amount: f64);
}

/// Numbers for a monitoring system.
pub trait Metrics: Send + Sync + 'static {
    /// A counter by name and labels; kept by the caller, so that counting looks nothing up.
    fn counter(&self, name: &'static str, labels: &[(&'static str, &str)]) -> Arc<dyn Gauge>;

    /// A gauge by name and labels.
    fn gauge(&self, name: &'static str, labels: &[(&'static str, &str)]) -> Arc<dyn Gauge>;

    /// A distribution by name and labels.
    fn histogram(&self, name: &'static str, labels: &[(&'static str, &str)]) -> Arc<dyn Gauge>;
}
