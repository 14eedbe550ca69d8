//! CONNECT.

use gost_testbed::{Forbid, values};
use gost_testkit::soon;
use gost_testkit::tcp::{Behaviour, Server};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::support::{ESTABLISHED, Raw, proxy, refusal, serve};

#[tokio::test]
async fn bytes_on_both_sides_of_the_handshake_arrive() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap();
    let proxy = proxy("").await;
    let mut client = Raw::connect(&proxy).await;
    // Early bytes of the client, and a target that speaks first.
    client
        .send(format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\nearly"))
        .await;
    let (mut target, _) = soon(listener.accept()).await.unwrap();
    target.write_all(b"banner").await.unwrap();
    client.expect(format!("{ESTABLISHED}banner")).await;
    let mut early = [0; 5];
    soon(target.read_exact(&mut early)).await.unwrap();
    assert_eq!(&early, b"early");
    // A half-close passes, and the answer to it comes back.
    client.0.shutdown().await.unwrap();
    let mut rest = Vec::new();
    soon(target.read_to_end(&mut rest)).await.unwrap();
    target.write_all(b"bye").await.unwrap();
    drop(target);
    assert_eq!(client.rest().await, "bye");
    proxy.emptied().await;
}

#[tokio::test]
async fn the_forms_of_connect() {
    let target = Server::start(Behaviour::Echo).await.unwrap();
    let (to, port) = (target.address(), target.port());
    let proxy = proxy("http.keepalive=true").await;
    for head in [
        format!("CONNECT {to} HTTP/1.1\r\n\r\n"),
        format!("CONNECT {to} HTTP/1.0\r\nHost: other\r\n\r\n"),
        format!("CONNECT localhost:{port} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n"),
        format!("CONNECT {to} HTTP/1.1\r\nContent-Length: 5\r\n\r\n"),
        format!("\r\nCONNECT  HTTP/1.1\r\nHost: {to}\r\n\r\n"),
    ] {
        // Byte by byte, and at once.
        for step in [1, head.len()] {
            let mut client = Raw::connect(&proxy).await;
            for part in head.as_bytes().chunks(step) {
                client.send(part).await;
            }
            client.expect(ESTABLISHED).await;
            client.send("hello").await;
            client.expect("hello").await;
        }
    }
}

#[tokio::test]
async fn hidden_targets_are_revealed() {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let target = Server::start(Behaviour::Echo).await.unwrap();
    let name = target.address().to_string();
    let mut bytes = crc32fast::hash(name.as_bytes()).to_be_bytes().to_vec();
    bytes.extend(URL_SAFE_NO_PAD.encode(&name).into_bytes());
    let hidden = URL_SAFE_NO_PAD.encode(bytes);
    let proxy = proxy("").await;
    for header in ["Gost-Target", "X-Gost-Target"] {
        let mut client = Raw::connect(&proxy).await;
        client
            .send(format!(
                "CONNECT decoy.example:1 HTTP/1.1\r\nHost: decoy.example:1\r\n{header}: {hidden}\r\n\r\n"
            ))
            .await;
        client.expect(ESTABLISHED).await;
        client.send("hi").await;
        client.expect("hi").await;
    }
}

#[tokio::test]
async fn targets_that_cannot_be_reached() {
    let proxy = serve(&values(""), |serving| {
        serving.policies.bypass = Some(std::sync::Arc::new(Forbid(|addr| {
            addr.host() == "127.0.0.9"
        })));
    })
    .await;
    for (to, status) in [
        ("127.0.0.1:1", "503 Service Unavailable"),
        ("nowhere.invalid:80", "503 Service Unavailable"),
        ("127.0.0.9:80", "403 Forbidden"),
        (":80", "400 Bad Request"),
        ("host:http", "400 Bad Request"),
        ("a/b:80", "400 Bad Request"),
    ] {
        let mut client = Raw::connect(&proxy).await;
        client
            .send(format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n"))
            .await;
        assert_eq!(client.rest().await, refusal(status) + "\r\n", "{to}");
    }
}

#[tokio::test]
async fn a_tunnel_may_follow_other_requests() {
    let target = Server::start(Behaviour::Echo).await.unwrap();
    let mut origin = crate::support::Origin::echo().await;
    let proxy = proxy("http.keepalive=true").await;
    let mut client = Raw::connect(&proxy).await;
    client
        .send(format!("GET http://{}/a HTTP/1.1\r\n\r\n", origin.addr))
        .await;
    client
        .expect("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n<GET /a>")
        .await;
    origin.seen().await;
    client.tunnel(target.address()).await;
    client.send("hello").await;
    client.expect("hello").await;
}

#[tokio::test]
async fn the_answer_names_what_it_is_told_to() {
    let target = Server::start(Behaviour::Echo).await.unwrap();
    let proxy = proxy("proxyAgent=agent/9").await;
    let mut client = Raw::connect(&proxy).await;
    client
        .send(format!("CONNECT {} HTTP/1.1\r\n\r\n", target.address()))
        .await;
    client
        .expect("HTTP/1.1 200 Connection established\r\nProxy-Agent: agent/9\r\n\r\n")
        .await;
}
