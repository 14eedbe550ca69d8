//! A node over the way below it.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use futures_util::{StreamExt, stream::FuturesUnordered};
use gost_core::{
    addr::{Addr, Target},
    conn::Conn,
    error::{Error, Phase, Result, Side, Why},
    listener::Listener,
    outbound::{Ask, BindOptions, NodeAddr, NodeCx, Outbound, PathId},
    race::race,
    routing::{Node, Step, Transport},
};

use crate::{
    deadline::below,
    names,
    route::{Blame, Trail},
};

/// A node that may be taken, and the ways out that it needs.
struct Member {
    node: Arc<Node>,
    /// The way to the node.
    below: Arc<dyn Outbound>,
    /// Sockets with the node's own settings.
    sockets: Arc<dyn Outbound>,
}

/// A member whose connection stands, under the address that it was dialed at.
struct Reached<'a> {
    member: &'a Member,
    transport: &'a Transport,
    addr: NodeAddr,
    conn: Conn,
}

/// A node over the way below it, or whichever of several answers first.
///
/// This is where nodes are marked. Whatever goes wrong with the node, from its name to its last
/// word before the target is reached, silence included, counts as its failure, unless a node
/// before it was named already. That the node could say what is wrong with the target counts as a
/// success. If the node before falls silent when it is to connect to this one, nobody can tell
/// which of them it was: both count as failed, until one of them is found to work.
pub struct NodeOutbound {
    members: Vec<Member>,
    place: usize,
    trail: Arc<Trail>,
}

impl NodeOutbound {
    /// A step of a route over the steps before it.
    ///
    /// `below` is the way over those, or `None` for the first step: then the node's own sockets
    /// are the way, or else `sockets`. `place` counts the step in `trail`, from 0.
    pub fn new(
        step: &Step,
        below: Option<&Arc<dyn Outbound>>,
        sockets: &Arc<dyn Outbound>,
        place: usize,
        trail: Arc<Trail>,
    ) -> Self {
        let members = step
            .nodes()
            .iter()
            .map(|node| Member::new(node, below, sockets))
            .collect();
        Self {
            members,
            place,
            trail,
        }
    }

    /// A connection to the node; of several, to the first that answers. The attempts of the
    /// others end with it.
    async fn reach(&self, ask: &Ask) -> Result<Reached<'_>> {
        let ask = below(ask);
        let mut attempts: FuturesUnordered<_> = self
            .members
            .iter()
            .map(|member| member.dial(&ask))
            .collect();
        let mut failure = None;
        while let Some((member, result)) = attempts.next().await {
            match result {
                Ok(reached) => {
                    self.trail.takes(self.place, &member.node);
                    return Ok(reached);
                }
                Err(error) => failure = Some(self.blame(&member.node, error, Phase::Dial)),
            }
        }
        Err(failure.unwrap_or_else(|| {
            Error::new(Why::NoRoute, "a step of the route has no node").phase(Phase::Route)
        }))
    }

    /// Decides whose failure an error is, names the node if it is its, and marks it.
    fn blame(&self, node: &Arc<Node>, error: Error, phase: Phase) -> Error {
        // A connector may name its own node.
        let is_other = |name: &Arc<str>| !Arc::ptr_eq(name, &node.addr.name);
        if error.node().is_some_and(is_other) {
            // It was a node on the way to this one, or this one if that could not reach it.
            if self.trail.doubts_step_before(self.place) {
                self.mark(node, true);
            }
            return error;
        }
        let error = if node.hop.is_empty() {
            error.context(format_args!("node {}", node.addr))
        } else {
            error.context(format_args!("hop {}, node {}", node.hop, node.addr))
        };
        match (error.at_side(), error.why()) {
            // The node's answer about the target. While the node itself is dialed it is the
            // target of those below.
            (Side::Target, _) if phase != Phase::Dial => {
                node.marker.reset();
                return error;
            }
            // Nothing that the node did.
            (Side::Us, Why::Unsupported | Why::Limited | Why::Denied | Why::NoRoute) => {
                return error;
            }
            (_, Why::TimedOut | Why::Reset | Why::Closed) => {
                self.mark(node, phase == Phase::Handshake);
            }
            _ => self.mark(node, false),
        }
        let error = error.at_node(&node.addr.name);
        // Errors of sockets and streams do not know what for.
        if error.at_phase() == Phase::Request {
            error.phase(phase)
        } else {
            error
        }
    }

    fn mark(&self, node: &Arc<Node>, doubt: bool) {
        node.marker.mark();
        self.trail.blames(Blame {
            place: self.place,
            node: node.clone(),
            doubt,
        });
    }

    fn succeeded<T>(&self, node: &Arc<Node>, result: Result<T>, phase: Phase) -> Result<T> {
        match result {
            Ok(done) => {
                node.marker.reset();
                Ok(done)
            }
            Err(error) => Err(self.blame(node, error, phase)),
        }
    }
}

/// A connection to a node alone, over its own sockets or else `sockets`; marks nothing.
pub(crate) async fn dial(node: &Arc<Node>, sockets: &Arc<dyn Outbound>, ask: &Ask) -> Result<Conn> {
    let member = Member::new(node, None, sockets);
    if node.transport.is_none() {
        let target = Target {
            network: node.network.unwrap_or_default(),
            addr: node.addr.addr.clone(),
        };
        return member.sockets.connect(&target, ask).await;
    }
    let (_, result) = member.dial(ask).await;
    result.map(|reached| reached.conn)
}

impl Member {
    fn new(
        node: &Arc<Node>,
        below: Option<&Arc<dyn Outbound>>,
        sockets: &Arc<dyn Outbound>,
    ) -> Self {
        let sockets = node.sockets.as_ref().unwrap_or(sockets);
        Self {
            node: node.clone(),
            below: below.unwrap_or(sockets).clone(),
            sockets: sockets.clone(),
        }
    }

    async fn dial(&self, ask: &Ask) -> (&Self, Result<Reached<'_>>) {
        let node = &self.node;
        let work = async {
            let transport = node.transport.as_ref().ok_or_else(|| {
                Error::new(Why::Unsupported, "it has no transport").phase(Phase::Dial)
            })?;
            let found = names::addresses(&node.names, &node.addr.addr, ask).await?;
            let dial = async |found: Addr| {
                let addr = NodeAddr {
                    addr: found,
                    ..node.addr.clone()
                };
                let dial = transport.dialer.dial(&addr, &self.below, ask);
                let conn = ask.within("dial", &addr.addr, dial).await?;
                Ok(Reached {
                    member: self,
                    transport,
                    addr,
                    conn,
                })
            };
            race(&found, dial).await
        };
        let result = ask.within("dial", &node.addr.addr, work).await;
        (self, result)
    }
}

#[async_trait]
impl Outbound for NodeOutbound {
    async fn connect(&self, to: &Target, ask: &Ask) -> Result<Conn> {
        let reached = self.reach(ask).await?;
        let cx = NodeCx {
            node: &reached.addr,
            sockets: &reached.member.sockets,
            ask,
        };
        let connect = reached.transport.connector.connect(reached.conn, to, &cx);
        let result = ask.within("connect to", to, connect).await;
        self.succeeded(&reached.member.node, result, Phase::Handshake)
    }

    async fn bind(&self, at: &Target, ask: &Ask, how: &BindOptions) -> Result<Box<dyn Listener>> {
        let reached = self.reach(ask).await?;
        let cx = NodeCx {
            node: &reached.addr,
            sockets: &reached.member.sockets,
            ask,
        };
        let bind = reached.transport.connector.bind(reached.conn, at, how, &cx);
        let result = ask.within("bind", at, bind).await;
        self.succeeded(&reached.member.node, result, Phase::Bind)
    }

    /// The nodes by name, address and number: two nodes that look alike need not be.
    fn path(&self) -> PathId {
        let name = |member: &Member| format!("{}#{}", member.node.addr, member.node.id());
        let names: Vec<_> = self.members.iter().map(name).collect();
        let below = self.members.first().map(|member| member.below.path());
        below.unwrap_or_default().and(&names.join("|"))
    }
}

impl fmt::Debug for NodeOutbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeOutbound({})", self.path())
    }
}
