//! Groups: several chains or hops, of which each request gets one.

use std::{fmt, sync::Arc};

use gost_core::{
    error::{Error, Phase, Result, Why},
    policy::Answer,
    routing::{Chain, Choice, Hop, Marker, Node, Request, Route},
};

use crate::{
    item::{Item, ItemOptions},
    matcher::Matcher,
    probe::Probe,
    selector::{Chosen, Selector},
};

/// A chain or hop of a group; `T` is `dyn Chain` or `dyn Hop`.
pub struct Entry<T: ?Sized> {
    /// The chain or hop.
    pub to: Arc<T>,
    /// Which requests it takes; all without one.
    pub matcher: Option<Matcher>,
    /// Weight, backup, limits of failure.
    pub options: ItemOptions,
    /// Its failures, and what its probe found.
    pub marker: Arc<Marker>,
    /// Probes the chain or hop for as long as it is one of the group's.
    pub probe: Option<Probe>,
}

impl<T: ?Sized> Entry<T> {
    /// An entry that takes every request.
    pub fn new(to: Arc<T>) -> Self {
        Self {
            to,
            matcher: None,
            options: ItemOptions::default(),
            marker: Arc::default(),
            probe: None,
        }
    }
}

impl<T: ?Sized> Item for Entry<T> {
    fn marker(&self) -> &Marker {
        &self.marker
    }

    fn options(&self) -> &ItemOptions {
        &self.options
    }
}

/// The entries that take a request, in the order in which to try them.
struct Order<'a, T: ?Sized> {
    selector: &'a Selector,
    hash: Option<&'a str>,
    left: Vec<&'a Entry<T>>,
}

impl<'a, T: ?Sized> Order<'a, T> {
    async fn new(entries: &'a [Entry<T>], selector: &'a Selector, request: &'a Request) -> Self {
        let mut left = Vec::with_capacity(entries.len());
        for entry in entries {
            let takes = match &entry.matcher {
                Some(matcher) => matcher.matches(request).await,
                None => true,
            };
            if takes {
                left.push(entry);
            }
        }
        Self {
            selector,
            hash: request.hash.as_deref(),
            left,
        }
    }

    /// The selector's choice of what is left; when that leaves nothing, since all have failed,
    /// the first.
    fn next(&mut self) -> Option<&'a Entry<T>> {
        let chosen = match self.selector.choose(&self.left, self.hash) {
            Some(Chosen::One(one)) => one,
            Some(Chosen::Race(_)) | None => self.left.first()?,
        };
        self.left.retain(|entry| !std::ptr::eq(*entry, chosen));
        Some(chosen)
    }
}

/// Several chains, of which each request gets one.
pub struct ChainGroup {
    entries: Vec<Entry<dyn Chain>>,
    selector: Selector,
}

impl ChainGroup {
    /// A group of chains. Strategies that are about nodes mean in turn.
    pub fn new(entries: Vec<Entry<dyn Chain>>, selector: Selector) -> Self {
        Self {
            entries,
            selector: selector.of_group(),
        }
    }

    /// The entries.
    pub fn entries(&self) -> &[Entry<dyn Chain>] {
        &self.entries
    }

    async fn choose(&self, request: &Request, tried: &[Arc<Node>]) -> Result<Route> {
        let mut order = Order::new(&self.entries, &self.selector, request).await;
        let mut failure = None;
        while let Some(entry) = order.next() {
            match entry.to.route(request, tried).await {
                Ok(mut route) => {
                    route.markers.push(entry.marker.clone());
                    return Ok(route);
                }
                // A chain that has no way leaves the request to the others.
                Err(error) if error.why() == Why::NoRoute => {
                    failure.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        failure.map_or_else(|| Ok(Route::default()), Err)
    }
}

impl Chain for ChainGroup {
    /// The route of one of the chains that take the request.
    ///
    /// If no entry's matcher takes it, the way is direct: that is how a group says "everything
    /// else". If entries take it and none has a way, that is an error; failed entries are tried
    /// again when no other is left.
    fn route<'a>(
        &'a self,
        request: &'a Request,
        tried: &'a [Arc<Node>],
    ) -> Answer<'a, Result<Route>> {
        Answer::later(self.choose(request, tried))
    }
}

/// Several hops, of which each request gets one: for forwarders.
pub struct HopGroup {
    entries: Vec<Entry<dyn Hop>>,
    selector: Selector,
}

impl HopGroup {
    /// A group of hops. Strategies that are about nodes mean in turn.
    pub fn new(entries: Vec<Entry<dyn Hop>>, selector: Selector) -> Self {
        Self {
            entries,
            selector: selector.of_group(),
        }
    }

    /// The entries.
    pub fn entries(&self) -> &[Entry<dyn Hop>] {
        &self.entries
    }

    /// Connections tell the nodes' markers, not the entries': a hop that has nothing better to
    /// offer than a failed node is itself as good as failed, and kept as the last resort.
    async fn choose(&self, request: &Request, tried: &[Arc<Node>]) -> Result<Choice> {
        let limits = self.selector.limits();
        let mut order = Order::new(&self.entries, &self.selector, request).await;
        let (mut resort, mut failure) = (None, None);
        while let Some(entry) = order.next() {
            match entry.to.select(request, tried).await {
                Ok(Choice::Node(node))
                    if node.marker.is_failed(limits.max_fails, limits.fail_timeout) =>
                {
                    resort.get_or_insert(Choice::Node(node));
                }
                Ok(choice) => return Ok(choice),
                Err(error) if error.why() == Why::NoRoute => {
                    failure.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        resort.ok_or_else(|| {
            failure.unwrap_or_else(|| {
                Error::new(Why::NoRoute, "no hop of the group takes the request")
                    .phase(Phase::Route)
            })
        })
    }
}

impl Hop for HopGroup {
    /// The choice of one of the hops that take the request; an error when there is none.
    fn select<'a>(
        &'a self,
        request: &'a Request,
        tried: &'a [Arc<Node>],
    ) -> Answer<'a, Result<Choice>> {
        Answer::later(self.choose(request, tried))
    }
}

impl fmt::Debug for ChainGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainGroup({} entries)", self.entries.len())
    }
}

impl fmt::Debug for HopGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HopGroup({} entries)", self.entries.len())
    }
}

#[cfg(test)]
mod tests;
