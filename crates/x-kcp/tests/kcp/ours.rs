//! Ours with ours.

use std::time::{Duration, Instant};

use gost_testbed::{Targets, answers, many};
use gost_testkit::{
    PATIENCE,
    impair::{Impairment, UdpRelay},
    tcp::{Behaviour, Server},
    udp,
};

use crate::support::{LEN, MANY, client, server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_get_through_with_any_options() {
    let to = Targets::start(LEN).await;
    for query in [
        "",
        "kcp.key=k&kcp.crypt=salsa20&kcp.mode=fast3&kcp.nocomp=true",
        "kcp.crypt=none&kcp.mtu=600&kcp.sndwnd=1000&kcp.rcvwnd=1000&kcp.smuxver=2",
        "kcp.tcp=true",
    ] {
        if query == "kcp.tcp=true"
            && let Err(error) = gost_fake_tcp::open(socket2::Domain::IPV4)
        {
            eprintln!("skipped: {error}");
            continue;
        }
        let node = server(query).await;
        for target in to.all() {
            let local = client(node.addr, target.address(), query).await;
            to.carried(local.addr, target).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_get_through_a_bad_path() {
    let to = Targets::start(LEN).await;
    let query = "kcp.mode=fast2&kcp.sndwnd=256&kcp.rcvwnd=256";
    let node = server(query).await;
    let path = Impairment {
        delay: Duration::from_millis(10),
        jitter: Duration::from_millis(5),
        loss: 0.05,
        ..Impairment::default()
    };
    let path = UdpRelay::start(node.addr, path).await.unwrap();
    for target in [&to.source, &to.echo] {
        let local = client(path.address(), target.address(), query).await;
        to.carried(local.addr, target).await;
    }
    assert!(path.lost() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_path_that_loses_some_is_used_well() {
    let to = Targets::start(LEN).await;
    // What a cipher takes that is built for debugging would count, too.
    let query = "kcp.crypt=none&kcp.mode=fast&kcp.sndwnd=512&kcp.rcvwnd=512";
    let node = server(query).await;
    let path = Impairment {
        delay: Duration::from_millis(50),
        jitter: Duration::from_millis(10),
        loss: 0.02,
        ..Impairment::default()
    };
    let path = UdpRelay::start(node.addr, path).await.unwrap();
    let down = client(path.address(), to.source.address(), query).await;
    let began = Instant::now();
    for _ in 0..4 {
        to.downloaded(down.addr).await;
    }
    // A window at a time that takes some ten round trips; the rest is for what was lost, and for a
    // machine that has other things to do.
    let took = began.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert!(path.lost() > 20);
    let up = client(path.address(), to.sink.address(), query).await;
    to.uploaded(up.addr).await;
}

#[tokio::test]
async fn many_connections_are_streams_of_one_session() {
    let echo = Server::start(Behaviour::Echo).await.unwrap();
    let node = server("").await;
    let client = client(node.addr, echo.address(), "").await;
    for _ in 0..3 {
        many(client.addr, MANY).await;
    }
}

#[tokio::test]
async fn ends_with_different_keys_do_not_hear_each_other() {
    let echo = Server::start(Behaviour::Echo).await.unwrap();
    let node = server("kcp.key=right").await;
    let wrong = client(node.addr, echo.address(), "kcp.key=wrong").await;
    assert!(!answers(wrong.addr, Duration::from_millis(500)).await);
    let right = client(node.addr, echo.address(), "kcp.key=right").await;
    assert!(answers(right.addr, PATIENCE).await);
}

#[tokio::test]
async fn noise_does_no_harm() {
    let echo = Server::start(Behaviour::Echo).await.unwrap();
    let node = server("").await;
    let noise = udp::client(node.addr).await.unwrap();
    for length in 0..1600 {
        noise.send(&vec![length as u8; length]).await.unwrap();
    }
    let client = client(node.addr, echo.address(), "").await;
    assert!(answers(client.addr, PATIENCE).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_goes_on_when_its_path_was_gone_for_a_while() {
    let echo = Server::start(Behaviour::Echo).await.unwrap();
    let node = server("").await;
    let path = UdpRelay::start(node.addr, Impairment::default())
        .await
        .unwrap();
    let client = client(path.address(), echo.address(), "").await;
    assert!(answers(client.addr, PATIENCE).await);
    path.set_down(true);
    assert!(!answers(client.addr, Duration::from_millis(500)).await);
    path.set_down(false);
    assert!(answers(client.addr, PATIENCE).await);
}
