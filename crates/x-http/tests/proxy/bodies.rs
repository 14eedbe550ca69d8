//! Bodies: their forms, and when they move.

use crate::support::{Origin, Raw, proxy};
use gost_testkit::soon;

const OK: &str = "HTTP/1.1 200 OK\r\n";

#[tokio::test]
async fn responses_pass_in_their_own_form() {
    let proxy = proxy("").await;
    for (method, answer, expected) in [
        (
            "GET",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nT: v\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nT: v\r\n\r\n",
        ),
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        ),
        (
            "GET",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        ),
        (
            "GET",
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
        ),
    ] {
        let mut origin = Origin::start(move |_, _| answer.into()).await;
        let mut client = Raw::connect(&proxy).await;
        for _ in 0..2 {
            client
                .send(format!("{method} http://{}/ HTTP/1.1\r\n\r\n", origin.addr))
                .await;
            client.expect(expected).await;
            origin.seen().await;
        }
    }
    let origin =
        Origin::start(|_, _| b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nuntil the end".to_vec())
            .await;
    let mut client = Raw::connect(&proxy).await;
    client
        .send(format!("GET http://{}/ HTTP/1.1\r\n\r\n", origin.addr))
        .await;
    assert_eq!(
        client.rest().await,
        format!("{OK}Connection: close\r\n\r\nuntil the end")
    );
}

#[tokio::test]
async fn a_client_that_waits_for_leave_to_send_gets_it() {
    let proxy = proxy("").await;
    let mut client = Raw::connect(&proxy).await;
    let (mut target, _) = client
        .reach("PUT http://{to}/ HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        .await;
    assert!(target.head().await.contains("Expect: 100-continue\r\n"));
    target
        .send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n")
        .await;
    client
        .expect("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n")
        .await;
    client.send("body").await;
    target.expect("body").await;
    target
        .send(format!("{OK}Content-Length: 2\r\n\r\nok"))
        .await;
    client
        .expect(format!("{OK}Content-Length: 2\r\n\r\nok"))
        .await;
}

#[tokio::test]
async fn a_target_may_answer_before_it_has_read_all() {
    let proxy = proxy("").await;
    let mut client = Raw::connect(&proxy).await;
    let (mut target, _) = client
        .reach("PUT http://{to}/ HTTP/1.1\r\nContent-Length: 1000000\r\n\r\nbegin")
        .await;
    target.head().await;
    target.expect("begin").await;
    target
        .send("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        .await;
    // The client learns that its next request would not be understood.
    client
        .expect("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        .await;
    drop(target);
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn both_bodies_move_at_once() {
    let proxy = proxy("").await;
    let mut client = Raw::connect(&proxy).await;
    let (mut target, _) = client
        .reach("POST http://{to}/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    target.head().await;
    target
        .send(format!("{OK}Transfer-Encoding: chunked\r\n\r\n"))
        .await;
    client
        .expect(format!(
            "{OK}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        ))
        .await;
    for _ in 0..3 {
        client.send("4\r\nping\r\n").await;
        target.expect("4\r\nping\r\n").await;
        target.send("4\r\npong\r\n").await;
        client.expect("4\r\npong\r\n").await;
    }
    client.send("0\r\n\r\n").await;
    target.expect("0\r\n\r\n").await;
    target.send("0\r\n\r\n").await;
    assert_eq!(client.rest().await, "0\r\n\r\n");
}

#[tokio::test]
async fn large_bodies_pass_both_ways() {
    const SIZE: usize = 3_000_000;
    let mut origin = Origin::start(|_, body| {
        let head = format!("{OK}Content-Length: {}\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    })
    .await;
    let proxy = proxy("").await;
    let body: Vec<u8> = (0..SIZE).map(|n| (n % 253) as u8).collect();
    let client = Raw::connect(&proxy).await;
    let head = format!(
        "POST http://{}/ HTTP/1.1\r\nContent-Length: {SIZE}\r\n\r\n",
        origin.addr
    );
    let (read, mut write) = client.0.into_split();
    let sent = body.clone();
    let sending = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt as _;
        write.write_all(head.as_bytes()).await.unwrap();
        write.write_all(&sent).await.unwrap();
        write
    });
    assert!(origin.seen().await.body == body);
    let write = soon(sending).await.unwrap();
    let mut client = Raw(read.reunite(write).unwrap());
    client
        .expect(format!("{OK}Content-Length: {SIZE}\r\n\r\n"))
        .await;
    assert!(client.take(SIZE).await == body);
}
