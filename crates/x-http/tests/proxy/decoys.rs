//! What clients without credentials get to see.

use std::io::Write as _;

use gost_testkit::tcp::{Behaviour, Server};

use crate::support::{LOGIN, Origin, Raw, guarded, ok};

/// The status line, the header names in order, and the body.
fn parts(answer: &str) -> (String, Vec<String>, String) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().to_owned();
    let names = lines.map(|line| line.split(':').next().unwrap().to_owned());
    (status, names.collect(), body.to_owned())
}

#[tokio::test]
async fn statuses_are_complete_and_tell_nothing() {
    for (value, request, status) in [
        (
            "code:404",
            "CONNECT a.example:1 HTTP/1.1\r\n\r\n",
            "HTTP/1.1 404 Not Found",
        ),
        (
            "code:404",
            "GET / HTTP/1.1\r\nHost: www.example\r\n\r\n",
            "HTTP/1.1 404 Not Found",
        ),
        (
            "code:abc",
            "GET / HTTP/1.1\r\nHost: www.example\r\n\r\n",
            "HTTP/1.1 503 Service Unavailable",
        ),
        (
            "nosuch:1",
            "GET / HTTP/1.1\r\nHost: www.example\r\n\r\n",
            "HTTP/1.1 503 Service Unavailable",
        ),
        (
            "file:/nonexistent",
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "HTTP/1.1 503 Service Unavailable",
        ),
        (
            "file:/",
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "HTTP/1.1 503 Service Unavailable",
        ),
        (
            "web:http://127.0.0.1:1/",
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "HTTP/1.1 503 Service Unavailable",
        ),
        (
            "host:127.0.0.1:1",
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "HTTP/1.1 503 Service Unavailable",
        ),
        // Not even what is no request learns the name.
        ("code:404", "\0garbage\r\n\r\n", "HTTP/1.1 400 Bad Request"),
    ] {
        let proxy = guarded(&format!("probeResist={value}&knock=secret.example")).await;
        let mut client = Raw::connect(&proxy).await;
        client.send(request).await;
        let (found, names, body) = parts(&client.rest().await);
        assert_eq!((&*found, &*body), (status, ""), "{value}");
        assert_eq!(
            names,
            ["Date", "Content-Type", "Content-Length", "Connection"]
        );
    }
}

#[tokio::test]
async fn who_knocks_is_asked_to_log_in() {
    let proxy = guarded("probeResist=code:404&knock=other.example,Secret.example").await;
    for (target, status) in [
        ("GET http://secret.example/", "407"),
        ("CONNECT SECRET.example:443", "407"),
        ("GET http://www.example/", "404"),
        // The header is not where one knocks.
        ("GET /", "404"),
    ] {
        let mut client = Raw::connect(&proxy).await;
        client
            .send(format!("{target} HTTP/1.1\r\nHost: secret.example\r\n\r\n"))
            .await;
        let answer = client.rest().await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{target}: {answer}"
        );
    }
}

#[tokio::test]
async fn a_page_is_served_as_a_web_server_would() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"<h1>it works</h1>\n").unwrap();
    let path = file.path().display();
    let proxy = guarded(&format!("probeResist=file:{path}")).await;
    let mut client = Raw::connect(&proxy).await;
    for method in ["GET", "HEAD", "GET"] {
        client
            .send(format!("{method} / HTTP/1.1\r\nHost: www.example\r\n\r\n"))
            .await;
        let (status, names, _) = parts(&client.head().await);
        assert_eq!(status, "HTTP/1.1 200 OK");
        let expected = [
            "Date",
            "Content-Type",
            "Content-Length",
            "Last-Modified",
            "Connection",
        ];
        assert_eq!(names, expected);
        if method == "GET" {
            client.expect("<h1>it works</h1>\n").await;
        }
    }
    // Who logs in after all is served.
    let target = Server::start(Behaviour::Echo).await.unwrap();
    client
        .send(format!(
            "CONNECT {} HTTP/1.1\r\n{LOGIN}\r\n",
            target.address()
        ))
        .await;
    assert!(
        client
            .head()
            .await
            .starts_with("HTTP/1.1 200 Connection established")
    );
}

#[tokio::test]
async fn a_web_server_is_asked_in_the_proxys_name() {
    let mut origin = Origin::start(|_, _| ok("<html>")).await;
    let proxy = guarded(&format!("probeResist=web:{}/decoy", origin.addr)).await;
    let mut client = Raw::connect(&proxy).await;
    for start in ["GET / HTTP/1.1\r\nHost: a\r\n", "CONNECT a:1 HTTP/1.1\r\n"] {
        client
            .send(format!("{start}Proxy-Authorization: Basic eA==\r\n\r\n"))
            .await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        client.expect("<html>").await;
        let seen = origin.seen().await.head;
        assert!(
            seen.starts_with(&format!("GET /decoy HTTP/1.1\r\nHost: {}\r\n", origin.addr)),
            "{seen}"
        );
        assert!(!seen.contains("Authorization"));
    }
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn another_server_takes_the_connection_over() {
    let mut origin = Origin::echo().await;
    let proxy = guarded(&format!("probeResist=host:{}", origin.addr)).await;
    let mut client = Raw::connect(&proxy).await;
    for (sent, arrived) in [
        (
            "POST / HTTP/1.1\r\nHost: a\r\nProxy-Authorization: Basic eA==\r\nConnection: x\r\nContent-Length: 3\r\n\r\nabc",
            "POST / HTTP/1.1\r\nHost: a\r\nConnection: x\r\nContent-Length: 3\r\n\r\n",
        ),
        // From here on the proxy does not even look.
        (
            "GET /b HTTP/1.1\r\nhost:  b\r\n\r\n",
            "GET /b HTTP/1.1\r\nhost:  b\r\n\r\n",
        ),
    ] {
        client.send(sent).await;
        client.head().await;
        let seen = origin.seen().await;
        assert_eq!((&*seen.head, seen.connection), (arrived, 0));
        let line = arrived.split(" HTTP").next().unwrap();
        client.expect(format!("<{line}>")).await;
    }
}
