//! Datagrams in a tunnel.

use gost_testbed::{Forbid, values};
use std::{net::SocketAddr, sync::Arc};

use gost_testkit::udp::{Behaviour, Server};

use crate::support::{Raw, proxy, refusal, serve, with_header};

/// A datagram with an address in front: its length, `ff`, the address in the form of SOCKS5.
fn frame(to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let SocketAddr::V4(v4) = to else {
        panic!("tests use IPv4")
    };
    let mut bytes = u16::try_from(payload.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend([0xff, 1]);
    bytes.extend(v4.ip().octets());
    bytes.extend(v4.port().to_be_bytes());
    bytes.extend(payload);
    bytes
}

fn named(host: &str, port: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u16::try_from(payload.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend([0xff, 3, u8::try_from(host.len()).unwrap()]);
    bytes.extend(host.bytes());
    bytes.extend(port.to_be_bytes());
    bytes.extend(payload);
    bytes
}

#[tokio::test]
async fn datagrams_pass_with_their_addresses() {
    let target = Server::start(Behaviour::Echo).await.unwrap();
    let to = target.address();
    let proxy = proxy("udp=true&udp.bufferSize=100").await;
    for asked in [to.to_string(), String::new()] {
        let mut client = Raw::connect(&proxy).await;
        let head = format!(
            "CONNECT {asked} HTTP/1.1\r\nHost: {asked}\r\nUser-Agent: Go-http-client/1.1\r\n\
             Proxy-Connection: keep-alive\r\nX-Gost-Protocol: udp\r\n\r\n"
        );
        // The first one right behind the head.
        client
            .send([head.as_bytes(), &frame(to, b"early")].concat())
            .await;
        client
            .expect("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .await;
        assert_eq!(client.take(15).await, frame(to, b"early"));
        for payload in [&b"one"[..], &vec![7; 60_000]] {
            client.send(frame(to, payload)).await;
            assert!(client.take(10 + payload.len()).await == frame(to, payload));
        }
        client.send(named("localhost", to.port(), b"name")).await;
        assert_eq!(client.take(14).await, frame(to, b"name"));
    }
}

#[tokio::test]
async fn a_datagram_that_is_forbidden_or_goes_nowhere_is_dropped_alone() {
    let target = Server::start(Behaviour::Echo).await.unwrap();
    let forbidden: SocketAddr = "127.0.0.9:53".parse().unwrap();
    let proxy = serve(&values("udp=true"), |serving| {
        serving.policies.bypass = Some(Arc::new(Forbid(|addr| addr.host() == "127.0.0.9")));
    })
    .await;
    let mut client = Raw::connect(&proxy).await;
    client
        .send("CONNECT  HTTP/1.1\r\nHost: \r\nX-Gost-Protocol: udp\r\n\r\n")
        .await;
    client
        .expect("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        .await;
    client.send(frame(forbidden, b"bad")).await;
    client.send(named("nowhere.invalid", 1, b"bad")).await;
    client.send(frame(target.address(), b"good")).await;
    assert_eq!(client.take(14).await, frame(target.address(), b"good"));
    // An address in the request must be allowed too.
    let mut client = Raw::connect(&proxy).await;
    client
        .send(format!(
            "CONNECT {forbidden} HTTP/1.1\r\nX-Gost-Protocol: udp\r\n\r\n"
        ))
        .await;
    assert_eq!(client.rest().await, refusal("403 Forbidden") + "\r\n");
}

#[tokio::test]
async fn the_answer_has_the_configured_lines_and_is_no_unless_enabled() {
    let connect = "CONNECT  HTTP/1.1\r\nHost: \r\nX-Gost-Protocol: udp\r\n\r\n";
    let proxy = serve(&with_header(values("udp=true"), "X-A", "b"), |_| {}).await;
    let mut client = Raw::connect(&proxy).await;
    client.send(connect).await;
    client
        .expect("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-A: b\r\n\r\n")
        .await;
    let proxy = crate::support::proxy("").await;
    let mut client = Raw::connect(&proxy).await;
    client.send(connect).await;
    assert_eq!(client.rest().await, refusal("403 Forbidden") + "\r\n");
}
