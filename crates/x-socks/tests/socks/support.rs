//! Services to test, and ways through them.

use std::{net::SocketAddr, time::Duration};

use gost_core::prelude::*;
use gost_testbed::{Running, Through, credentials, make, serve, through, values};
use gost_testkit::soon;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

pub(crate) fn registry() -> Arc<Registry> {
    let mut registry = Registry::new();
    gost_x_socks::register(&mut registry);
    Arc::new(registry)
}

pub(crate) async fn handler(name: &str, query: &str) -> Arc<dyn Handler> {
    make::<dyn Handler>(&registry(), name, &values(query)).await
}

/// Serves a handler without policies.
pub(crate) async fn open(name: &str, query: &str) -> Running {
    serve(handler(name, query).await, |_| {}).await
}

/// The way through a node at `addr`.
pub(crate) async fn via(
    name: &str,
    query: &str,
    auth: Option<(&str, &str)>,
    addr: SocketAddr,
) -> Through {
    let auth = auth.map(|(user, password)| credentials(user, password));
    through(&registry(), name, &values(query), auth, addr).await
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
