//! Ours with ours.

use std::time::Duration;

use gost_core::{error::Why, outbound::Dialer};
use gost_testbed::{Targets, answers, echoed, listener, many, read, try_make, values};
use gost_testkit::{
    PATIENCE,
    impair::{Impairment, TcpRelay},
    soon,
    tcp::{Behaviour, Server},
};
use tokio::net::TcpStream;

use crate::support::{client, registry, server, server_at};

const KINDS: [&str; 3] = ["mux.version=1", "mux.version=2", "mux.type=yamux"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_connections_are_streams_of_one() {
    let echo = Server::start(Behaviour::Echo).await.unwrap();
    for kind in KINDS {
        let node = server(kind).await;
        let counted = TcpRelay::start(node.addr, Impairment::default(), None)
            .await
            .unwrap();
        let client = client(counted.address(), echo.address(), kind).await;
        many(client.addr, 100).await;
        assert_eq!(counted.connections(), 1, "{kind}");
    }
}

#[tokio::test]
async fn a_server_that_speaks_first_is_heard() {
    let banner = Behaviour::Banner("220 hello\r\n".into());
    let banner = Server::start(banner).await.unwrap();
    let node = server("").await;
    let client = client(node.addr, banner.address(), "").await;
    let mut stream = TcpStream::connect(client.addr).await.unwrap();
    assert_eq!(read(&mut stream, 11).await, b"220 hello\r\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bulk_comes_through_whole_both_ways() {
    let to = Targets::start(3 << 20).await;
    for kind in KINDS {
        let node = server(kind).await;
        let down = client(node.addr, to.source.address(), kind).await;
        to.downloaded(down.addr).await;
        let up = client(node.addr, to.sink.address(), kind).await;
        to.uploaded(up.addr).await;
    }
}

#[tokio::test]
async fn a_session_that_is_cut_is_replaced() {
    let echo = Server::start(Behaviour::Echo).await.unwrap();
    let node = server("").await;
    let path = TcpRelay::start(node.addr, Impairment::default(), None)
        .await
        .unwrap();
    let client = client(path.address(), echo.address(), "").await;
    for round in 1..=3 {
        let mut stream = echoed(client.addr).await;
        assert_eq!(path.connections(), round);
        path.reset_all();
        // Whoever had a connection hears of it; the next one is served.
        let cut = soon(tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 1])).await;
        assert!(matches!(cut, Ok(0) | Err(_)), "{cut:?}");
    }
}

#[tokio::test]
async fn a_node_that_is_gone_is_refused_and_one_that_came_back_is_used() {
    let echo = Server::start(Behaviour::Echo).await.unwrap();
    let node = server("").await;
    let client = client(node.addr, echo.address(), "").await;
    echoed(client.addr).await;
    let place = node.addr;
    node.service.stop(Duration::ZERO).await;
    assert!(!answers(client.addr, PATIENCE).await);
    let _node = server_at(&place.to_string(), "").await;
    echoed(client.addr).await;
}

#[tokio::test]
async fn each_end_tells_the_key_that_is_wrong() {
    for (pair, says) in [
        ("mux.version=3", "mux.version: "),
        ("mux.type=mplex", "mux.type: "),
        ("mux.maxFrameSize=65536", "mux.maxFrameSize: "),
        ("mux.keepaliveInterval=1h", "mux.keepaliveTimeout: "),
        ("mux.maxReceiveBuffer=3000000000", "mux.maxReceiveBuffer: "),
        ("mux.maxStreamBuffer=8388608", "mux.maxStreamBuffer: "),
    ] {
        let (registry, values) = (registry(), values(pair));
        let dialer = try_make::<dyn Dialer>(&registry, "mtcp", &values).await;
        let listener = listener(&registry, "mtcp", "127.0.0.1:0", &values).await;
        let errors = [dialer.err().unwrap(), listener.err().unwrap()];
        for error in errors {
            assert_eq!(error.why(), Why::BadInput);
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}
