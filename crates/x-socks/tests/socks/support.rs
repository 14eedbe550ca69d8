//! Services to test, and ways through them.

use std::{future::Future, net::SocketAddr, time::Duration};

use gost_core::{
    build::Door,
    outbound::PathId,
    policy::{Answer, Asker, Authenticator, Bypass, BypassQuery, Credentials},
    prelude::*,
    values::Values,
};
use gost_net::{listen, sockets::Sockets};
use gost_service::{Service, Serving};
use gost_testkit::PATIENCE;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Waits, but not forever.
pub(crate) async fn soon<F: Future>(work: F) -> F::Output {
    tokio::time::timeout(PATIENCE, work).await.expect("in time")
}

pub(crate) fn registry() -> Arc<Registry> {
    let mut registry = Registry::new();
    gost_x_socks::register(&mut registry);
    Arc::new(registry)
}

/// Values as they stand in a query: `udp=true&bind=true`.
pub(crate) fn values(query: &str) -> Values {
    query
        .split('&')
        .filter_map(|item| item.split_once('='))
        .fold(Values::new(), |values, (key, value)| {
            values.with(key, value)
        })
}

pub(crate) async fn handler(name: &str, query: &str) -> Arc<dyn Handler> {
    let build = Build::new(registry());
    registry()
        .make::<dyn Handler>(name, &values(query), build)
        .await
        .unwrap()
}

/// A running service on a port of 127.0.0.1.
pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    _service: Service,
}

/// Serves a handler on 127.0.0.1; `edit` sets policies and the way out.
pub(crate) async fn serve(handler: Arc<dyn Handler>, edit: impl FnOnce(&mut Serving)) -> Running {
    let options = listen::TcpOptions::default();
    let listener = listen::tcp("127.0.0.1:0", &options, &Door::default())
        .await
        .unwrap();
    let addr = listener.addr().ip().unwrap();
    let mut serving = Serving::new(handler, Arc::new(Sockets::default()));
    edit(&mut serving);
    Running {
        addr,
        _service: Service::start("test", Box::new(listener), serving),
    }
}

/// Serves a handler without policies.
pub(crate) async fn open(name: &str, query: &str) -> Running {
    serve(handler(name, query).await, |_| {}).await
}

/// One user.
pub(crate) struct Only(pub(crate) &'static str, pub(crate) &'static str);

impl Authenticator for Only {
    fn authenticate<'a>(
        &'a self,
        given: &'a Credentials,
        _: &'a Asker,
    ) -> Answer<'a, Option<String>> {
        let right = given.username == self.0 && given.password == self.1;
        Answer::Now(right.then(|| self.0.to_owned()))
    }
}

/// Forbids one host.
pub(crate) struct Forbid(pub(crate) &'static str);

impl Bypass for Forbid {
    fn is_whitelist(&self) -> bool {
        false
    }

    fn contains<'a>(&'a self, query: &'a BypassQuery, _: &'a Asker) -> Answer<'a, bool> {
        Answer::Now(query.target.addr.host() == self.0)
    }
}

/// The way out through one node.
pub(crate) struct Via {
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) node: NodeAddr,
    pub(crate) sockets: Arc<dyn Outbound>,
}

impl Via {
    async fn over(&self, ask: &Ask) -> Result<Conn> {
        let node = Target::tcp(self.node.addr.clone());
        self.sockets.connect(&node, ask).await
    }
}

#[async_trait]
impl Outbound for Via {
    async fn connect(&self, to: &Target, ask: &Ask) -> Result<Conn> {
        let cx = NodeCx {
            node: &self.node,
            sockets: &self.sockets,
            ask,
        };
        self.connector.connect(self.over(ask).await?, to, &cx).await
    }

    async fn bind(&self, at: &Target, ask: &Ask, how: &BindOptions) -> Result<Box<dyn Listener>> {
        let cx = NodeCx {
            node: &self.node,
            sockets: &self.sockets,
            ask,
        };
        self.connector
            .bind(self.over(ask).await?, at, how, &cx)
            .await
    }

    fn path(&self) -> PathId {
        PathId::direct().and(&self.node.name)
    }
}

/// The way through a node at `addr`.
pub(crate) async fn via(
    name: &str,
    query: &str,
    auth: Option<(&str, &str)>,
    addr: SocketAddr,
) -> Via {
    let mut build = Build::new(registry());
    build.auth = auth.map(|(user, password)| Credentials {
        username: user.into(),
        password: password.into(),
    });
    let connector = registry()
        .make::<dyn Connector>(name, &values(query), build)
        .await
        .unwrap();
    Via {
        connector,
        node: NodeAddr::new(addr.into()),
        sockets: Arc::new(Sockets::default()),
    }
}

/// A raw client.
pub(crate) struct Raw(pub(crate) TcpStream);

impl Raw {
    pub(crate) async fn connect(to: &Running) -> Self {
        let stream = TcpStream::connect(to.addr).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    pub(crate) async fn send(&mut self, hex: &str) {
        self.0.write_all(&unhex(hex)).await.unwrap();
    }

    /// The next `n` bytes, as hex; fewer when the connection ends before.
    pub(crate) async fn take(&mut self, n: usize) -> String {
        let mut bytes = vec![0; n];
        let mut got = 0;
        while got < n {
            match soon(self.0.read(&mut bytes[got..])).await {
                Ok(0) | Err(_) => break,
                Ok(more) => got += more,
            }
        }
        hex::encode(&bytes[..got])
    }

    /// All until the server ends the connection, as hex.
    pub(crate) async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        // A reset after the answer is an end too.
        let _ = soon(self.0.read_to_end(&mut bytes)).await;
        hex::encode(bytes)
    }
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

/// An address and port in the form of SOCKS5.
pub(crate) fn address_hex(addr: SocketAddr) -> String {
    let SocketAddr::V4(v4) = addr else {
        panic!("tests listen on IPv4")
    };
    format!("01{}{:04x}", hex::encode(v4.ip().octets()), v4.port())
}

/// The recorded transcripts of a protocol.
pub(crate) fn transcripts(json: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(json).unwrap();
    file["transcripts"].as_array().unwrap().clone()
}

/// How long a test watches that nothing happens.
pub(crate) const WATCH: Duration = Duration::from_millis(200);
