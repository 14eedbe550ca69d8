//! The way out: sockets, a node over another way out, a router; and what a node is made of.

use std::{fmt, net::SocketAddr, sync::Arc, time::Instant};

use async_trait::async_trait;

use crate::{
    addr::{Addr, Target},
    conn::Conn,
    error::{Error, Result, Why},
    listener::Listener,
    policy::{Asker, Bypass},
};

/// A way out.
#[async_trait]
pub trait Outbound: Send + Sync + 'static {
    /// Connects to a target. Ends by `ask.deadline`.
    async fn connect(&self, to: &Target, ask: &Ask) -> Result<Conn>;

    /// Listens where this way out ends: here for sockets, at the last node for a route.
    async fn bind(&self, at: &Target, ask: &Ask, how: &BindOptions) -> Result<Box<dyn Listener>>;

    /// The nodes on it.
    fn path(&self) -> PathId;
}

/// What a way out should know of the one who asks. Cheap to clone.
#[derive(Clone, Default)]
pub struct Ask {
    /// When it must have succeeded.
    pub deadline: Option<Instant>,
    /// The client's address: for PROXY headers.
    pub client: Option<SocketAddr>,
    /// The address that the client connected to: for PROXY headers and `interface=auto`.
    pub local: Option<SocketAddr>,
    /// What the `hash` strategy hashes: the user, the client's address or the target.
    pub hash: Option<Arc<str>>,
    /// The target as the client named it, before hosts and resolver.
    pub host: Option<Addr>,
    /// The rules that every address must pass to which a name resolves here.
    pub bypass: Option<Arc<dyn Bypass>>,
    /// Whom policies on the way are asked about; nothing when it is for none of our clients.
    pub asker: Option<Arc<Asker>>,
}

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask")
            .field("asker", &self.asker)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl Ask {
    /// Whom policies on the way are asked about.
    pub fn asker(&self) -> Arc<Asker> {
        self.asker.clone().unwrap_or_default()
    }

    /// Runs `work` under the deadline; being late is a [`Why::TimedOut`] that says what was
    /// attempted on what.
    pub async fn within<T>(
        &self,
        what: &'static str,
        on: &(impl fmt::Display + Sync + ?Sized),
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let Some(deadline) = self.deadline else {
            return work.await;
        };
        tokio::time::timeout_at(deadline.into(), work)
            .await
            .unwrap_or_else(|_| Err(Error::new(Why::TimedOut, format!("{what} {on}: timed out"))))
    }
}

/// How to listen.
#[derive(Clone, Debug)]
pub struct BindOptions {
    /// Many connections over one session to the node, where the protocol can.
    pub mux: bool,
    /// How many connections may wait to be accepted.
    pub backlog: usize,
    /// How many datagrams may wait in each UDP flow.
    pub queue: usize,
    /// How long a UDP flow may be idle.
    pub ttl: std::time::Duration,
}

impl Default for BindOptions {
    fn default() -> Self {
        Self {
            mux: false,
            backlog: 128,
            queue: 1024,
            ttl: std::time::Duration::from_mins(1),
        }
    }
}

/// The nodes of a way out, as something to compare: sessions to a node are shared only by those
/// who would reach it the same way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PathId(Option<Arc<str>>);

impl PathId {
    /// The way out that has no node.
    pub const fn direct() -> Self {
        Self(None)
    }

    /// This way and one node more, named by what is unique to it.
    #[must_use]
    pub fn and(&self, node: &str) -> Self {
        Self(Some(self.0.as_ref().map_or_else(
            || node.into(),
            |before| format!("{before} > {node}").into(),
        )))
    }

    /// True for the way out that has no node.
    pub const fn is_direct(&self) -> bool {
        self.0.is_none()
    }
}

impl fmt::Display for PathId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_deref().unwrap_or("direct"))
    }
}

/// A node as a dialer sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NodeAddr {
    /// The name in the configuration.
    pub name: Arc<str>,
    /// Where to dial: the configured address after the node's hosts and resolver.
    pub addr: Addr,
    /// The configured address: what TLS and HTTP call the node.
    pub host: Addr,
}

impl NodeAddr {
    /// A node at an address, called by it.
    pub fn new(addr: Addr) -> Self {
        Self {
            name: addr.to_string().into(),
            host: addr.clone(),
            addr,
        }
    }
}

impl fmt::Display for NodeAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.host)
    }
}

/// Reaches a node.
#[async_trait]
pub trait Dialer: Send + Sync + 'static {
    /// A connection to the node, over `below`. A dialer opens no socket itself; one that
    /// multiplexes and has a live session does not ask `below` at all.
    async fn dial(&self, node: &NodeAddr, below: &Arc<dyn Outbound>, ask: &Ask) -> Result<Conn>;
}

/// Asks a node for a target.
#[async_trait]
pub trait Connector: Send + Sync + 'static {
    /// Turns the connection to a node into one to a target.
    async fn connect(&self, over: Conn, to: &Target, cx: &NodeCx<'_>) -> Result<Conn>;

    /// Makes the node listen and hand over what comes in.
    async fn bind(
        &self,
        over: Conn,
        at: &Target,
        how: &BindOptions,
        cx: &NodeCx<'_>,
    ) -> Result<Box<dyn Listener>> {
        let _ = (over, how);
        Err(Error::new(
            Why::Unsupported,
            format!("bind {at} at node {}: unsupported", cx.node.name),
        ))
    }
}

/// What a connector may need beside the connection.
pub struct NodeCx<'a> {
    /// The node.
    pub node: &'a NodeAddr,
    /// Sockets with the node's interface, mark and namespace, for protocols that need one of
    /// their own beside the connection.
    pub sockets: &'a Arc<dyn Outbound>,
    /// Who asks.
    pub ask: &'a Ask,
}

/// Stream to stream, on either side: TLS, WebSocket. `net` and `mux` make listeners and dialers
/// of it.
#[async_trait]
pub trait Upgrade: Send + Sync + 'static {
    /// Upgrades a connection that we opened to a node.
    async fn client(&self, conn: Conn, node: &NodeAddr) -> Result<Conn>;

    /// Upgrades a connection that we accepted.
    async fn server(&self, conn: Conn) -> Result<Conn>;
}
