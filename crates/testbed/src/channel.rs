//! A channel between two services: one behind it, and a local port that leads through it.

use std::{net::SocketAddr, sync::Arc};

use gost_core::{
    addr::Target,
    build::Build,
    error::Result,
    handler::Handler,
    listener::Listener,
    outbound::{Connector, Dialer},
    registry::Registry,
    values::Values,
};
use gost_net::sockets::Sockets;
use gost_service::Serving;

use crate::{Running, Through, To, make, serve};

/// A listener at an address, with options.
///
/// # Errors
///
/// Why it can't be had.
pub async fn listener(
    registry: &Arc<Registry>,
    kind: &str,
    at: &str,
    values: &Values,
) -> Result<Box<dyn Listener>> {
    let mut build = Build::new(registry.clone());
    build.addr = at.into();
    registry.make::<dyn Listener>(kind, values, build).await
}

/// Serves a handler behind a channel at an address.
///
/// # Panics
///
/// When the listener can't be had.
pub async fn behind(
    registry: &Arc<Registry>,
    kind: &str,
    at: &str,
    values: &Values,
    handler: Arc<dyn Handler>,
) -> Running {
    let listener = listener(registry, kind, at, values).await;
    let listener = listener.unwrap_or_else(|e| panic!("listener {kind} at {at}: {e}"));
    Running::start(
        listener,
        Serving::new(handler, Arc::new(Sockets::default())),
    )
}

/// A `relay` service behind a channel at an address.
///
/// # Panics
///
/// When it can't be had.
pub async fn relay_behind(
    registry: &Arc<Registry>,
    kind: &str,
    at: &str,
    values: &Values,
) -> Running {
    let handler = make::<dyn Handler>(registry, "relay", &Values::new()).await;
    behind(registry, kind, at, values, handler).await
}

/// A local TCP port that leads over a channel to a node, and, if there is a connector, from there
/// to a target.
///
/// # Panics
///
/// When something of it can't be had.
pub async fn port_through(
    registry: &Arc<Registry>,
    kind: &str,
    node: SocketAddr,
    values: &Values,
    on: Option<(&str, SocketAddr)>,
) -> Running {
    // By no generic function: through one the compiler does not see that this can be spawned.
    let dialer = registry.make::<dyn Dialer>(kind, values, Build::new(registry.clone()));
    let dialer = dialer.await.expect("a dialer");
    let (connector, target) = match on {
        Some((connector, target)) => {
            let build = Build::new(registry.clone());
            let made = registry.make::<dyn Connector>(connector, &Values::new(), build);
            (Some(made.await.expect("a connector")), target)
        }
        None => (None, node),
    };
    let way = Through::channel(node, dialer, connector);
    let to = Arc::new(To(Target::tcp(target.into())));
    serve(to, |serving| serving.out = Arc::new(way)).await
}
