//! Services in this process, and the way out through a kcp node.

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
use gost_testkit::{
    PATIENCE,
    payload::{Digest, payload},
    tcp::{Behaviour, Server},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

/// How much is moved in one direction.
pub(crate) const LEN: u64 = 1 << 20;

fn registry() -> Arc<Registry> {
    let mut registry = Registry::new();
    gost_x_kcp::register(&mut registry);
    gost_x_relay::register(&mut registry);
    gost_x_tcp::register(&mut registry);
    Arc::new(registry)
}

/// Options from a query such as `kcp.key=a&kcp.mode=fast`.
fn values(query: &str) -> Values {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.fold(Values::new(), |values, (key, value)| {
        values.with(key, value)
    })
}

async fn listener(kind: &str, at: &str, query: &str) -> Result<Box<dyn Listener>> {
    let registry = registry();
    let mut build = Build::new(registry.clone());
    build.addr = at.into();
    registry
        .make::<dyn Listener>(kind, &values(query), build)
        .await
}

/// A service and where it listens.
pub(crate) struct Running {
    pub(crate) _service: Service,
    pub(crate) address: SocketAddr,
}

fn start(listener: Box<dyn Listener>, serving: Serving) -> Running {
    let service = Service::start("test", listener, serving);
    let address = service.addr().ip().unwrap();
    Running {
        _service: service,
        address,
    }
}

/// A `relay+kcp` service on a port of the system's choice.
pub(crate) async fn server(query: &str) -> Running {
    let registry = registry();
    let build = Build::new(registry.clone());
    let handler = registry.make::<dyn Handler>("relay", &Values::new(), build);
    let serving = Serving::new(handler.await.unwrap(), Arc::new(Sockets::default()));
    start(
        listener("kcp", "127.0.0.1:0", query).await.unwrap(),
        serving,
    )
}

/// A kcp service that hands every stream to one target, as kcptun does.
pub(crate) async fn tunnel_server(target: SocketAddr, query: &str) -> Running {
    let handler = Arc::new(To(Target::tcp(target.into())));
    let serving = Serving::new(handler, Arc::new(Sockets::default()));
    start(
        listener("kcp", "127.0.0.1:0", query).await.unwrap(),
        serving,
    )
}

/// A local TCP port of ours that leads to `target` through a `relay+kcp` node.
pub(crate) async fn client(node: SocketAddr, target: SocketAddr, query: &str) -> Running {
    let registry = registry();
    let build = Build::new(registry.clone());
    let connector = registry.make::<dyn Connector>("relay", &Values::new(), build);
    let connector = connector.await.unwrap();
    client_with(node, target, query, Some(connector)).await
}

/// A local TCP port of ours whose connections are streams to a node, as with kcptun.
pub(crate) async fn tunnel_client(node: SocketAddr, query: &str) -> Running {
    client_with(node, node, query, None).await
}

async fn client_with(
    node: SocketAddr,
    target: SocketAddr,
    query: &str,
    connector: Option<Arc<dyn Connector>>,
) -> Running {
    let registry = registry();
    let build = Build::new(registry.clone());
    let dialer = registry.make::<dyn Dialer>("kcp", &values(query), build);
    let out = Through {
        node: NodeAddr::new(node.into()),
        dialer: dialer.await.unwrap(),
        connector,
        sockets: Arc::new(Sockets::default()),
    };
    let serving = Serving::new(Arc::new(To(Target::tcp(target.into()))), Arc::new(out));
    start(listener("tcp", "127.0.0.1:0", "").await.unwrap(), serving)
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
    connector: Option<Arc<dyn Connector>>,
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
        match &self.connector {
            Some(connector) => connector.connect(over, to, &cx).await,
            None => Ok(over),
        }
    }

    async fn bind(&self, _: &Target, _: &Ask, _: &BindOptions) -> Result<Box<dyn Listener>> {
        unreachable!("nothing is bound here")
    }

    fn path(&self) -> PathId {
        PathId::direct().and("node")
    }
}

/// What must not take long, with a bound.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what)
        .await
        .expect("it takes too long")
}

async fn read(stream: &mut (impl AsyncRead + Unpin), len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    soon(stream.read_exact(&mut bytes)).await.unwrap();
    bytes
}

/// An echo server answers at this port.
pub(crate) async fn echoed(local: SocketAddr) {
    let mut stream = TcpStream::connect(local).await.unwrap();
    for text in [b"ping", b"pong"] {
        stream.write_all(text).await.unwrap();
        assert_eq!(read(&mut stream, 4).await, text);
    }
}

/// Whether an echo server answers at this port, before long.
pub(crate) async fn answers(local: SocketAddr, patience: std::time::Duration) -> bool {
    let mut stream = TcpStream::connect(local).await.unwrap();
    let mut back = [0; 4];
    stream.write_all(b"ping").await.is_ok()
        && tokio::time::timeout(patience, stream.read_exact(&mut back))
            .await
            .is_ok_and(|read| read.is_ok())
}

/// Several connections at once.
pub(crate) async fn many(local: SocketAddr) {
    let mut work = JoinSet::new();
    for _ in 0..30 {
        work.spawn(echoed(local));
    }
    soon(work.join_all()).await;
}

pub(crate) async fn downloaded(local: SocketAddr) {
    fetched(local, LEN).await;
}

/// The source says so much.
pub(crate) async fn fetched(local: SocketAddr, len: u64) {
    let mut stream = TcpStream::connect(local).await.unwrap();
    let all = read(&mut stream, len as usize).await;
    assert!(all == payload(3, len as usize), "other bytes came");
}

pub(crate) async fn uploaded(local: SocketAddr, sink: &Server) {
    told(local, sink, LEN).await;
}

/// The sink is told so much.
pub(crate) async fn told(local: SocketAddr, sink: &Server, len: u64) {
    let mut stream = TcpStream::connect(local).await.unwrap();
    let all = payload(4, len as usize);
    soon(stream.write_all(&all)).await.unwrap();
    stream.shutdown().await.unwrap();
    // Whoever asks a client whether it listens reaches the sink, too.
    let mut received = sink.ended().await.unwrap().received;
    while received.len == 0 {
        received = sink.ended().await.unwrap().received;
    }
    assert_eq!(received, Digest::of(&all));
}

/// An echo, a source and a sink.
pub(crate) struct Targets {
    pub(crate) echo: Server,
    pub(crate) source: Server,
    pub(crate) sink: Server,
}

impl Targets {
    pub(crate) async fn start() -> Self {
        Self::with_source(LEN).await
    }

    /// With a source that says so much.
    pub(crate) async fn with_source(len: u64) -> Self {
        let start = async |behaviour| Server::start(behaviour).await.unwrap();
        Self {
            echo: start(Behaviour::Echo).await,
            source: start(Behaviour::Source { seed: 3, len }).await,
            sink: start(Behaviour::Sink).await,
        }
    }
}
