//! The bytes on the wire, compared with recordings of the original.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use gost_core::addr::{Addr, Network, Target};
use gost_service::SessionOptions;
use gost_testbed::{Forbid, OneUser};
use gost_testkit::soon;
use gost_testkit::tcp::{Behaviour, Server};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixListener},
};

use crate::support::{
    golden, is_silent, read, read_all, serving, start, transcript, transcripts, unhex, way,
};

const CONNECT: &str = golden!("relay-connect");
const RAW: &str = golden!("relay-raw-requests");

/// Puts the ports and paths of this run in the place of the recorded ones.
fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    assert_eq!(from.len(), to.len());
    for start in 0..bytes.len().saturating_sub(from.len() - 1) {
        if bytes[start..].starts_with(from) {
            bytes[start..start + to.len()].copy_from_slice(to);
        }
    }
}

/// Where ours differs from the original, on purpose: an empty name, and `0.0.0.0` past a rule
/// about loopback, reached this machine.
fn differs(name: &str) -> Option<&'static str> {
    match name {
        "plain server: empty domain, port 80"
        | "plain server: empty domain, port of a local server"
        | "bypass 127.0.0.0/8,localhost,::1: empty domain" => Some("01010000"),
        "bypass 127.0.0.0/8,localhost,::1: 0.0.0.0" => Some("01030000"),
        // Whether the system resolves that name is its own affair.
        "bypass 127.0.0.0/8,localhost,::1: name with final dot" => Some(""),
        _ => None,
    }
}

fn is_loopback(addr: &Addr) -> bool {
    addr.is_unspecified()
        || addr.ip().is_some_and(|addr| addr.ip().is_loopback())
        || addr.host().eq_ignore_ascii_case("localhost")
}

#[tokio::test]
async fn hand_made_requests_are_answered_as_by_the_original() {
    let echo = Server::start(Behaviour::Echo).await.unwrap();
    let dir = tempfile::tempdir_in("/tmp").unwrap();
    // As long as the recorded path.
    let path = dir.path().join("unix");
    let _unix = UnixListener::bind(&path).unwrap();
    let mut counted = 0;
    for recorded in transcripts(RAW) {
        let name = recorded["name"].as_str().unwrap();
        if name.contains("time-out") || name.ends_with("final dot") {
            continue;
        }
        counted += 1;
        let mut serving = serving(&["nodelay=true"]).await;
        if name.starts_with("auth") {
            serving.policies.auther = Some(Arc::new(OneUser("user", "pass")));
        }
        if name.starts_with("bypass") {
            serving.policies.bypass = Some(Arc::new(Forbid(is_loopback)));
        }
        let server = start(serving).await;
        let mut request = unhex(&recorded["c2s"]);
        replace(&mut request, &[0xb6, 0x17], &echo.port().to_be_bytes());
        if name.ends_with("unix domain path") {
            request = unix_request(path.to_str().unwrap());
        }
        let mut stream = TcpStream::connect(server.addr).await.unwrap();
        stream.write_all(&request).await.unwrap();
        let wanted =
            differs(name).map_or_else(|| unhex(&recorded["s2c"]), |hex| hex::decode(hex).unwrap());
        assert_eq!(read(&mut stream, wanted.len()).await, wanted, "{name}");
        if wanted == [1, 0, 0, 0] {
            assert!(is_silent(&mut stream).await, "{name}");
        } else {
            stream.shutdown().await.unwrap();
            assert_eq!(read_all(&mut stream).await, b"", "{name}");
        }
    }
    assert_eq!(counted, 33);
}

fn unix_request(path: &str) -> Vec<u8> {
    let len = u8::try_from(path.len()).unwrap();
    let mut bytes = vec![1, 1, 0, 12 + len, 4, 0, 2, 0, 0x10, 2, 0, len + 4, 3, len];
    bytes.extend_from_slice(path.as_bytes());
    bytes.extend_from_slice(&[0, 0]);
    bytes
}

#[tokio::test]
async fn half_a_request_is_given_up_in_time() {
    let options = SessionOptions {
        read_timeout: Duration::from_millis(300),
        ..SessionOptions::default()
    };
    let serving = serving(&[]).await.with_options(options).unwrap();
    let server = start(serving).await;
    for request in [&[1, 1, 0][..], &[1], &[]] {
        let mut stream = TcpStream::connect(server.addr).await.unwrap();
        stream.write_all(request).await.unwrap();
        assert_eq!(read_all(&mut stream).await, b"");
    }
}

/// What one side sent in a recording, piece by piece.
fn pieces(recorded: &Value, direction: &str) -> Vec<Vec<u8>> {
    recorded["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["kind"] == "data" && event["dir"] == direction)
        .map(|event| unhex(&event["hex"]))
        .collect()
}

/// The options that a recording was made with, as ours.
fn nodelay(name: &str, side: &str) -> [&'static str; 1] {
    if name.contains(&format!("{side} nodelay=True")) {
        ["nodelay=true"]
    } else {
        ["nodelay=false"]
    }
}

/// Names of recordings with the target that they ask for, and how many pieces each side sends.
const RECORDED: [(&str, &str); 4] = [
    (
        "connect-ipv4 server nodelay=False client nodelay=False",
        "127.0.0.1",
    ),
    (
        "connect-ipv4 server nodelay=True client nodelay=False",
        "127.0.0.1",
    ),
    (
        "connect-ipv4 server nodelay=True client nodelay=True",
        "127.0.0.1",
    ),
    ("connect-ipv6", "[::1]"),
];

#[tokio::test]
async fn the_server_sends_the_pieces_of_the_original() {
    for (name, host) in RECORDED {
        let recorded = transcript(CONNECT, name);
        let host: SocketAddr = format!("{host}:0").parse().unwrap();
        let Ok(echo) = Server::start_on(host.ip(), Behaviour::Echo).await else {
            eprintln!("skipped: {name}: no such address here");
            continue;
        };
        let server = start(serving(&nodelay(name, "server")).await).await;
        let mut stream = TcpStream::connect(server.addr).await.unwrap();
        let mut answers = pieces(&recorded, "s2c").into_iter();
        for (i, mut piece) in pieces(&recorded, "c2s").into_iter().enumerate() {
            if i == 0 {
                let port = piece[12..14].to_vec();
                let at = if host.is_ipv6() { 24 } else { 12 };
                let port = if host.is_ipv6() {
                    piece[at..at + 2].to_vec()
                } else {
                    port
                };
                replace(&mut piece, &port, &echo.port().to_be_bytes());
            }
            stream.write_all(&piece).await.unwrap();
            let wanted = answers.next().unwrap();
            // One read gives what one write sent; an answer sent alone may be read with the echo.
            assert_eq!(read(&mut stream, wanted.len()).await, wanted, "{name}");
            if wanted == [1, 0, 0, 0] && piece.ends_with(b"ping1") {
                assert_eq!(read(&mut stream, 5).await, answers.next().unwrap());
            }
        }
    }
}

/// A node that records what single reads give, and answers from a script.
async fn scripted(
    answers: Vec<(usize, Vec<u8>)>,
) -> (SocketAddr, tokio::task::JoinHandle<Vec<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut pieces: Vec<Vec<u8>> = Vec::new();
        let mut answers = answers.into_iter().peekable();
        let mut buffer = vec![0; 65_536];
        loop {
            while let Some((_, answer)) = answers.next_if(|(after, _)| *after == pieces.len()) {
                stream.write_all(&answer).await.unwrap();
            }
            match stream.read(&mut buffer).await.unwrap() {
                0 => return pieces,
                n => pieces.push(buffer[..n].to_vec()),
            }
        }
    });
    (address, task)
}

#[tokio::test]
async fn the_client_sends_the_pieces_of_the_original() {
    for (name, auth) in [
        (
            "connect-ipv4 server nodelay=False client nodelay=False",
            None,
        ),
        ("connect-ipv4 server nodelay=True client nodelay=True", None),
        ("connect-ipv6", None),
        ("connect-domain with auth", Some(("user", "pass"))),
        ("wrong password, default client", Some(("user", "bad"))),
        ("forward server (relay with target)", None),
    ] {
        let recorded = transcript(CONNECT, name);
        let sent = pieces(&recorded, "c2s");
        let answers = pieces(&recorded, "s2c");
        let mut after = Vec::new();
        for event in recorded["events"].as_array().unwrap() {
            if event["kind"] == "data" && event["dir"] == "s2c" {
                let before = recorded["events"].as_array().unwrap();
                let before = before.iter().take_while(|e| *e != event);
                after.push(
                    before
                        .filter(|e| e["kind"] == "data" && e["dir"] == "c2s")
                        .count(),
                );
            }
        }
        let script = after.into_iter().zip(answers.iter().cloned()).collect();
        let (node, task) = scripted(script).await;
        let through = way(node, &nodelay(name, "client"), auth).await;
        let (request, len) = gost_relay::Request::parse(&sent[0]).unwrap().unwrap();
        let target = Target {
            network: Network::Tcp,
            addr: Addr::parse(&request.last_address().unwrap().to_string()).unwrap(),
        };
        let conn = soon(through.open(&target)).await.unwrap();
        let (mut stream, _) = conn.into_stream().unwrap();
        let mut payload: Vec<_> = sent.clone();
        payload[0].drain(..len);
        payload.retain(|piece| !piece.is_empty());
        for piece in payload {
            stream.write_all(&piece).await.unwrap();
            if name.starts_with("wrong") {
                let error = stream.read_u8().await.unwrap_err();
                assert_eq!(gost_core::Error::from(error).why(), gost_core::Why::Auth);
            } else {
                assert_eq!(read(&mut stream, piece.len()).await, piece, "{name}");
            }
        }
        stream.shutdown().await.unwrap();
        assert_eq!(soon(task).await.unwrap(), sent, "{name}");
    }
}
