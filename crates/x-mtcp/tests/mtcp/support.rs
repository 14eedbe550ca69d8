//! Services in this process, and local ports that lead through an mtcp node.

use std::{net::SocketAddr, sync::Arc};

use gost_core::registry::Registry;
use gost_testbed::{Running, port_through, relay_behind, values};

pub(crate) fn registry() -> Arc<Registry> {
    let mut registry = Registry::new();
    gost_x_mtcp::register(&mut registry);
    gost_x_relay::register(&mut registry);
    Arc::new(registry)
}

/// A `relay+mtcp` service on a port of the system's choice.
pub(crate) async fn server(query: &str) -> Running {
    server_at("127.0.0.1:0", query).await
}

/// A `relay+mtcp` service.
pub(crate) async fn server_at(place: &str, query: &str) -> Running {
    relay_behind(&registry(), "mtcp", place, &values(query)).await
}

/// A local TCP port of ours that leads to `target` through a `relay+mtcp` node.
pub(crate) async fn client(node: SocketAddr, target: SocketAddr, query: &str) -> Running {
    let on = Some(("relay", target));
    port_through(&registry(), "mtcp", node, &values(query), on).await
}
