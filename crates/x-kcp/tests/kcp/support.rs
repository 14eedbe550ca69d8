//! Services in this process, and local ports that lead through a kcp node.

use std::{net::SocketAddr, sync::Arc};

use gost_core::{addr::Target, registry::Registry};
use gost_testbed::{Running, To, behind, port_through, relay_behind, values};

/// How much is moved in one direction.
pub(crate) const LEN: usize = 1 << 20;

/// How many connections there are at once.
pub(crate) const MANY: usize = 30;

fn registry() -> Arc<Registry> {
    let mut registry = Registry::new();
    gost_x_kcp::register(&mut registry);
    gost_x_relay::register(&mut registry);
    Arc::new(registry)
}

/// A `relay+kcp` service on a port of the system's choice.
pub(crate) async fn server(query: &str) -> Running {
    relay_behind(&registry(), "kcp", "127.0.0.1:0", &values(query)).await
}

/// A kcp service that hands every stream to one target, as kcptun does.
pub(crate) async fn tunnel_server(target: SocketAddr, query: &str) -> Running {
    let to = Arc::new(To(Target::tcp(target.into())));
    behind(&registry(), "kcp", "127.0.0.1:0", &values(query), to).await
}

/// A local TCP port of ours that leads to `target` through a `relay+kcp` node.
pub(crate) async fn client(node: SocketAddr, target: SocketAddr, query: &str) -> Running {
    let on = Some(("relay", target));
    port_through(&registry(), "kcp", node, &values(query), on).await
}

/// A local TCP port of ours whose connections are streams to a node, as with kcptun.
pub(crate) async fn tunnel_client(node: SocketAddr, query: &str) -> Running {
    port_through(&registry(), "kcp", node, &values(query), None).await
}
