//! What is refused, and how.

use gost_core::handler::Handler;
use gost_testbed::{Forbid, try_make, values};
use gost_testkit::tcp::{Behaviour, Server};

use crate::support::{
    ESTABLISHED, LOGIN, Origin, Raw, guarded, proxy, refusal, registry, serve, with_header,
};

#[tokio::test]
async fn what_is_no_request_or_could_be_two() {
    let origin = Origin::echo().await;
    let proxy = proxy("").await;
    let host = format!("Host: {}\r\n", origin.addr);
    let get = format!("GET http://{}/ HTTP/1.1\r\n", origin.addr);
    let post = format!("POST http://{}/ HTTP/1.1\r\n", origin.addr);
    for request in [
        "\0\u{1}\u{2}garbage\r\n\r\n".to_owned(),
        "\u{16}\u{3}\u{1}".to_owned(),
        "get / HTTP/1.1\r\n".to_owned(),
        format!("connect {} HTTP/1.1\r\n\r\n", origin.addr),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        "GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: \r\n\r\n".to_owned(),
        "GET http:///x HTTP/1.1\r\n\r\n".to_owned(),
        // Two requests for one server, one for another.
        format!(
            "{post}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n"
        ),
        format!("{post}Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde"),
        format!("{post}Content-Length: 4, 5\r\n\r\nabcde"),
        format!("{post}Content-Length: +4\r\n\r\nabcd"),
        format!("{post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
        format!("{post}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
        format!("{post}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
        format!("{post}Transfer-Encoding:\u{b}chunked\r\n\r\n0\r\n\r\n"),
        format!(
            "POST http://{}/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            origin.addr
        ),
        format!("{get}X: a\r\n b\r\n\r\n"),
        format!("{get}X: a\nY: b\r\n\r\n"),
        format!("{get}X: a\rY: b\r\n\r\n"),
        format!("{get} X: a\r\n\r\n"),
        format!("{get}{host}{host}\r\n"),
        format!("GET http://{}/ HTTP/1.1\n{host}\n", origin.addr),
        format!("GET  http://{}/ HTTP/1.1\r\n\r\n", origin.addr),
        format!("GET http://{}/ HTTP/9.9\r\n\r\n", origin.addr),
    ] {
        let mut client = Raw::connect(&proxy).await;
        client.send(&request).await;
        let answer = client.rest().await;
        assert_eq!(answer, refusal("400 Bad Request") + "\r\n", "{request:?}");
    }
}

#[tokio::test]
async fn bodies_that_break_the_grammar_end_the_exchange() {
    let origin = Origin::echo().await;
    let proxy = proxy("").await;
    for chunks in [
        "5\nhello",
        "g\r\n",
        "5\r\nhelloXX",
        "0\r\n\n",
        "5 5\r\nhello",
    ] {
        let mut client = Raw::connect(&proxy).await;
        client
            .send(format!(
                "POST http://{}/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}",
                origin.addr
            ))
            .await;
        let answer = client.rest().await;
        assert_eq!(answer, refusal("400 Bad Request") + "\r\n", "{chunks:?}");
    }
}

#[tokio::test]
async fn large_headers_are_refused_before_they_end() {
    let proxy = proxy("").await;
    for line in ["X: ", "X: a\r\n"] {
        let mut client = Raw::connect(&proxy).await;
        client.send("GET / HTTP/1.1\r\n").await;
        client.send(line.repeat(70_000 / line.len())).await;
        let answer = client.rest().await;
        assert_eq!(
            answer,
            refusal("431 Request Header Fields Too Large") + "\r\n"
        );
    }
}

#[tokio::test]
async fn headers_of_sixty_kilobytes_pass() {
    let mut origin = Origin::echo().await;
    let proxy = proxy("").await;
    let mut client = Raw::connect(&proxy).await;
    let big = "a".repeat(60_000);
    client
        .send(format!(
            "GET http://{}/ HTTP/1.1\r\nX-Big: {big}\r\n\r\n",
            origin.addr
        ))
        .await;
    assert!(client.head().await.starts_with("HTTP/1.1 200 OK"));
    assert!(origin.seen().await.head.contains(&big));
}

#[tokio::test]
async fn who_does_not_log_in_is_asked_to() {
    let target = Server::start(Behaviour::Echo).await.unwrap();
    let to = target.address();
    let proxy = guarded("authBasicRealm=zone").await;
    let asked = refusal("407 Proxy Authentication Required")
        + "Proxy-Authenticate: Basic realm=\"zone\"\r\n";
    for (line, more) in [
        ("", ""),
        ("Proxy-Authorization: Basic dXNlcjpiYWQ=\r\n", ""),
        ("Proxy-Authorization: basic dXNlcjpwYXNz\r\n", ""),
        ("Proxy-Authorization: Basic !\r\n", ""),
        ("Authorization: Basic dXNlcjpwYXNz\r\n", ""),
        (
            "Proxy-Connection: Keep-Alive\r\n",
            "Proxy-Connection: close\r\n",
        ),
    ] {
        for start in [format!("CONNECT {to}"), format!("GET http://{to}/")] {
            let mut client = Raw::connect(&proxy).await;
            client
                .send(format!("{start} HTTP/1.1\r\nHost: {to}\r\n{line}\r\n"))
                .await;
            assert_eq!(client.rest().await, format!("{asked}{more}\r\n"), "{line}");
        }
    }
    let mut client = Raw::connect(&proxy).await;
    client
        .send(format!("CONNECT {to} HTTP/1.1\r\n{LOGIN}\r\nhi"))
        .await;
    client.expect(format!("{ESTABLISHED}hi")).await;
}

#[tokio::test]
async fn each_request_has_to_log_in() {
    let mut origin = Origin::echo().await;
    let proxy = guarded("http.keepalive=true").await;
    let mut client = Raw::connect(&proxy).await;
    let get = format!(
        "GET http://{}/ HTTP/1.1\r\nHost: {}\r\n",
        origin.addr, origin.addr
    );
    for _ in 0..2 {
        client.send(format!("{get}{LOGIN}\r\n")).await;
        client
            .expect("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n<GET />")
            .await;
        // The target learns nothing of it.
        assert!(!origin.seen().await.head.contains("dXNlcjpwYXNz"));
    }
    client.send(format!("{get}\r\n")).await;
    assert!(client.rest().await.starts_with("HTTP/1.1 407 "));
}

#[tokio::test]
async fn a_refusal_arrives_although_the_body_was_not_read() {
    let proxy = guarded("").await;
    let mut client = Raw::connect(&proxy).await;
    client
        .send("POST http://a.example/ HTTP/1.1\r\nContent-Length: 200000\r\n\r\n")
        .await;
    client.send(vec![b'x'; 200_000]).await;
    assert!(client.rest().await.starts_with("HTTP/1.1 407 "));
}

#[tokio::test]
async fn rules_hold_for_every_request_of_a_connection() {
    let mut origin = Origin::echo().await;
    let port = origin.addr.port();
    let values = with_header(values("keepalive=true"), "X-Note", "no");
    let proxy = serve(&values, |serving| {
        serving.policies.bypass = Some(std::sync::Arc::new(Forbid(|addr| {
            addr.host() == "localhost"
        })));
    })
    .await;
    let mut client = Raw::connect(&proxy).await;
    client
        .send(format!("GET http://127.0.0.1:{port}/ HTTP/1.1\r\n\r\n"))
        .await;
    client
        .expect("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n<GET />")
        .await;
    origin.seen().await;
    client
        .send(format!("GET http://localhost:{port}/ HTTP/1.1\r\n\r\n"))
        .await;
    assert_eq!(
        client.rest().await,
        refusal("403 Forbidden") + "X-Note: no\r\n\r\n"
    );
}

#[tokio::test]
async fn options_that_would_break_messages_are_refused() {
    for values in [
        values("proxyAgent=a\r\nb"),
        values("authBasicRealm=a\"b"),
        values("probeResist=404"),
        values("readTimeout=soon"),
        with_header(values(""), "X Y", "z"),
    ] {
        let made = try_make::<dyn Handler>(&registry(), "http", &values).await;
        assert!(made.is_err(), "{values:?}");
    }
}
