//! Whole channels, as a program builds them.

use std::{sync::Arc, time::Duration};

use gost_core::{
    Error, Result,
    build::Build,
    conn::Conn,
    error::{Phase, Side, Why},
    listener::{Accepted, BoxFuture, Listener},
    outbound::{Ask, Dialer, NodeAddr, Outbound},
    registry::Registry,
    values::{Mark, Value, Values},
};
use gost_net::sockets::Sockets;
use gost_testkit::payload::{Digest, payload};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinHandle,
};

use crate::support::soon;

const NAMES: [&str; 4] = ["ws", "wss", "mws", "mwss"];

fn registry() -> Arc<Registry> {
    let mut registry = Registry::new();
    gost_x_ws::register(&mut registry);
    Arc::new(registry)
}

fn values(pairs: &[(&str, &str)]) -> Values {
    pairs.iter().fold(Values::new(), |values, (key, value)| {
        values.with(key, *value)
    })
}

/// A listener that echoes, and the node that it is.
async fn echo(name: &str, values: &Values) -> (NodeAddr, JoinHandle<()>) {
    let registry = registry();
    let mut build = Build::new(registry.clone());
    build.addr = "127.0.0.1:0".into();
    let listener = registry
        .make::<dyn Listener>(name, values, build)
        .await
        .unwrap();
    let node = NodeAddr::new(listener.addr());
    (node, tokio::spawn(serve(listener)))
}

fn serve(mut listener: Box<dyn Listener>) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        while let Ok(incoming) = listener.accept().await {
            tokio::spawn(async move {
                match incoming.finish().await {
                    Ok(Accepted::One(conn)) => answer(conn).await,
                    Ok(Accepted::Many(streams)) => serve(streams).await,
                    Err(_) => {}
                }
            });
        }
    })
}

async fn answer(conn: Conn) {
    let (stream, _) = conn.into_stream().unwrap();
    let (mut from, mut to) = tokio::io::split(stream);
    if tokio::io::copy(&mut from, &mut to).await.is_ok() {
        let _ = to.shutdown().await;
        // Who drops a connection that has not ended may cut its last bytes.
        let _ = from.read(&mut [0]).await;
    }
}

async fn dialer(name: &str, values: &Values) -> Result<Arc<dyn Dialer>> {
    let registry = registry();
    let build = Build::new(registry.clone());
    registry.make::<dyn Dialer>(name, values, build).await
}

async fn dial(dialer: &Arc<dyn Dialer>, node: &NodeAddr) -> Result<Conn> {
    let sockets: Arc<dyn Outbound> = Arc::new(Sockets::default());
    soon(dialer.dial(node, &sockets, &Ask::default())).await
}

async fn echoes(conn: Conn) {
    const LENGTH: usize = 400_000;
    let (stream, _) = conn.into_stream().unwrap();
    let (mut from, mut to) = tokio::io::split(stream);
    let writer = tokio::spawn(async move {
        to.write_all(&payload(1, LENGTH)).await.unwrap();
        to.flush().await.unwrap();
        to
    });
    let mut found = vec![0; LENGTH];
    soon(from.read_exact(&mut found)).await.unwrap();
    assert_eq!(Digest::of(&found), Digest::of_payload(1, LENGTH as u64));
    let mut to = writer.await.unwrap();
    soon(to.shutdown()).await.unwrap();
    assert_eq!(soon(from.read(&mut [0])).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_pass_whole_through_each_channel() {
    for name in NAMES {
        for pairs in [
            &[][..],
            &[
                ("path", "/a b?c"),
                ("host", "front.example"),
                ("ws.writeBufferSize", "1000"),
            ],
            &[
                ("ws.path", "/x"),
                ("path", "/ignored"),
                ("enableCompression", "true"),
            ],
            &[
                ("readBufferSize", "16384"),
                ("handshakeTimeout", "5s"),
                ("readHeaderTimeout", "5s"),
            ],
        ] {
            let values = values(pairs);
            let (node, _serving) = echo(name, &values).await;
            let dialer = dialer(name, &values).await.unwrap();
            let conns = [dial(&dialer, &node).await, dial(&dialer, &node).await];
            for conn in conns {
                echoes(conn.unwrap()).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_version_of_smux_and_pings_can_be_asked_for() {
    for name in ["mws", "mwss"] {
        let values = values(&[
            ("mux.version", "2"),
            ("keepalive", "true"),
            ("ttl", "1s"),
            ("tcp.keepalive", "true"),
            ("tcp.keepalive.idle", "30s"),
            ("mux.keepaliveDisabled", "true"),
        ]);
        let (node, _serving) = echo(name, &values).await;
        let dialer = dialer(name, &values).await.unwrap();
        echoes(dial(&dialer, &node).await.unwrap()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_path_is_told_with_status_and_body() {
    for name in NAMES {
        let (node, _serving) = echo(name, &values(&[("path", "/right")])).await;
        let dialer = dialer(name, &values(&[("path", "/wrong")])).await.unwrap();
        let error = dial(&dialer, &node).await.unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("answered 404 Not Found: 404 page not found"),
            "{name}: {text}"
        );
        assert_eq!(
            (error.why(), error.at_side()),
            (Why::Refused, Side::Node),
            "{name}"
        );
        assert_eq!(error.at_phase(), Phase::Handshake, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_belongs_to_the_handshake_is_refused_before_anything_listens() {
    let mut values = Values::new();
    let line = [("Upgrade".to_owned(), Value::Text("h2c".into()))];
    let mark = Mark::new("gost.yaml".into(), 3);
    values.set("header", Value::Map(line.into()), mark);
    for name in NAMES {
        let error = dialer(name, &values).await.err().unwrap();
        assert_eq!(
            error.to_string(),
            "header Upgrade: it belongs to the handshake"
        );
        let registry = registry();
        let mut build = Build::new(registry.clone());
        build.addr = "127.0.0.1:0".into();
        let made = registry.make::<dyn Listener>(name, &values, build).await;
        assert_eq!(made.err().unwrap().why(), Why::BadInput);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_is_given_up_in_time() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let node = NodeAddr::new(listener.local_addr().unwrap().into());
    for name in ["ws", "wss"] {
        let dialer = dialer(name, &values(&[("handshakeTimeout", "50ms")]))
            .await
            .unwrap();
        let error = dial(&dialer, &node).await.unwrap_err();
        assert_eq!((error.why(), error.at_side()), (Why::TimedOut, Side::Node));
        let dialer = self::dialer(name, &Values::new()).await.unwrap();
        let sockets: Arc<dyn Outbound> = Arc::new(Sockets::default());
        let ask = Ask {
            deadline: Some(std::time::Instant::now() + Duration::from_millis(50)),
            ..Ask::default()
        };
        let error: Error = soon(dialer.dial(&node, &sockets, &ask)).await.unwrap_err();
        assert_eq!(error.why(), Why::TimedOut);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_session_carries_many_streams() {
    let (node, _serving) = echo("mws", &Values::new()).await;
    let dialer = dialer("mws", &Values::new()).await.unwrap();
    let mut streams = Vec::new();
    for i in 0..200_u32 {
        let (mut stream, meta) = dial(&dialer, &node).await.unwrap().into_stream().unwrap();
        stream.write_all(&i.to_be_bytes()).await.unwrap();
        streams.push((i, meta.local, stream));
    }
    for (i, local, stream) in &mut streams {
        assert_eq!(soon(stream.read_u32()).await.unwrap(), *i);
        assert!(!local.to_string().is_empty());
    }
    let locals: std::collections::HashSet<_> = streams
        .iter()
        .map(|(_, local, _)| local.to_string())
        .collect();
    assert_eq!(locals.len(), 1, "one connection");
}
