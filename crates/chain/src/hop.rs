//! A hop: some nodes, of which each request gets one.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use gost_core::{
    error::{Error, Phase, Result, Why},
    policy::{Answer, Bypass, BypassQuery},
    routing::{Choice, Hop, Marker, Node, Request},
};

use crate::{
    filter::Filter,
    item::{Item, ItemOptions},
    matcher::Matcher,
    probe::Probe,
    selector::{Chosen, Selector},
};

/// A node of a hop, with what decides whether it takes a request.
pub struct Candidate {
    /// The node.
    pub node: Arc<Node>,
    /// Weight, backup, limits of failure.
    pub options: ItemOptions,
    /// Which requests must not go through the node.
    pub bypass: Option<Arc<dyn Bypass>>,
    /// Which requests the node takes; a matcher takes its place.
    pub filter: Option<Filter>,
    /// Which requests the node takes.
    pub matcher: Option<Matcher>,
    /// Nodes of a higher priority are taken before others; see [`Matcher::priority`].
    pub priority: i32,
    /// Probes the node for as long as it is one of the hop's.
    pub probe: Option<Arc<Probe>>,
}

impl Candidate {
    /// A node that takes every request.
    pub fn new(node: Arc<Node>) -> Self {
        Self {
            node,
            options: ItemOptions::default(),
            bypass: None,
            filter: None,
            matcher: None,
            priority: 0,
            probe: None,
        }
    }

    async fn takes(&self, request: &Request) -> bool {
        match (&self.matcher, &self.filter) {
            (Some(matcher), _) => matcher.matches(request).await,
            (None, Some(filter)) => filter.matches(request),
            (None, None) => true,
        }
    }
}

impl Item for Candidate {
    fn marker(&self) -> &Marker {
        &self.node.marker
    }

    fn options(&self) -> &ItemOptions {
        &self.options
    }
}

async fn is_kept_out(bypass: Option<&Arc<dyn Bypass>>, request: &Request) -> bool {
    let Some(bypass) = bypass else {
        return false;
    };
    let query = BypassQuery {
        target: request.target.clone(),
        host: request.host.clone(),
        path: request.http.as_ref().map(|http| http.path.clone()),
    };
    bypass.contains(&query, &request.asker).await
}

/// A hop with a list of nodes.
pub struct NodesHop {
    name: Arc<str>,
    selector: Selector,
    bypass: Option<Arc<dyn Bypass>>,
    candidates: ArcSwap<Vec<Candidate>>,
}

impl NodesHop {
    /// A hop; nodes are taken in turn unless a selector says otherwise.
    pub fn new(name: impl Into<Arc<str>>, candidates: Vec<Candidate>) -> Self {
        Self {
            name: name.into(),
            selector: Selector::default(),
            bypass: None,
            candidates: ArcSwap::from_pointee(candidates),
        }
    }

    /// Sets how one of several fit nodes is chosen.
    #[must_use]
    pub fn with_selector(mut self, selector: Selector) -> Self {
        self.selector = selector;
        self
    }

    /// Sets the requests for which a way ends before this hop.
    #[must_use]
    pub fn with_bypass(mut self, bypass: Arc<dyn Bypass>) -> Self {
        self.bypass = Some(bypass);
        self
    }

    /// Puts other nodes in the place of all there are, for lists that are loaded again.
    pub fn set_candidates(&self, candidates: Vec<Candidate>) {
        self.candidates.store(Arc::new(candidates));
    }

    /// The nodes there are now.
    pub fn candidates(&self) -> Arc<Vec<Candidate>> {
        self.candidates.load_full()
    }

    async fn choose(&self, request: &Request, tried: &[Arc<Node>]) -> Result<Choice> {
        if is_kept_out(self.bypass.as_ref(), request).await {
            return Ok(Choice::Skip);
        }
        let candidates = self.candidates();
        let (mut fit, mut failed) = (Vec::new(), Vec::new());
        let mut left = false;
        let mut around = !candidates.is_empty();
        for candidate in candidates.iter() {
            if tried.iter().any(|node| Arc::ptr_eq(node, &candidate.node)) {
                around = false;
                continue;
            }
            left = true;
            if is_kept_out(candidate.bypass.as_ref(), request).await {
                continue;
            }
            around = false;
            // Failed ones come first here: rules about bodies are dear.
            if candidate.is_failed(self.selector.limits()) {
                failed.push(candidate);
            } else if candidate.takes(request).await {
                fit.push(candidate);
            }
        }
        if let Some(choice) = self.pick(fit, request.hash.as_deref()) {
            return Ok(choice);
        }
        // The last resort: a failed node may work again, and the direct way is never one.
        for candidate in failed {
            if candidate.takes(request).await {
                return Ok(Choice::Node(candidate.node.clone()));
            }
        }
        if around {
            return Ok(Choice::Skip);
        }
        Err(self.no_node(match (candidates.is_empty(), left) {
            (true, _) => "has no nodes",
            (false, true) => "has no node for the request",
            (false, false) => "has no other node to try",
        }))
    }

    /// One of the nodes that work and take the request; `None` when there are none.
    fn pick(&self, mut fit: Vec<&Candidate>, hash: Option<&str>) -> Option<Choice> {
        let highest = fit.iter().map(|c| c.priority).max()?;
        let lowest = fit.iter().map(|c| c.priority).min()?;
        let mut best = fit.iter().filter(|c| c.priority == highest);
        if let (Some(one), None) = (best.next(), best.next())
            && (fit.len() == 1 || (highest > 0 && !one.options.backup))
        {
            // There is no choice, and so no turn that is taken.
            return Some(Choice::Node(one.node.clone()));
        }
        if highest == lowest {
            return self.of_tier(&fit, hash).or_else(|| self.of_all(fit, hash));
        }
        fit.sort_by_key(|c| std::cmp::Reverse(c.priority));
        let has_primary = fit.iter().any(|c| !c.options.backup);
        let mut tiers = fit
            .chunk_by(|a, b| a.priority == b.priority)
            .filter(|tier| !has_primary || tier.iter().any(|c| !c.options.backup));
        let chosen = tiers.find_map(|tier| self.of_tier(tier, hash));
        chosen.or_else(|| self.of_all(fit, hash))
    }

    fn of_tier(&self, tier: &[&Candidate], hash: Option<&str>) -> Option<Choice> {
        self.selector.choose(tier, hash).map(choice)
    }

    /// When the selector's filters leave nothing, of what there was: a slow node is better than
    /// none.
    fn of_all(&self, fit: Vec<&Candidate>, hash: Option<&str>) -> Option<Choice> {
        self.selector.apply(fit, hash).map(choice)
    }

    fn no_node(&self, what: &str) -> Error {
        Error::new(Why::NoRoute, format!("hop {} {what}", self.name)).phase(Phase::Route)
    }
}

fn choice(chosen: Chosen<'_, Candidate>) -> Choice {
    match chosen {
        Chosen::One(one) => Choice::Node(one.node.clone()),
        Chosen::Race(all) => Choice::Race(all.iter().map(|c| c.node.clone()).collect()),
    }
}

impl Hop for NodesHop {
    /// Follows these rules, in this order:
    ///
    /// 1. The hop's bypass keeps the request out: the way ends before the hop.
    /// 2. Nodes that were tried already, have a bypass that keeps the request out, count as
    ///    failed, or whose matcher (or else filter) does not take it, are passed over.
    /// 3. Of the rest, the selector chooses within the tiers of equal priority, the highest first.
    ///    Tiers of backup nodes alone wait until there is no other node. If all are too slow for
    ///    the selector, it chooses among them nevertheless.
    /// 4. If none is left, the first failed node that takes the request is tried again.
    /// 5. If the bypasses of all nodes keep the request out, the way ends before the hop.
    /// 6. Otherwise it is an error ([`Why::NoRoute`]), also for a hop without any nodes. It never
    ///    means to go around the hop.
    fn select<'a>(
        &'a self,
        request: &'a Request,
        tried: &'a [Arc<Node>],
    ) -> Answer<'a, Result<Choice>> {
        Answer::later(self.choose(request, tried))
    }
}

impl fmt::Debug for NodesHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = self.candidates.load().len();
        write!(f, "NodesHop({}, {nodes} nodes)", self.name)
    }
}

#[cfg(test)]
mod tests;
