//! Requests that are passed on.

use gost_testkit::PATIENCE;
use gost_testkit::soon;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::support::{Origin, Raw, ok, proxy};

const OK: &str = "HTTP/1.1 200 OK\r\n";

#[tokio::test]
async fn each_request_goes_to_its_own_host() {
    for query in ["", "http.keepalive=true"] {
        let (mut one, mut two) = (Origin::echo().await, Origin::echo().await);
        let proxy = proxy(query).await;
        let mut client = Raw::connect(&proxy).await;
        for round in 1..=3 {
            let origin = if round == 1 { &mut one } else { &mut two };
            client
                .send(format!(
                    "GET http://{}/{round} HTTP/1.1\r\nHost: wrong.example\r\nProxy-Connection: keep-alive\r\nX-a: 1\r\n\r\n",
                    origin.addr
                ))
                .await;
            client
                .expect(format!("{OK}Content-Length: 8\r\n\r\n<GET /{round}>"))
                .await;
            let seen = origin.seen().await;
            let kept = !query.is_empty();
            let close = if kept { "" } else { "Connection: close\r\n" };
            assert_eq!(
                seen.head,
                format!(
                    "GET /{round} HTTP/1.1\r\nHost: {}\r\nX-a: 1\r\n{close}\r\n",
                    origin.addr
                )
            );
            // Kept connections are used again, for the same host alone.
            assert_eq!(seen.connection, usize::from(round == 3 && !kept));
        }
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let mut origin = Origin::echo().await;
    let proxy = proxy("").await;
    let mut client = Raw::connect(&proxy).await;
    let to = origin.addr;
    client
        .send(format!(
            "POST http://{to}/a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc\
             GET http://{to}/b HTTP/1.1\r\n\r\n\
             POST http://{to}/c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nxy\r\n0\r\n\r\n\
             GET http://{to}/d HTTP/1.1\r\nConnection: close\r\n\r\n"
        ))
        .await;
    assert_eq!(
        client.rest().await,
        format!(
            "{OK}Content-Length: 9\r\n\r\n<POST /a>{OK}Content-Length: 8\r\n\r\n<GET /b>\
             {OK}Content-Length: 9\r\n\r\n<POST /c>{OK}Content-Length: 8\r\nConnection: close\r\n\r\n<GET /d>"
        )
    );
    assert_eq!(origin.seen().await.body, b"abc");
    origin.seen().await;
    assert_eq!(origin.seen().await.body, b"2\r\nxy\r\n0\r\n\r\n");
}

#[tokio::test]
async fn requests_without_a_host_of_their_own_use_the_header() {
    let mut origin = Origin::echo().await;
    let proxy = proxy("").await;
    let mut client = Raw::connect(&proxy).await;
    for _ in 0..2 {
        client
            .send(format!(
                "GET /rel HTTP/1.1\r\nHost: {}\r\n\r\n",
                origin.addr
            ))
            .await;
        client
            .expect(format!("{OK}Content-Length: 10\r\n\r\n<GET /rel>"))
            .await;
        let head = origin.seen().await.head;
        assert!(head.starts_with("GET /rel HTTP/1.1\r\n"), "{head}");
    }
}

#[tokio::test]
async fn a_request_to_the_proxy_itself_does_not_run_in_a_circle() {
    let proxy = proxy("").await;
    for start in [format!("GET http://{}/", proxy.addr), "GET /".to_owned()] {
        let mut client = Raw::connect(&proxy).await;
        client
            .send(format!("{start} HTTP/1.1\r\nHost: {}\r\n\r\n", proxy.addr))
            .await;
        assert!(client.head().await.starts_with("HTTP/1.1 400 "));
    }
}

#[tokio::test]
async fn http_1_0_clients() {
    let origin = Origin::start(|head, _| {
        if head.contains("chunked") {
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\nT: v\r\n\r\n".to_vec()
        } else {
            ok("hello")
        }
    })
    .await;
    let proxy = proxy("").await;
    for (path, line, answer) in [
        (
            "",
            "",
            "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
        ),
        (
            "chunked",
            "Connection: keep-alive\r\n",
            "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nabcde",
        ),
    ] {
        let mut client = Raw::connect(&proxy).await;
        client
            .send(format!(
                "GET http://{}/{path} HTTP/1.0\r\n{line}\r\n",
                origin.addr
            ))
            .await;
        assert_eq!(client.rest().await, answer);
    }
    let mut client = Raw::connect(&proxy).await;
    for _ in 0..2 {
        client
            .send(format!(
                "GET http://{}/ HTTP/1.0\r\nProxy-Connection: keep-alive\r\n\r\n",
                origin.addr
            ))
            .await;
        client
            .expect("HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello")
            .await;
    }
}

#[tokio::test]
async fn upgrades_become_tunnels() {
    let proxy = proxy("").await;
    let mut client = Raw::connect(&proxy).await;
    let (mut target, to) = client
        .reach(
            "GET http://{to}/chat HTTP/1.1\r\nHost: {to}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\nearly",
        )
        .await;
    assert_eq!(
        target.head().await,
        format!(
            "GET /chat HTTP/1.1\r\nHost: {to}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        )
    );
    let answer =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    target.send(format!("{answer}frame")).await;
    client.expect(format!("{answer}frame")).await;
    target.expect("early").await;
    client.send("ping").await;
    target.expect("ping").await;
    client.0.shutdown().await.unwrap();
    assert_eq!(target.rest().await, "");
    target.send("bye").await;
    drop(target);
    assert_eq!(client.rest().await, "bye");
}

#[tokio::test]
async fn targets_that_fail() {
    let proxy = proxy("readTimeout=300ms").await;
    for answer in [
        // Nothing, something else, half of it, a protocol that nobody asked for, silence.
        Some(""),
        Some("SSH-2.0-x\r\n\r\n"),
        Some("HTTP/1.1 200 OK\r\nConten"),
        Some("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"),
        Some("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
        None,
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        let mut client = Raw::connect(&proxy).await;
        client
            .send(format!("GET http://{to}/ HTTP/1.1\r\n\r\n"))
            .await;
        let (stream, _) = soon(listener.accept()).await.unwrap();
        let mut target = Raw(stream);
        target.head().await;
        let mut silent = None;
        if let Some(answer) = answer {
            target.send(answer).await;
            drop(target);
        } else {
            silent = Some(target);
        }
        let got = client.rest().await;
        assert!(
            got.starts_with("HTTP/1.1 503 Service Unavailable\r\n"),
            "{answer:?}: {got}"
        );
        drop(silent);
    }
}

#[tokio::test]
async fn a_response_that_is_cut_off_is_seen_to_be() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap();
    let proxy = proxy("").await;
    for head in [
        "Content-Length: 9",
        "Transfer-Encoding: chunked",
        "X-Until: close",
    ] {
        let mut client = Raw::connect(&proxy).await;
        client
            .send(format!("GET http://{to}/ HTTP/1.1\r\n\r\n"))
            .await;
        let (stream, _) = soon(listener.accept()).await.unwrap();
        let mut target = Raw(stream);
        target.head().await;
        target.send(format!("{OK}{head}\r\n\r\n5\r\nab")).await;
        // Until the client has seen it, so that the reset comes after.
        assert!(client.head().await.starts_with("HTTP/1.1 200 OK"));
        client.expect("5\r\nab").await;
        gost_testkit::tcp::reset(&target.0).unwrap();
        drop(target);
        let mut rest = Vec::new();
        let end = soon(client.0.read_to_end(&mut rest)).await;
        assert!(end.is_err(), "{head}: {rest:?}");
    }
}

#[tokio::test]
async fn a_kept_connection_that_ended_is_replaced() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap();
    let proxy = proxy("keepalive=true").await;
    let mut client = Raw::connect(&proxy).await;
    let get = format!("GET http://{to}/ HTTP/1.1\r\n\r\n");
    for round in 0..3 {
        client.send(&get).await;
        let (stream, _) = soon(listener.accept()).await.unwrap();
        let mut target = Raw(stream);
        target.head().await;
        target
            .send(format!("{OK}Content-Length: 1\r\n\r\n{round}"))
            .await;
        client
            .expect(format!("{OK}Content-Length: 1\r\n\r\n{round}"))
            .await;
        if round == 1 {
            // The next request and the end of the connection meet on their way.
            client.send(&get).await;
            target.head().await;
            drop(target);
            let (stream, _) = soon(listener.accept()).await.unwrap();
            let mut target = Raw(stream);
            target.head().await;
            target
                .send(format!(
                    "{OK}Content-Length: 1\r\nConnection: close\r\n\r\nx"
                ))
                .await;
            client
                .expect(format!("{OK}Content-Length: 1\r\n\r\nx"))
                .await;
        }
    }
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_request() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap();
    let proxy = proxy("").await;
    let mut client = Raw::connect(&proxy).await;
    client
        .send(format!("GET http://{to}/ HTTP/1.1\r\n\r\n"))
        .await;
    let (stream, _) = soon(listener.accept()).await.unwrap();
    let mut target = Raw(stream);
    target.head().await;
    gost_testkit::tcp::reset(&client.0).unwrap();
    drop(client);
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, target.0.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the target waits for ever");
    proxy.emptied().await;
}

#[tokio::test]
async fn a_client_that_only_ends_its_direction_gets_its_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap();
    let proxy = proxy("").await;
    let mut client = Raw::connect(&proxy).await;
    client
        .send(format!("GET http://{to}/ HTTP/1.1\r\n\r\n"))
        .await;
    client.0.shutdown().await.unwrap();
    let (stream, _) = soon(listener.accept()).await.unwrap();
    let mut target = Raw(stream);
    target.head().await;
    target
        .send(format!("{OK}Content-Length: 2\r\n\r\nhi"))
        .await;
    assert_eq!(
        client.rest().await,
        format!("{OK}Content-Length: 2\r\n\r\nhi")
    );
    proxy.emptied().await;
}
