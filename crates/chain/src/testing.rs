//! Nodes and sockets that do what a test tells them, and say what was asked of them.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use gost_core::{
    addr::{Addr, Target},
    conn::{Conn, Meta},
    error::{Error, Result, Side, Why},
    listener::{Incoming, Listener},
    outbound::{Ask, BindOptions, Connector, Dialer, NodeAddr, NodeCx, Outbound, PathId},
    policy::{Answer, Asker, Bypass, BypassQuery, Family, HostMapper, Resolver},
    routing::{Chain, Hop, Names, Node, Request, Transport},
};
use parking_lot::Mutex;

use crate::{
    chain::HopChain,
    hop::{Candidate, NodesHop},
    selector::{Selector, Strategy},
};

/// What somebody does when asked.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Act {
    #[default]
    Succeed,
    /// Says nothing, for ever.
    Hang,
    Fail(Why, Side),
}

impl Act {
    async fn perform(self, what: &str) -> Result<()> {
        match self {
            Self::Succeed => Ok(()),
            Self::Hang => std::future::pending().await,
            Self::Fail(why, side) => Err(Error::new(why, what).side(side)),
        }
    }
}

/// A world: what everybody does, and what was asked of whom.
#[derive(Clone, Default)]
pub(crate) struct World(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    acts: HashMap<String, Act>,
    log: Vec<String>,
    asks: Vec<(String, Ask)>,
}

impl World {
    /// From now on this is done when so asked: `dial n1`, `n1 connect t:80`, `socket 10.0.0.1:80`.
    pub(crate) fn when(&self, asked: &str, act: Act) -> &Self {
        self.0.lock().acts.insert(asked.to_owned(), act);
        self
    }

    /// What was asked since the last call.
    pub(crate) fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().log)
    }

    /// The last ask that came with a request.
    pub(crate) fn ask_of(&self, asked: &str) -> Ask {
        let state = self.0.lock();
        let found = state.asks.iter().rev().find(|(text, _)| text == asked);
        found.expect("it was asked").1.clone()
    }

    async fn asked(&self, text: String, ask: &Ask) -> Result<()> {
        let act = {
            let mut state = self.0.lock();
            state.log.push(text.clone());
            state.asks.push((text.clone(), ask.clone()));
            state.acts.get(&text).copied().unwrap_or_default()
        };
        act.perform(&text).await
    }

    /// Sockets of this world.
    pub(crate) fn sockets(&self) -> Arc<dyn Outbound> {
        self.named_sockets("socket")
    }

    pub(crate) fn named_sockets(&self, name: &str) -> Arc<dyn Outbound> {
        Arc::new(FakeSockets(self.clone(), name.to_owned()))
    }

    /// A node of this world at `name.test:1`.
    pub(crate) fn node(&self, name: &str) -> Arc<Node> {
        Arc::new(self.node_at(name, &format!("{name}.test:1")))
    }

    pub(crate) fn node_at(&self, name: &str, addr: &str) -> Node {
        let mut addr = NodeAddr::new(Addr::parse(addr).unwrap());
        addr.name = name.into();
        let mut node = Node::new(addr);
        let fake = Arc::new(FakeNode(self.clone()));
        node.transport = Some(Transport {
            dialer: fake.clone(),
            connector: fake,
        });
        node
    }
}

struct FakeSockets(World, String);

fn conn() -> Conn {
    let (near, _far) = tokio::io::duplex(64);
    Conn::stream(near, Meta::default())
}

#[async_trait]
impl Outbound for FakeSockets {
    async fn connect(&self, to: &Target, ask: &Ask) -> Result<Conn> {
        let Self(world, name) = self;
        ask.within(
            "socket",
            to,
            world.asked(format!("{name} {}", to.addr), ask),
        )
        .await?;
        Ok(conn())
    }

    async fn bind(&self, at: &Target, ask: &Ask, _: &BindOptions) -> Result<Box<dyn Listener>> {
        let Self(world, name) = self;
        world.asked(format!("{name} bind {}", at.addr), ask).await?;
        Ok(Box::new(FakeListener(at.addr.clone())))
    }

    fn path(&self) -> PathId {
        PathId::direct()
    }
}

struct FakeListener(Addr);

#[async_trait]
impl Listener for FakeListener {
    async fn accept(&mut self) -> Result<Incoming> {
        std::future::pending().await
    }

    fn addr(&self) -> Addr {
        self.0.clone()
    }
}

struct FakeNode(World);

#[async_trait]
impl Dialer for FakeNode {
    async fn dial(&self, node: &NodeAddr, below: &Arc<dyn Outbound>, ask: &Ask) -> Result<Conn> {
        let conn = below.connect(&Target::tcp(node.addr.clone()), ask).await?;
        self.0.asked(format!("dial {}", node.name), ask).await?;
        Ok(conn)
    }
}

#[async_trait]
impl Connector for FakeNode {
    async fn connect(&self, _: Conn, to: &Target, cx: &NodeCx<'_>) -> Result<Conn> {
        let asked = format!("{} connect {}", cx.node.name, to.addr);
        self.0.asked(asked, cx.ask).await?;
        Ok(conn())
    }

    async fn bind(
        &self,
        _: Conn,
        at: &Target,
        _: &BindOptions,
        cx: &NodeCx<'_>,
    ) -> Result<Box<dyn Listener>> {
        let asked = format!("{} bind {}", cx.node.name, at.addr);
        self.0.asked(asked, cx.ask).await?;
        Ok(Box::new(FakeListener(at.addr.clone())))
    }
}

/// A hop of nodes that are taken in order.
pub(crate) fn hop(name: &str, nodes: &[&Arc<Node>]) -> Arc<dyn Hop> {
    hop_by(name, nodes, Strategy::Fifo)
}

pub(crate) fn hop_by(name: &str, nodes: &[&Arc<Node>], strategy: Strategy) -> Arc<dyn Hop> {
    let candidates = nodes.iter().map(|node| Candidate::new((*node).clone()));
    Arc::new(NodesHop::new(name, candidates.collect()).with_selector(Selector::new(strategy)))
}

/// A chain of such hops.
pub(crate) fn chain(hops: &[&[&Arc<Node>]]) -> Arc<dyn Chain> {
    let hops = hops
        .iter()
        .enumerate()
        .map(|(i, nodes)| hop(&format!("hop-{i}"), nodes));
    Arc::new(HopChain::new("chain-0", hops.collect()))
}

/// A request for a TCP target by this name.
pub(crate) fn request(target: &str) -> Request {
    let addr = Addr::parse(target).unwrap();
    let mut request = Request::new(&Target::tcp(addr.clone()), &Ask::default());
    request.host = Some(addr);
    request
}

pub(crate) fn tcp(target: &str) -> Target {
    Target::tcp(Addr::parse(target).unwrap())
}

/// A bypass of these hosts.
pub(crate) struct Hosts(pub(crate) &'static [&'static str]);

impl Bypass for Hosts {
    fn is_whitelist(&self) -> bool {
        false
    }

    fn contains<'a>(&'a self, query: &'a BypassQuery, _: &'a Asker) -> Answer<'a, bool> {
        Answer::Now(self.0.contains(&query.target.addr.host().as_str()))
    }
}

/// A table of names.
pub(crate) struct Table(pub(crate) &'static [(&'static str, &'static [&'static str])]);

impl Table {
    fn find(&self, host: &str) -> Option<Vec<std::net::IpAddr>> {
        let (_, ips) = self.0.iter().find(|(name, _)| *name == host)?;
        Some(ips.iter().map(|ip| ip.parse().unwrap()).collect())
    }

    /// Asked before a resolver.
    pub(crate) fn into_hosts(self) -> Names {
        Names {
            hosts: Some(Arc::new(self)),
            resolver: None,
        }
    }

    /// Asked as a resolver.
    pub(crate) fn into_resolver(self) -> Names {
        Names {
            hosts: None,
            resolver: Some(Arc::new(self)),
        }
    }
}

impl HostMapper for Table {
    fn lookup<'a>(
        &'a self,
        host: &'a str,
        _: Family,
        _: &'a Asker,
    ) -> Answer<'a, Option<Vec<std::net::IpAddr>>> {
        Answer::Now(self.find(host))
    }
}

impl Resolver for Table {
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        _: Family,
        _: &'a Asker,
    ) -> Answer<'a, Result<Vec<std::net::IpAddr>>> {
        let unknown = || Error::new(Why::Unresolved, format!("resolve {host}"));
        Answer::Now(self.find(host).ok_or_else(unknown))
    }
}
