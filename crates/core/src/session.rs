//! One connection as its handler sees it: what is the same for all protocols.

use std::{fmt, net::SocketAddr, sync::Arc, time::Instant};

use async_trait::async_trait;

use crate::{
    addr::{Addr, Target},
    conn::{Conn, TlsFacts},
    error::{Error, Result},
    listener::Listener,
    meter::Meter,
    outbound::BindOptions,
    policy::Asker,
    record::Details,
};

pub use crate::id::SessionId;

/// What a session was about: one line of the log, one record.
#[derive(Clone, Debug)]
pub struct Record {
    /// The number of the session.
    pub id: SessionId,
    /// The name of the service.
    pub service: Arc<str>,
    /// When the connection came in.
    pub start: Instant,
    /// The client, as far back as it is known.
    pub client: Addr,
    /// Our address on the client's connection.
    pub local: Addr,
    /// What a TLS handshake with the client found out.
    pub tls: Option<Arc<TlsFacts>>,
    /// Who the client proved to be; empty without authentication.
    pub user: String,
    /// What the client asked for.
    pub target: Option<Target>,
    /// The way taken: nodes and target.
    pub route: Option<Arc<str>>,
    /// What only a recorder wants to know; `None` where nobody records.
    pub details: Option<Box<Details>>,
}

impl Record {
    /// Whom a policy is asked about.
    pub fn asker(&self) -> Asker {
        Asker {
            service: self.service.clone(),
            client: self.client.clone(),
            user: self.user.clone(),
            session: self.id,
            tls: self.tls.clone(),
        }
    }
}

/// What was opened for a client.
#[derive(Debug)]
pub struct Upstream {
    /// The connection to the target.
    pub conn: Conn,
}

impl Upstream {
    /// An upstream that the handler opened by itself.
    pub const fn new(conn: Conn) -> Self {
        Self { conn }
    }

    /// Our address on the way to the target, which several protocols tell the client.
    pub fn local(&self) -> &Addr {
        &self.conn.meta.local
    }
}

/// What helps to choose a node of the service's forwarder.
#[derive(Clone, Debug, Default)]
pub struct Hint {
    /// The protocol that was sniffed: `http`, `tls`, ...
    pub protocol: Option<&'static str>,
    /// The host that was sniffed or asked for.
    pub host: Option<Addr>,
    /// The network to use when the node names none.
    pub network: crate::addr::Network,
}

/// One connection as its handler sees it.
///
/// It does what is the same for all protocols: authentication, access rules, routing, marking,
/// retries, the copy, the record. Keys that many handlers share are obeyed there.
pub struct Session {
    ops: Box<dyn SessionOps>,
}

/// What stands behind a [`Session`].
#[async_trait]
pub trait SessionOps: Send + Sync + 'static {
    /// What is known of the session so far.
    fn record(&self) -> &Record;

    /// See [`Session::requires_auth`].
    fn requires_auth(&self) -> bool;

    /// See [`Session::has_users`].
    fn has_users(&self) -> bool {
        self.requires_auth()
    }

    /// See [`Session::authenticate`].
    async fn authenticate(&mut self, user: &str, password: &str) -> Result<()>;

    /// See [`Session::open`].
    async fn open(&mut self, target: &Target) -> Result<Upstream>;

    /// See [`Session::has_forwarder`].
    fn has_forwarder(&self) -> bool;

    /// See [`Session::forward`].
    async fn forward(&mut self, hint: &Hint) -> Result<Upstream>;

    /// See [`Session::listen`].
    async fn listen(&mut self, at: &Target, how: &BindOptions) -> Result<Box<dyn Listener>>;

    /// See [`Session::listen_packet`].
    async fn listen_packet(&mut self, at: SocketAddr) -> Result<Conn>;

    /// See [`Session::check`].
    async fn check(&self, target: &Target) -> Result<()>;

    /// See [`Session::resolve`].
    async fn resolve(&self, addr: &Addr) -> Result<SocketAddr>;

    /// See [`Session::is_direct`].
    fn is_direct(&self) -> bool;

    /// See [`Session::relay`].
    async fn relay(&mut self, client: Conn, upstream: Upstream) -> Result<()>;

    /// See [`Session::child`].
    fn child(&self) -> Session;

    /// See [`Session::settled`].
    fn settled(&mut self);

    /// See [`Session::client_meter`].
    fn client_meter(&self) -> Meter {
        Meter::default()
    }

    /// See [`Session::details`].
    fn details(&mut self) -> Option<&mut Details>;

    /// See [`Session::finished`].
    fn finished(&mut self, input: u64, output: u64, error: Option<&Error>);
}

impl Session {
    /// A session over what stands behind it.
    pub fn new(ops: impl SessionOps) -> Self {
        Self { ops: Box::new(ops) }
    }

    /// What is known of the session so far.
    pub fn record(&self) -> &Record {
        self.ops.record()
    }

    /// True when this client has to prove who it is.
    pub fn requires_auth(&self) -> bool {
        self.ops.requires_auth()
    }

    /// True when there are users, also for a client that need not be one.
    pub fn has_users(&self) -> bool {
        self.ops.has_users()
    }

    /// Checks a user and password; succeeds where nothing is required.
    ///
    /// A failure has [`Why::Auth`](crate::error::Why::Auth).
    pub async fn authenticate(&mut self, user: &str, password: &str) -> Result<()> {
        self.ops.authenticate(user, password).await
    }

    /// Opens the target: access rules, names, route, retries. A refusal says why.
    ///
    /// A datagram target [`Addr::Any`] gives an association: a conversation whose datagrams carry
    /// their addresses.
    pub async fn open(&mut self, target: &Target) -> Result<Upstream> {
        self.ops.open(target).await
    }

    /// True when the service has a forwarder, so that [`Self::forward`] has somewhere to go.
    pub fn has_forwarder(&self) -> bool {
        self.ops.has_forwarder()
    }

    /// Opens a node of the service's forwarder, marks it when it fails, and tries another.
    pub async fn forward(&mut self, hint: &Hint) -> Result<Upstream> {
        self.ops.forward(hint).await
    }

    /// Listens here, on behalf of the client. Never goes through the chain.
    pub async fn listen(&mut self, at: &Target, how: &BindOptions) -> Result<Box<dyn Listener>> {
        self.ops.listen(at, how).await
    }

    /// Opens a UDP socket here, on behalf of the client; its datagrams carry their addresses. As
    /// an upstream they are checked against the access rules by the relay.
    pub async fn listen_packet(&mut self, at: SocketAddr) -> Result<Conn> {
        self.ops.listen_packet(at).await
    }

    /// Asks the access rules about a target that no [`Self::open`] will ask about: that of a
    /// datagram. A refusal has [`Why::Denied`](crate::error::Why::Denied).
    pub async fn check(&self, target: &Target) -> Result<()> {
        self.ops.check(target).await
    }

    /// Resolves a name with the service's hosts and resolver, or else the system's; IPv4 first.
    pub async fn resolve(&self, addr: &Addr) -> Result<SocketAddr> {
        self.ops.resolve(addr).await
    }

    /// True when nothing is opened through a node, so that names mean here what they mean there.
    pub fn is_direct(&self) -> bool {
        self.ops.is_direct()
    }

    /// Moves bytes or datagrams until both directions have ended, for a handler that has more to
    /// do afterwards. Others return [`Next::Relay`](crate::handler::Next::Relay).
    pub async fn relay(&mut self, client: Conn, upstream: Upstream) -> Result<()> {
        self.ops.relay(client, upstream).await
    }

    /// A session for one request or stream of this connection, with a target and a record of its
    /// own.
    #[must_use]
    pub fn child(&self) -> Self {
        self.ops.child()
    }

    /// From here the handler keeps its own deadlines. [`Self::open`], [`Self::forward`] and
    /// [`Self::listen`] imply it.
    pub fn settled(&mut self) {
        self.ops.settled();
    }

    /// What limits the bytes of the client, for what it sends and gets beside its connection, such
    /// as datagrams.
    pub fn client_meter(&self) -> Meter {
        self.ops.client_meter()
    }

    /// What a handler knows of the conversation, for the record of it; `None` where nobody
    /// records.
    pub fn details(&mut self) -> Option<&mut Details> {
        self.ops.details()
    }

    /// Notes that a request is over which the handler passed on by itself: so many bytes of it, so
    /// many of the response. It is recorded and counted. What is relayed, or ends with an error
    /// that the handler returns, is noted without this.
    pub fn finished(&mut self, input: u64, output: u64, error: Option<&Error>) {
        self.ops.finished(input, output, error);
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({})", self.record().id)
    }
}
