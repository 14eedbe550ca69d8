//! A route: its steps folded into one way out.

use std::{fmt::Write as _, sync::Arc};

use gost_core::{
    addr::Target,
    outbound::Outbound,
    routing::{Node, Step},
};
use parking_lot::Mutex;

use crate::node::NodeOutbound;

/// What happened on the way of one request.
#[derive(Debug, Default)]
pub struct Trail(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// The nodes that were taken, with the places of their steps.
    taken: Vec<(usize, Arc<Node>)>,
    blames: Vec<Blame>,
}

/// A node that failed.
#[derive(Clone, Debug)]
pub struct Blame {
    /// The place of its step in the route, from 0.
    pub place: usize,
    /// The node.
    pub node: Arc<Node>,
    /// It fell silent when it was to connect to what comes after it, which may have been the one
    /// that was silent.
    pub doubt: bool,
}

impl Trail {
    pub(crate) fn takes(&self, place: usize, node: &Arc<Node>) {
        self.0.lock().taken.push((place, node.clone()));
    }

    pub(crate) fn blames(&self, blame: Blame) {
        self.0.lock().blames.push(blame);
    }

    /// True when it isn't clear whether the step before a place failed, or what it was to reach.
    pub(crate) fn doubts_step_before(&self, place: usize) -> bool {
        let seen = self.0.lock();
        let last = seen.blames.last();
        last.is_some_and(|blame| blame.doubt && blame.place + 1 == place)
    }

    /// The nodes that failed.
    pub fn failures(&self) -> Vec<Blame> {
        self.0.lock().blames.clone()
    }

    /// The way in words: `node@addr > node@addr > target`.
    ///
    /// A step that was not gone, because a session over it was there already, shows its first
    /// node.
    pub fn text(&self, steps: &[Step], to: &Target) -> String {
        let seen = self.0.lock();
        let mut text = String::new();
        for (place, step) in steps.iter().enumerate() {
            let taken = seen.taken.iter().rev().find(|(at, _)| *at == place);
            if let Some(node) = taken.map(|(_, node)| node).or_else(|| step.nodes().first()) {
                // Writing to a string cannot fail.
                let _ = write!(text, "{} > ", node.addr);
            }
        }
        let _ = write!(text, "{}", to.addr);
        text
    }
}

/// The way over all steps; `None` when there are none.
///
/// Each step is a node over the way before it. The first is reached with the node's own sockets,
/// or else with `sockets`. A dialer that multiplexes and has a session over the same way does not
/// go it again.
pub fn fold(
    steps: &[Step],
    sockets: &Arc<dyn Outbound>,
    trail: &Arc<Trail>,
) -> Option<Arc<dyn Outbound>> {
    let mut way: Option<Arc<dyn Outbound>> = None;
    for (place, step) in steps.iter().enumerate() {
        let node = NodeOutbound::new(step, way.as_ref(), sockets, place, trail.clone());
        way = Some(Arc::new(node));
    }
    way
}
