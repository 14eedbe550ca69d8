//! Services in this process, and the way out through an mtcp node.

use std::{net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use gost_core::{
    Result,
    addr::Target,
    build::Build,
    conn::Conn,
    handler::{Handler, Next},
    listener::Listener,
    outbound::{Ask, BindOptions, Connector, Dialer, NodeAddr, NodeCx, Outbound, PathId},
    registry::Registry,
    session::Session,
    values::Values,
};
use gost_net::sockets::Sockets;
use gost_service::{Service, Serving};
use gost_testkit::PATIENCE;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

pub(crate) fn registry() -> Arc<Registry> {
    let mut registry = Registry::new();
    gost_x_mtcp::register(&mut registry);
    gost_x_relay::register(&mut registry);
    gost_x_tcp::register(&mut registry);
    Arc::new(registry)
}

/// Options from pairs such as `mux.version=1`.
pub(crate) fn values(pairs: &[&str]) -> Values {
    pairs.iter().fold(Values::new(), |values, pair| {
        let (key, value) = pair.split_once('=').unwrap();
        values.with(key, value)
    })
}

pub(crate) async fn listener(kind: &str, at: &str, pairs: &[&str]) -> Result<Box<dyn Listener>> {
    let registry = registry();
    let mut build = Build::new(registry.clone());
    build.addr = at.into();
    registry
        .make::<dyn Listener>(kind, &values(pairs), build)
        .await
}

pub(crate) async fn dialer(pairs: &[&str]) -> Result<Arc<dyn Dialer>> {
    let registry = registry();
    let build = Build::new(registry.clone());
    registry
        .make::<dyn Dialer>("mtcp", &values(pairs), build)
        .await
}

/// A service and where it listens.
pub(crate) struct Running {
    pub(crate) service: Service,
    pub(crate) address: SocketAddr,
}

fn start(listener: Box<dyn Listener>, serving: Serving) -> Running {
    let service = Service::start("test", listener, serving);
    let address = service.addr().ip().unwrap();
    Running { service, address }
}

/// A `relay+mtcp` service on a port of the system's choice.
pub(crate) async fn server(pairs: &[&str]) -> Running {
    server_at("127.0.0.1:0", pairs).await
}

/// A `relay+mtcp` service.
pub(crate) async fn server_at(place: &str, pairs: &[&str]) -> Running {
    let registry = registry();
    let build = Build::new(registry.clone());
    let handler = registry
        .make::<dyn Handler>("relay", &Values::new(), build)
        .await
        .unwrap();
    let serving = Serving::new(handler, Arc::new(Sockets::default()));
    start(listener("mtcp", place, pairs).await.unwrap(), serving)
}

/// A local TCP port of ours that leads to `target` through a `relay+mtcp` node.
pub(crate) async fn client(node: SocketAddr, target: SocketAddr, pairs: &[&str]) -> Running {
    let registry = registry();
    let build = Build::new(registry.clone());
    let connector = registry
        .make::<dyn Connector>("relay", &Values::new(), build)
        .await
        .unwrap();
    let out = Through {
        node: NodeAddr::new(node.into()),
        dialer: dialer(pairs).await.unwrap(),
        connector,
        sockets: Arc::new(Sockets::default()),
    };
    let serving = Serving::new(Arc::new(To(Target::tcp(target.into()))), Arc::new(out));
    start(listener("tcp", "127.0.0.1:0", &[]).await.unwrap(), serving)
}

/// Hands every client to one target, whatever it says.
struct To(Target);

#[async_trait]
impl Handler for To {
    async fn handle(&self, conn: Conn, session: &mut Session) -> Result<Next> {
        let upstream = session.open(&self.0).await?;
        Ok(Next::Relay(conn, upstream))
    }
}

/// The way out through one node.
struct Through {
    node: NodeAddr,
    dialer: Arc<dyn Dialer>,
    connector: Arc<dyn Connector>,
    sockets: Arc<dyn Outbound>,
}

#[async_trait]
impl Outbound for Through {
    async fn connect(&self, to: &Target, ask: &Ask) -> Result<Conn> {
        let over = self.dialer.dial(&self.node, &self.sockets, ask).await?;
        let cx = NodeCx {
            node: &self.node,
            sockets: &self.sockets,
            ask,
        };
        self.connector.connect(over, to, &cx).await
    }

    async fn bind(&self, _: &Target, _: &Ask, _: &BindOptions) -> Result<Box<dyn Listener>> {
        unreachable!("nothing is bound here")
    }

    fn path(&self) -> PathId {
        PathId::direct().and("node")
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

/// An echo server answers at this port.
pub(crate) async fn echoed(local: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(local).await.unwrap();
    for text in [b"ping", b"pong"] {
        stream.write_all(text).await.unwrap();
        assert_eq!(read(&mut stream, 4).await, text);
    }
    stream
}

/// Whether an echo server answers at this port.
pub(crate) async fn answers(local: SocketAddr) -> bool {
    let mut stream = TcpStream::connect(local).await.unwrap();
    let mut back = [0; 4];
    stream.write_all(b"ping").await.is_ok() && soon(stream.read_exact(&mut back)).await.is_ok()
}
