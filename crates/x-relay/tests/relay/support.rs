//! Services in this process, and the ways out that tests need.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use gost_core::{Error, Result, addr::Target, conn::Conn, handler::Handler, registry::Registry};
use gost_net::sockets::Sockets;
use gost_service::Serving;
use gost_testbed::{Running, Through, To, credentials, listen, make, through, values};
use gost_testkit::soon;
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

/// The relay handler with options.
pub(crate) async fn handler(pairs: &[&str]) -> Arc<dyn Handler> {
    make::<dyn Handler>(&registry(), "relay", &values(&pairs.join("&"))).await
}

/// The way through a relay node with options.
pub(crate) async fn way(node: SocketAddr, pairs: &[&str], auth: Option<(&str, &str)>) -> Through {
    let auth = auth.map(|(user, password)| credentials(user, password));
    through(&registry(), "relay", &values(&pairs.join("&")), auth, node).await
}

/// A relay server with options.
pub(crate) async fn server(pairs: &[&str]) -> Running {
    start(serving(pairs).await).await
}

/// What a relay server with options does.
pub(crate) async fn serving(pairs: &[&str]) -> Serving {
    Serving::new(handler(pairs).await, Arc::new(Sockets::default()))
}

/// Starts a service on a port of the system's choice.
pub(crate) async fn start(serving: Serving) -> Running {
    Running::start(listen().await, serving)
}

/// A service whose clients all reach one target through a relay node.
pub(crate) async fn client(node: SocketAddr, target: Target, pairs: &[&str]) -> Running {
    let out = Arc::new(way(node, pairs, None).await);
    start(Serving::new(Arc::new(To(target)), out)).await
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
