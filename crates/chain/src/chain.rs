//! A chain: hops in order.

use std::{fmt, sync::Arc};

use gost_core::{
    error::Result,
    policy::Answer,
    routing::{Chain, Choice, Hop, Marker, Node, Request, Route, Step},
};

/// Hops in order.
pub struct HopChain {
    name: Arc<str>,
    hops: Vec<Arc<dyn Hop>>,
    marker: Arc<Marker>,
}

impl HopChain {
    /// A chain; without hops it goes direct.
    pub fn new(name: impl Into<Arc<str>>, hops: Vec<Arc<dyn Hop>>) -> Self {
        Self {
            name: name.into(),
            hops,
            marker: Arc::default(),
        }
    }

    /// The failures of routes through the chain.
    pub const fn marker(&self) -> &Arc<Marker> {
        &self.marker
    }

    async fn choose(&self, request: &Request, tried: &[Arc<Node>]) -> Result<Route> {
        let mut steps = Vec::with_capacity(self.hops.len());
        for hop in &self.hops {
            let choice = hop.select(request, tried).await;
            match choice.map_err(|e| e.context(format_args!("chain {}", self.name)))? {
                Choice::Node(node) => steps.push(Step::Node(node)),
                Choice::Race(nodes) => steps.push(Step::Race(nodes)),
                Choice::Skip => break,
            }
        }
        Ok(Route {
            steps,
            markers: vec![self.marker.clone()],
        })
    }
}

impl Chain for HopChain {
    /// One node of each hop. A hop whose bypass keeps the request out ends the route before it:
    /// the target is reached from the node before, or directly when the hop is the first.
    fn route<'a>(
        &'a self,
        request: &'a Request,
        tried: &'a [Arc<Node>],
    ) -> Answer<'a, Result<Route>> {
        Answer::later(self.choose(request, tried))
    }
}

impl fmt::Debug for HopChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HopChain({}, {} hops)", self.name, self.hops.len())
    }
}
