//! Every key of the tcp channel reaches its sockets, and the bytes are untouched.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use gost_core::{
    Why,
    addr::Addr,
    build::Build,
    conn::Conn,
    listener::{Accepted, Listener},
    outbound::{Ask, Dialer, NodeAddr, Outbound},
    registry::Registry,
    stream::Socket,
    values::Values,
};
use gost_net::sockets::{SocketOptions, Sockets};
use gost_testkit::PATIENCE;
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

fn values(pairs: &[(&str, &str)]) -> Values {
    let with = |values: Values, (key, value): &(&str, &str)| values.with(key, *value);
    pairs.iter().fold(Values::new(), with)
}

fn build(addr: &str) -> (Arc<Registry>, Build) {
    let mut registry = Registry::new();
    gost_x_tcp::register(&mut registry);
    let registry = Arc::new(registry);
    let mut build = Build::new(registry.clone());
    build.addr = addr.into();
    (registry, build)
}

async fn listen(
    addr: &str,
    pairs: &[(&str, &str)],
    proxy_protocol: bool,
) -> gost_core::Result<Box<dyn Listener>> {
    let (registry, mut build) = build(addr);
    build.door.proxy_protocol = proxy_protocol;
    registry
        .make::<dyn Listener>("tcp", &values(pairs), build)
        .await
}

async fn accepted(listener: &mut dyn Listener) -> Conn {
    let accept = async { listener.accept().await.unwrap().finish().await.unwrap() };
    match tokio::time::timeout(PATIENCE, accept).await.unwrap() {
        Accepted::One(conn) => conn,
        Accepted::Many(_) => panic!("a connection is one"),
    }
}

async fn dialer(pairs: &[(&str, &str)]) -> Arc<dyn Dialer> {
    let (registry, build) = build("");
    let made = registry.make::<dyn Dialer>("tcp", &values(pairs), build);
    made.await.unwrap()
}

/// Whether keep-alive is set, with its times and count.
fn keepalive(conn: Conn) -> Option<(Duration, Duration, u32)> {
    let raw = conn.into_stream().unwrap().0.into_raw().ok().unwrap();
    let Socket::Tcp(socket) = &raw.socket else {
        panic!("no TCP");
    };
    let socket = SockRef::from(socket);
    socket.keepalive().unwrap().then(|| {
        (
            socket.tcp_keepalive_time().unwrap(),
            socket.tcp_keepalive_interval().unwrap(),
            socket.tcp_keepalive_retries().unwrap(),
        )
    })
}

const SECONDS: fn(u64) -> Duration = Duration::from_secs;

#[tokio::test]
async fn keepalive_is_set_on_both_sides_as_the_keys_say() {
    let all = [
        ("keepalive", "true"),
        ("keepAlive.idle", "40s"),
        ("keepalive.interval", "7"),
        ("keepalive.count", "3"),
    ];
    let none = [
        ("keepalive", "true"),
        ("keepalive.idle", "0"),
        ("keepalive.interval", "-1s"),
        ("keepalive.count", "-1"),
    ];
    let usual = (SECONDS(15), SECONDS(15), 9);
    let expected = [
        // A peer that is gone without a word is missed in any case.
        (&[][..], usual),
        (&all[..1], usual),
        (&all, (SECONDS(40), SECONDS(7), 3)),
        // Nothing and less stand for the default.
        (&none, usual),
        // The times alone change nothing.
        (&all[1..], usual),
    ];
    for (pairs, set) in expected {
        let set = Some(set);
        let mut listener = listen("127.0.0.1:0", pairs, false).await.unwrap();
        let node = NodeAddr::new(listener.addr());
        let below: Arc<dyn Outbound> = Arc::new(Sockets::default());
        let dialed = dialer(pairs).await;
        let dialed = dialed.dial(&node, &below, &Ask::default()).await.unwrap();
        assert_eq!(keepalive(accepted(&mut *listener).await), set, "{pairs:?}");
        assert_eq!(keepalive(dialed), set, "{pairs:?}");
    }
}

#[tokio::test]
async fn a_port_is_shared_by_those_who_both_say_so() {
    let shared = [("reuseport", "true")];
    let first = listen("127.0.0.1:0", &shared, false).await.unwrap();
    let addr = first.addr().to_string();
    let again = listen(&addr, &[], false).await;
    assert_eq!(again.err().map(|e| e.why()), Some(Why::InUse));
    let second = listen(&addr, &shared, false).await.unwrap();
    assert_eq!(second.addr(), first.addr());
}

#[tokio::test]
async fn bytes_pass_and_their_end_too() {
    let mut listener = listen("127.0.0.1:0", &[], false).await.unwrap();
    let local = listener.addr().ip().unwrap();
    let mut client = TcpStream::connect(local).await.unwrap();
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    let conn = accepted(&mut *listener).await;
    assert_eq!(conn.meta.peer.ip(), Some(client.local_addr().unwrap()));
    assert_eq!(conn.meta.local.ip(), Some(local));
    let mut stream = conn.into_stream().unwrap().0;
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"question");
    stream.write_all(b"answer").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"answer");
}

#[tokio::test]
async fn a_header_in_front_says_who_the_client_is() {
    let mut listener = listen("127.0.0.1:0", &[], true).await.unwrap();
    let mut client = TcpStream::connect(listener.addr().ip().unwrap())
        .await
        .unwrap();
    let header = b"PROXY TCP4 192.0.2.1 198.51.100.2 51234 443\r\nhello";
    client.write_all(header).await.unwrap();
    client.shutdown().await.unwrap();
    let conn = accepted(&mut *listener).await;
    assert_eq!(conn.meta.client, "192.0.2.1:51234".parse().ok());
    assert_eq!(conn.meta.original, "198.51.100.2:443".parse().ok());
    let mut heard = Vec::new();
    let mut stream = conn.into_stream().unwrap().0;
    stream.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"hello");
}

#[tokio::test]
async fn a_node_is_told_who_the_client_is_before_anything_else() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let node = NodeAddr::new(Addr::from(server.local_addr().unwrap()));
    let options = SocketOptions {
        proxy_protocol: 1,
        ..SocketOptions::default()
    };
    let below: Arc<dyn Outbound> =
        Arc::new(Sockets::new(options, gost_core::routing::Names::default()));
    let known: SocketAddr = "192.0.2.1:51234".parse().unwrap();
    let local: SocketAddr = "198.51.100.2:443".parse().unwrap();
    for (client, wanted) in [
        (
            Some(known),
            &b"PROXY TCP4 192.0.2.1 198.51.100.2 51234 443\r\nhello"[..],
        ),
        (None, b"hello"),
    ] {
        let ask = Ask {
            client,
            local: Some(local),
            ..Ask::default()
        };
        let dialer = dialer(&[("keepalive", "true")]).await;
        let conn = dialer.dial(&node, &below, &ask).await.unwrap();
        let mut stream = conn.into_stream().unwrap().0;
        stream.write_all(b"hello").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut heard = Vec::new();
        let (mut accepted, _) = server.accept().await.unwrap();
        accepted.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, wanted);
    }
}

#[tokio::test]
async fn values_that_do_not_fit_are_errors() {
    for pair in [
        ("keepalive", "maybe"),
        ("keepalive.idle", "soon"),
        ("keepalive.count", "some"),
        ("reuseport", "2x"),
    ] {
        let error = listen("127.0.0.1:0", &[pair], false).await.err();
        let error = error.map(|e| e.to_string()).unwrap_or_default();
        assert!(error.contains(pair.0), "{pair:?}: {error}");
    }
}
