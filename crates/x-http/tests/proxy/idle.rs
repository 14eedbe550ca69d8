//! Clients that wait, are slow, or leave.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use gost_core::prelude::*;
use gost_testbed::values;

use crate::support::{Origin, Raw, proxy, serve};

#[tokio::test]
async fn silent_and_slow_clients_are_let_go() {
    let mut origin = Origin::echo().await;
    let get = format!("GET http://{}/ HTTP/1.1\r\n\r\n", origin.addr);
    for (query, answered, sent) in [
        // Nothing, the beginning of a request, the beginning of a second one, no second one.
        ("readTimeout=200ms", false, ""),
        ("readTimeout=200ms", false, "GET / HT"),
        ("readTimeout=200ms", true, "GET / HT"),
        ("idleTimeout=200ms", true, ""),
    ] {
        let proxy = proxy(query).await;
        let mut client = Raw::connect(&proxy).await;
        if answered {
            client.send(&get).await;
            client
                .expect("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n<GET />")
                .await;
            origin.seen().await;
        }
        client.send(sent).await;
        proxy.emptied().await;
    }
}

#[tokio::test]
async fn a_body_that_stops_is_given_up() {
    let origin = Origin::echo().await;
    let proxy = proxy("idleTimeout=200ms").await;
    let mut client = Raw::connect(&proxy).await;
    client
        .send(format!(
            "POST http://{}/ HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc",
            origin.addr
        ))
        .await;
    assert!(client.rest().await.starts_with("HTTP/1.1 408 "));
    proxy.emptied().await;
}

#[tokio::test]
async fn a_client_that_leaves_between_requests_ends_in_order() {
    let origin = Origin::echo().await;
    for query in ["", "keepalive=true"] {
        let proxy = proxy(query).await;
        let mut client = Raw::connect(&proxy).await;
        client
            .send(format!("GET http://{}/ HTTP/1.1\r\n\r\n", origin.addr))
            .await;
        client
            .expect("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n<GET />")
            .await;
        drop(client);
        proxy.emptied().await;
    }
}

/// A handler that weighs the future of another.
struct Weighed(Arc<dyn Handler>, Arc<AtomicUsize>);

#[async_trait]
impl Handler for Weighed {
    async fn handle(&self, conn: Conn, session: &mut Session) -> Result<Next> {
        let handling = self.0.handle(conn, session);
        self.1.store(size_of_val(&*handling), Relaxed);
        handling.await
    }
}

#[tokio::test]
async fn a_client_between_requests_holds_little() {
    let weight = Arc::new(AtomicUsize::new(usize::MAX));
    let noted = weight.clone();
    let proxy = serve(&values(""), move |serving| {
        serving.handler = Arc::new(Weighed(serving.handler.clone(), noted));
    })
    .await;
    let origin = Origin::echo().await;
    let mut client = Raw::connect(&proxy).await;
    client
        .send(format!("GET http://{}/ HTTP/1.1\r\n\r\n", origin.addr))
        .await;
    assert!(client.head().await.starts_with("HTTP/1.1 200 "));
    assert!(weight.load(Relaxed) <= 768, "{weight:?}");
}
