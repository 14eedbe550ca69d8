//! Handshakes that succeed, and those that do not.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use gost_core::{
    Error, Result,
    addr::Addr,
    conn::{Conn, Meta},
    error::Why,
    outbound::{NodeAddr, Upgrade},
};
use gost_x_ws::{Settings, WebSocket, WsOptions};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    task::JoinHandle,
    time::Instant,
};

use crate::support::soon;

const REQUEST: &str = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn websocket(options: &WsOptions) -> WebSocket {
    WebSocket::new(Settings::new(options).unwrap())
}

/// A server that does its handshake, and its client by hand.
fn server(options: &WsOptions) -> (DuplexStream, JoinHandle<Result<Conn>>) {
    let (near, far) = tokio::io::duplex(1 << 18);
    let ws = websocket(options);
    let serving = tokio::spawn(async move { ws.server(Conn::stream(far, Meta::default())).await });
    (near, serving)
}

/// A client that does its handshake, and its server by hand.
fn client(ws: WebSocket) -> (DuplexStream, JoinHandle<Result<Conn>>) {
    let (near, far) = tokio::io::duplex(1 << 18);
    let node = NodeAddr::new(Addr::parse("node.example:8080").unwrap());
    let asking = async move { ws.client(Conn::stream(far, Meta::default()), &node).await };
    (near, tokio::spawn(asking))
}

async fn head(stream: &mut DuplexStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon(stream.read_u8()).await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

async fn failed(task: JoinHandle<Result<Conn>>) -> Error {
    soon(task).await.unwrap().unwrap_err()
}

#[tokio::test]
async fn both_ends_agree_whatever_name_and_path() {
    let mut options = WsOptions {
        path: "/chat room".into(),
        ..WsOptions::default()
    };
    options.header.insert("x-token".into(), "t".into());
    let (near, far) = tokio::io::duplex(1 << 16);
    let node = NodeAddr::new(Addr::parse("node.example:8080").unwrap());
    let ws = Arc::new(websocket(&options));
    let other = ws.clone();
    let far = tokio::spawn(async move { other.server(Conn::stream(far, Meta::default())).await });
    let near = ws.client(Conn::stream(near, Meta::default()), &node);
    let (mut near, _) = soon(near).await.unwrap().into_stream().unwrap();
    let (mut far, meta) = soon(far).await.unwrap().unwrap().into_stream().unwrap();
    assert_eq!(meta.client, None);
    near.write_all(b"ping").await.unwrap();
    let mut bytes = [0; 4];
    soon(far.read_exact(&mut bytes)).await.unwrap();
    far.write_all(&bytes).await.unwrap();
    soon(near.read_exact(&mut bytes)).await.unwrap();
    assert_eq!(&bytes, b"ping");
}

#[tokio::test]
async fn the_request_says_what_was_configured() {
    let header = [("x-b", "2"), ("User-Agent", "curl/8"), ("x-a", "1")];
    let options = WsOptions {
        path: "/p?q".into(),
        header: header.map(|(k, v)| (k.into(), v.into())).into(),
        ..WsOptions::default()
    };
    let settings = Settings::new(&options).unwrap();
    for (host, expected) in [
        ("", "node.example:8080"),
        ("front.example", "front.example"),
    ] {
        let ws = WebSocket::new(settings.clone().with_host(host).unwrap());
        let (mut server, _asking) = client(ws);
        let head = head(&mut server).await;
        let mut lines = head.lines();
        assert_eq!(lines.next(), Some("GET /p%3Fq HTTP/1.1"));
        assert_eq!(lines.next(), Some(&*format!("Host: {expected}")));
        assert_eq!(lines.next(), Some("User-Agent: curl/8"));
        assert!(
            head.ends_with("Upgrade: websocket\r\nX-A: 1\r\nX-B: 2\r\n\r\n"),
            "{head}"
        );
    }
}

#[tokio::test]
async fn a_slash_in_front_of_the_path_may_be_left_out() {
    let options = WsOptions {
        path: "chat".into(),
        ..WsOptions::default()
    };
    let (mut asked, _asking) = client(websocket(&options));
    let request = head(&mut asked).await;
    assert!(request.starts_with("GET /chat HTTP/1.1\r\n"), "{request}");
    let (mut near, serving) = server(&options);
    near.write_all(request.as_bytes()).await.unwrap();
    soon(serving).await.unwrap().unwrap();
}

#[test]
fn a_host_that_would_break_the_request_is_refused_when_it_is_set_up() {
    let settings = Settings::new(&WsOptions::default()).unwrap();
    for host in ["a b", "a\r\nX: y", "a/b", "user@a"] {
        let error = settings.clone().with_host(host).unwrap_err();
        assert_eq!(error.why(), Why::BadInput);
        assert!(error.to_string().starts_with("host: "), "{error}");
    }
    for host in ["exa_mple", "a.example:8080", "[::1]:80", "bücher.example"] {
        settings.clone().with_host(host).unwrap();
    }
}

#[test]
fn headers_that_would_break_the_handshake_are_refused_when_it_is_set_up() {
    for (name, value) in [
        ("Upgrade", "x"),
        ("sec-websocket-key", "x"),
        ("a", "b\r\nc: d"),
    ] {
        let header = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let options = WsOptions {
            header,
            ..WsOptions::default()
        };
        assert_eq!(Settings::new(&options).unwrap_err().why(), Why::BadInput);
    }
}

#[tokio::test]
async fn frames_behind_the_request_are_taken() {
    let (mut client, serving) = server(&WsOptions::default());
    let frame = hex::decode("828537fa213d5f9f4d5158").unwrap();
    client.write_all(REQUEST.as_bytes()).await.unwrap();
    client.write_all(b"\r\n").await.unwrap();
    client.write_all(&frame).await.unwrap();
    let (mut stream, _) = soon(serving).await.unwrap().unwrap().into_stream().unwrap();
    let mut bytes = [0; 5];
    soon(stream.read_exact(&mut bytes)).await.unwrap();
    assert_eq!(&bytes, b"hello");
    let mut wire = [0; 129 + 7];
    stream.write_all(b"HELLO").await.unwrap();
    soon(client.read_exact(&mut wire)).await.unwrap();
    assert!(wire.starts_with(b"HTTP/1.1 101 ") && wire.ends_with(b"\r\n\r\n\x82\x05HELLO"));
}

#[tokio::test]
async fn frames_behind_the_response_are_taken() {
    let (mut server, asking) = client(websocket(&WsOptions::default()));
    let request = head(&mut server).await;
    let key = request
        .split("Key: ")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap();
    let key = gost_ws::handshake::Key::parse(key.as_bytes()).unwrap();
    let mut answer = gost_ws::handshake::Response::default()
        .encode(&key)
        .into_bytes();
    answer.extend_from_slice(b"\x82\x05hello");
    // One byte after the other.
    for byte in answer {
        server.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let (mut stream, _) = soon(asking).await.unwrap().unwrap().into_stream().unwrap();
    let mut bytes = [0; 5];
    soon(stream.read_exact(&mut bytes)).await.unwrap();
    assert_eq!(&bytes, b"hello");
}

#[tokio::test]
async fn a_proxy_in_front_names_the_client() {
    let (mut client, serving) = server(&WsOptions::default());
    let request = format!("{REQUEST}X-Forwarded-For: 192.0.2.7, 10.0.0.1\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    let (_, meta) = soon(serving).await.unwrap().unwrap().into_stream().unwrap();
    assert_eq!(meta.client, Some(([192, 0, 2, 7], 0).into()));
}

#[tokio::test]
async fn refusals_have_a_status_and_an_end() {
    let long = format!("GET /ws HTTP/1.1\r\nX: {}", "y".repeat(70_000));
    for (request, status, says) in [
        (
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "404 Not Found",
            "another path was asked for",
        ),
        (
            "GET /ws HTTP/1.1\r\nHost: a\r\n\r\n",
            "400 Bad Request",
            "Connection does not say upgrade",
        ),
        (
            "\x16\x03\x01\x02\x00\x01\x00",
            "400 Bad Request",
            "malformed request",
        ),
        ("SSH-2.0-x\r\n", "400 Bad Request", "malformed request"),
        (
            &REQUEST.replace("13", "8"),
            "400 Bad Request",
            "Version is not 13",
        ),
        (
            &REQUEST.replace("GET", "POST"),
            "405 Method Not Allowed",
            "not GET",
        ),
        (&long, "431 Request Header Fields Too Large", "too large"),
    ] {
        let (mut client, serving) = server(&WsOptions::default());
        client.write_all(request.as_bytes()).await.unwrap();
        if request.starts_with(&REQUEST[..20]) || request.starts_with("POST") {
            client.write_all(b"\r\n").await.unwrap();
        }
        client.shutdown().await.unwrap();
        let mut answer = String::new();
        soon(client.read_to_string(&mut answer)).await.unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{answer}"
        );
        assert!(answer.contains("\r\nConnection: close\r\n"));
        let error = failed(serving).await;
        assert_eq!(error.why(), Why::BadInput);
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn waits_have_an_end() {
    let second = Duration::from_secs(1);
    for (options, says) in [
        (
            WsOptions {
                read_header_timeout: second,
                ..WsOptions::default()
            },
            "no header of a request within 1s",
        ),
        (
            WsOptions {
                handshake_timeout: second,
                ..WsOptions::default()
            },
            "no handshake within 1s",
        ),
    ] {
        let (mut client, serving) = server(&options);
        client.write_all(REQUEST.as_bytes()).await.unwrap();
        let start = Instant::now();
        let error = failed(serving).await;
        assert_eq!((error.why(), start.elapsed()), (Why::TimedOut, second));
        assert!(error.to_string().contains(says), "{error}");
    }
    let (client, serving) = server(&WsOptions::default());
    drop(client);
    assert_eq!(failed(serving).await.why(), Why::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_failed_upgrade_tells_status_and_body() {
    for (answer, why, says) in [
        (
            "HTTP/1.1 404 Not Found\r\nContent-Length: 19\r\n\r\n404 page not found\n",
            Why::Refused,
            "WebSocket: the server answered 404 Not Found: 404 page not found",
        ),
        (
            "HTTP/1.1 502 Bad Gateway\r\n\r\n<html>\r\n <h1>nginx</h1>\x07</html>",
            Why::Refused,
            "WebSocket: the server answered 502 Bad Gateway: <html> <h1>nginx</h1> </html>",
        ),
        (
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
            Why::Denied,
            "WebSocket: the server answered 403 Forbidden: no body",
        ),
        (
            "HTTP/1.1 401 \r\nContent-Length: 100\r\n\r\nonly this",
            Why::Auth,
            "WebSocket: the server answered 401 : only this",
        ),
        (
            "SSH-2.0-OpenSSH_9.2\r\n",
            Why::BadInput,
            "WebSocket: no response of HTTP/1",
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
            Why::BadInput,
            "WebSocket: the server switched protocols, but Sec-WebSocket-Accept does not answer the key",
        ),
    ] {
        let (mut server, asking) = client(websocket(&WsOptions::default()));
        head(&mut server).await;
        server.write_all(answer.as_bytes()).await.unwrap();
        let error = failed(asking).await;
        assert_eq!((error.why(), error.to_string()), (why, says.to_owned()));
    }
    let long = format!("HTTP/1.1 500 X\r\n\r\n{}", "y".repeat(10_000));
    let (mut server, asking) = client(websocket(&WsOptions::default()));
    head(&mut server).await;
    server.write_all(long.as_bytes()).await.unwrap();
    assert!(failed(asking).await.to_string().len() < 400);
}
