//! Services in this process, and the ways out that tests need.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use gost_core::{
    Error, Result,
    addr::{Addr, Target},
    build::{Build, Door},
    conn::Conn,
    handler::{Handler, Next},
    listener::Listener,
    outbound::{Ask, BindOptions, Connector, NodeAddr, NodeCx, Outbound, PathId},
    policy::{Answer, Asker, Authenticator, Bypass, BypassQuery, Credentials},
    registry::Registry,
    session::{Session, Upstream},
    values::Values,
};
use gost_net::{listen, sockets::Sockets};
use gost_service::{Service, Serving};
use gost_testkit::PATIENCE;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::TcpStream,
};

/// The recordings of the wire.
macro_rules! golden {
    ($name:literal) => {
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/golden/wire/",
            $name,
            ".json"
        ))
    };
}
pub(crate) use golden;

/// The conversations of a recording.
pub(crate) fn transcripts(golden: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(golden).unwrap();
    all["transcripts"].as_array().unwrap().clone()
}

/// The conversation of a name.
pub(crate) fn transcript(golden: &str, name: &str) -> Value {
    transcripts(golden)
        .into_iter()
        .find(|t| t["name"] == name)
        .unwrap_or_else(|| panic!("no transcript {name:?}"))
}

pub(crate) fn unhex(text: &Value) -> Vec<u8> {
    hex::decode(text.as_str().unwrap()).unwrap()
}

fn registry() -> Arc<Registry> {
    let mut registry = Registry::new();
    gost_x_relay::register(&mut registry);
    Arc::new(registry)
}

/// Options from pairs such as `nodelay=true`.
fn values(pairs: &[&str]) -> Values {
    pairs.iter().fold(Values::new(), |values, pair| {
        let (key, value) = pair.split_once('=').unwrap();
        values.with(key, value)
    })
}

/// The relay handler with options.
pub(crate) async fn handler(pairs: &[&str]) -> Arc<dyn Handler> {
    let registry = registry();
    let build = Build::new(registry.clone());
    registry
        .make::<dyn Handler>("relay", &values(pairs), build)
        .await
        .unwrap()
}

/// The relay connector with options.
pub(crate) async fn connector(pairs: &[&str], auth: Option<(&str, &str)>) -> Arc<dyn Connector> {
    let registry = registry();
    let mut build = Build::new(registry.clone());
    build.auth = auth.map(|(username, password)| Credentials {
        username: username.into(),
        password: password.into(),
    });
    registry
        .make::<dyn Connector>("relay", &values(pairs), build)
        .await
        .unwrap()
}

/// A service on a port of the system's choice.
pub(crate) struct Running {
    pub(crate) service: Service,
    pub(crate) address: SocketAddr,
}

/// Starts a service.
pub(crate) async fn start(serving: Serving) -> Running {
    let door = Door::default();
    let options = listen::TcpOptions::default();
    let listener = listen::tcp("127.0.0.1:0", &options, &door).await.unwrap();
    let service = Service::start("test", Box::new(listener), serving);
    let address = service.addr().ip().unwrap();
    Running { service, address }
}

/// A relay server with options.
pub(crate) async fn server(pairs: &[&str]) -> Running {
    start(serving(pairs).await).await
}

/// What a relay server with options does.
pub(crate) async fn serving(pairs: &[&str]) -> Serving {
    Serving::new(handler(pairs).await, Arc::new(Sockets::default()))
}

/// A service whose clients all reach one target through a relay node.
pub(crate) async fn client(node: SocketAddr, target: Target, pairs: &[&str]) -> Running {
    let out = Arc::new(Through::new(node, connector(pairs, None).await));
    start(Serving::new(Arc::new(To(target)), out)).await
}

/// Hands every client to one target, whatever it says.
pub(crate) struct To(pub(crate) Target);

#[async_trait]
impl Handler for To {
    async fn handle(&self, conn: Conn, session: &mut Session) -> Result<Next> {
        let upstream: Upstream = session.open(&self.0).await?;
        Ok(Next::Relay(conn, upstream))
    }
}

/// The way out through one relay node over TCP.
pub(crate) struct Through {
    node: NodeAddr,
    connector: Arc<dyn Connector>,
    sockets: Arc<dyn Outbound>,
}

impl Through {
    pub(crate) fn new(node: SocketAddr, connector: Arc<dyn Connector>) -> Self {
        Self {
            node: NodeAddr::new(node.into()),
            connector,
            sockets: Arc::new(Sockets::default()),
        }
    }

    async fn dial(&self, ask: &Ask) -> Result<Conn> {
        let target = Target::tcp(self.node.addr.clone());
        self.sockets.connect(&target, ask).await
    }

    fn cx<'a>(&'a self, ask: &'a Ask) -> NodeCx<'a> {
        NodeCx {
            node: &self.node,
            sockets: &self.sockets,
            ask,
        }
    }

    /// Connects outside of any service.
    pub(crate) async fn open(&self, to: &Target) -> Result<Conn> {
        self.connect(to, &Ask::default()).await
    }
}

#[async_trait]
impl Outbound for Through {
    async fn connect(&self, to: &Target, ask: &Ask) -> Result<Conn> {
        let over = self.dial(ask).await?;
        self.connector.connect(over, to, &self.cx(ask)).await
    }

    async fn bind(&self, at: &Target, ask: &Ask, how: &BindOptions) -> Result<Box<dyn Listener>> {
        let over = self.dial(ask).await?;
        self.connector.bind(over, at, how, &self.cx(ask)).await
    }

    fn path(&self) -> PathId {
        PathId::direct().and("node")
    }
}

/// Knows one user.
pub(crate) struct OneUser(pub(crate) &'static str, pub(crate) &'static str);

impl Authenticator for OneUser {
    fn authenticate<'a>(
        &'a self,
        given: &'a Credentials,
        _: &'a Asker,
    ) -> Answer<'a, Option<String>> {
        let right = given.username == self.0 && given.password == self.1;
        Answer::Now(right.then(|| given.username.clone()))
    }
}

/// Forbids some addresses and names.
pub(crate) struct Forbid(pub(crate) fn(&Addr) -> bool);

impl Bypass for Forbid {
    fn is_whitelist(&self) -> bool {
        false
    }

    fn contains<'a>(&'a self, query: &'a BypassQuery, _: &'a Asker) -> Answer<'a, bool> {
        Answer::Now((self.0)(&query.target.addr))
    }
}

/// What must take milliseconds, with a bound.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what)
        .await
        .expect("it takes too long")
}

/// Reads exactly `len` bytes.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin), len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    soon(stream.read_exact(&mut bytes)).await.unwrap();
    bytes
}

/// Reads to the end; a reset counts as one.
pub(crate) async fn read_all(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = soon(stream.read_to_end(&mut bytes)).await;
    bytes
}

/// True when nothing comes for a while.
pub(crate) async fn is_silent(stream: &mut TcpStream) -> bool {
    let mut byte = [0];
    tokio::time::timeout(Duration::from_millis(100), stream.peek(&mut byte))
        .await
        .is_err()
}

/// The error of an attempt to connect that must fail.
pub(crate) fn failed(result: Result<Conn>) -> Error {
    result.expect_err("it must fail")
}
