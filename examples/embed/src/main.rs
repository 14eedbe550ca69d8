//! Two component crates in a small program, without any configuration.
//!
//! `embed LISTEN TARGET...` forwards every connection to one of the targets in turn, and to
//! another when that one does not answer.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use gost_chain::hop::{Candidate, NodesHop};
use gost_core::{
    addr::Addr, build::Build, listener::Listener, outbound::NodeAddr, registry::Registry,
    routing::Node, values::Values,
};
use gost_net::sockets::Sockets;
use gost_service::{Service, Serving};
use gost_x_forward::{Forward, ForwardOptions};
use tokio::signal::unix::{SignalKind, signal};

/// How long connections may go on after the program was told to end.
const DRAIN: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let listen = args.next().context("usage: embed LISTEN TARGET...")?;
    let mut targets = Vec::new();
    for target in args {
        let addr = Addr::parse(&target).with_context(|| format!("{target:?}: no address"))?;
        let node = Node::new(NodeAddr::new(addr));
        targets.push(Candidate::new(Arc::new(node)));
    }

    // A component can be made by its name, with options as a configuration would have them ...
    let mut registry = Registry::new();
    gost_x_tcp::register(&mut registry);
    let registry = Arc::new(registry);
    let mut build = Build::new(registry.clone());
    build.addr = listen.into();
    let options = Values::new().with("keepalive", "true");
    let listener = registry
        .make::<dyn Listener>("tcp", &options, build)
        .await?;

    // ... or as the type that it is. The way out is sockets of this machine: a router with a chain
    // would fit in their place.
    let forward = Forward::shared(ForwardOptions::default());
    let mut serving = Serving::new(forward, Arc::new(Sockets::default()));
    serving.forwarder = Some(Arc::new(NodesHop::new("targets", targets)));

    // Asked for before anybody can know that the program is there.
    let mut interrupted = signal(SignalKind::interrupt())?;
    let service = Service::start("forward", listener, serving);
    println!("listening on {}", service.addr());
    interrupted.recv().await;
    service.stop(DRAIN).await;
    Ok(())
}
