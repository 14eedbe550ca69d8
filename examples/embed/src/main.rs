//! An example: two component crates in a small program, without any configuration.
//!
//! `embed LISTEN TARGET` forwards every connection to one target.

use std::sync::Arc;

use anyhow::Context as _;
use gost_core::{
    addr::Addr,
    build::Door,
    outbound::NodeAddr,
    policy::Answer,
    routing::{Choice, Hop, Node, Request},
};
use gost_net::{
    listen::{self, TcpOptions},
    sockets::Sockets,
};
use gost_service::{Service, Serving};
use gost_x_forward::{Forward, ForwardOptions};

/// A hop with a single node.
struct Single(Arc<Node>);

impl Hop for Single {
    fn select<'a>(
        &'a self,
        _: &'a Request,
        tried: &'a [Arc<Node>],
    ) -> Answer<'a, gost_core::Result<Choice>> {
        if tried.is_empty() {
            Answer::Now(Ok(Choice::Node(self.0.clone())))
        } else {
            Answer::Now(Err(gost_core::Error::new(
                gost_core::Why::NoRoute,
                "the target failed",
            )))
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let (listen_on, target) = args
        .next()
        .zip(args.next())
        .context("usage: embed LISTEN TARGET")?;
    let node = Node::new(NodeAddr::new(Addr::parse(&target).context("bad target")?));
    let listener = listen::tcp(&listen_on, &TcpOptions::default(), &Door::default()).await?;
    let mut serving = Serving::new(
        Forward::shared(ForwardOptions::default()),
        Arc::new(Sockets::default()),
    );
    serving.forwarder = Some(Arc::new(Single(Arc::new(node))));
    let service = Service::start("forward", Box::new(listener), serving);
    println!("listening on {}", service.addr());
    tokio::signal::ctrl_c().await?;
    service.stop(std::time::Duration::from_secs(5)).await;
    Ok(())
}
