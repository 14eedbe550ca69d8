use std::{sync::Arc, time::Duration};

use gost_core::{
    build::Build,
    conn::Conn,
    error::Why,
    listener::{Accepted, Listener},
    options::Options as _,
    packet::Batch,
    registry::Registry,
    values::Values,
};
use tokio::net::UdpSocket;

use crate::UdpOptions;

fn read(values: &Values) -> UdpOptions {
    let mut errors = Vec::new();
    let options = UdpOptions::read(values, &mut errors);
    assert_eq!(errors, []);
    options
}

#[test]
fn a_flow_lives_for_a_minute_at_least_unless_told_otherwise() {
    let ttl = |values: Values| read(&values).flows().ttl.as_secs();
    assert_eq!(ttl(Values::new()), 60);
    assert_eq!(ttl(Values::new().with("keepalive", "true")), 120);
    assert_eq!(ttl(Values::new().with("stateless", "true")), 5);
    assert_eq!(ttl(Values::new().with("ttl", "7s")), 7);
    assert_eq!(ttl(Values::new().with("keepalive.ttl", "8")), 8);
    assert_eq!(
        ttl(Values::new().with("ttl", "-1s").with("keepalive", "1")),
        120
    );
}

#[test]
fn every_key_and_alias_is_read() {
    let options = read(
        &Values::new()
            .with("backlog", "5")
            .with("recvqueuesize", "6")
            .with("udp.bufferSize", "7")
            .with("stateless", "true"),
    );
    let flows = options.flows();
    assert_eq!((flows.backlog, flows.queue, flows.stateless), (5, 6, true));
    let options = read(
        &Values::new()
            .with("readQueueSize", "0")
            .with("readBufferSize", "1"),
    );
    assert_eq!(options.flows().queue, 1024);
}

async fn listen(addr: &str) -> gost_core::Result<Box<dyn Listener>> {
    let mut registry = Registry::new();
    crate::register(&mut registry);
    let registry = Arc::new(registry);
    let mut build = Build::new(registry.clone());
    build.addr = addr.into();
    registry
        .make::<dyn Listener>("udp", &Values::new(), build)
        .await
}

async fn accept(listener: &mut dyn Listener) -> Conn {
    let incoming = tokio::time::timeout(Duration::from_secs(10), listener.accept());
    match incoming.await.unwrap().unwrap().finish().await.unwrap() {
        Accepted::One(conn) => conn,
        Accepted::Many(_) => panic!("one conversation for each client"),
    }
}

#[tokio::test]
async fn a_client_is_a_connection_with_its_addresses() {
    let mut listener = listen("127.0.0.1:0").await.unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let local = listener.addr().ip().unwrap();
    client.send_to(b"ping", local).await.unwrap();
    let conn = accept(&mut *listener).await;
    assert_eq!(conn.meta.peer.ip(), Some(client.local_addr().unwrap()));
    assert_eq!(conn.meta.local.ip(), Some(local));
    let (mut packet, _) = conn.into_packet().unwrap();
    let mut batch = Batch::with_capacity(100);
    std::future::poll_fn(|cx| packet.poll_recv(cx, &mut batch))
        .await
        .unwrap();
    std::future::poll_fn(|cx| packet.poll_send(cx, &mut batch))
        .await
        .unwrap();
    let mut buffer = [0; 9];
    let (n, from) = client.recv_from(&mut buffer).await.unwrap();
    assert_eq!((&buffer[..n], from), (&b"ping"[..], local));
}

#[tokio::test]
async fn an_address_in_use_and_a_bad_one_are_errors() {
    let first = listen("127.0.0.1:0").await.unwrap();
    let again = listen(&first.addr().to_string()).await;
    assert_eq!(again.err().map(|e| e.why()), Some(Why::InUse));
    let bad = listen("127.0.0.1:port").await;
    assert_eq!(bad.err().map(|e| e.why()), Some(Why::BadInput));
}
