//! Hops and chains, from configuration to objects.

use std::sync::Arc;

use gost_chain::{
    chain::HopChain,
    group::{self, HopGroup},
    hop::NodesHop,
    probe::{Probe, Subject},
};
use gost_config::{self as config, Place, Problem};
use gost_core::{
    policy::Answer,
    routing::{Chain, Choice, Hop, Node, Request},
    values::Values,
};
use gost_net::sockets::Sockets;

use crate::{
    builder::Builder,
    check::or,
    choosing::{probe_options, selector},
    kept::Same,
    nodes::{Member, inherited},
    policies::BypassNames,
};

/// Everything that a chain is made of, the hops that it names included.
#[derive(Clone)]
pub(crate) struct Content {
    pub(crate) chain: Arc<dyn Chain>,
    hops: Vec<Arc<dyn Hop>>,
}

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        Same::from(&self.chain) == Same::from(&other.chain)
            && self.hops.len() == other.hops.len()
            && self
                .hops
                .iter()
                .zip(&other.hops)
                .all(|(a, b)| Same::from(a) == Same::from(b))
    }
}

/// What a hop with nodes is made of.
struct Parts<'a> {
    name: &'a str,
    members: Vec<Member>,
    selecting: Option<&'a config::Selector>,
    bypass: BypassNames,
    /// Where it was written.
    of: &'a Place,
}

impl Builder<'_> {
    /// A chain with its hops.
    pub(crate) async fn chain(&self, chain: &config::Chain) -> Result<Content, Problem> {
        let place = format!("chain {}", chain.name);
        let (mut hops, mut content) = (Vec::new(), Vec::new());
        for hop in &chain.hops {
            let place = format!("{place} / hop {}", hop.name);
            if hop.is_reference() {
                hops.push(self.named_hop(&hop.name, &hop.place, &place).await?);
                content.extend(self.hops.get(&hop.name).cloned());
            } else {
                hops.push(self.hop(&place, hop).await?);
            }
        }
        let wanted: Vec<_> = hops.iter().map(Same::from).collect();
        let make = async { Ok(Arc::new(HopChain::new(&*chain.name, hops)) as Arc<dyn Chain>) };
        let made = self.keeper.keep(&place, wanted, &chain.metadata, make);
        Ok(Content {
            chain: made.await?,
            hops: content,
        })
    }

    /// A hop with its nodes, or with those that a plugin chooses.
    pub(crate) async fn hop(
        &self,
        place: &str,
        hop: &config::Hop,
    ) -> Result<Arc<dyn Hop>, Problem> {
        match &hop.plugin {
            Some(plugin) => self.plugin_hop(place, hop, plugin).await,
            None if hop.file.is_some() || hop.redis.is_some() || hop.http.is_some() => {
                self.loaded_hop(place, hop).await
            }
            None => self.nodes_hop(place, hop).await,
        }
    }

    /// A hop with its nodes. One that is given none, as `direct://` is, ends the way before it.
    pub(crate) async fn nodes_hop(
        &self,
        place: &str,
        hop: &config::Hop,
    ) -> Result<Arc<dyn Hop>, Problem> {
        if hop.nodes.is_empty() {
            let make = async { Ok(Arc::new(NoNodes) as Arc<dyn Hop>) };
            return self.keeper.keep(place, (), &hop.metadata, make).await;
        }
        let hop_wide = inherited(hop);
        let mut members = Vec::with_capacity(hop.nodes.len());
        for node in &hop.nodes {
            members.push(self.node((place, &hop.name), node, &hop_wide).await?);
        }
        let parts = Parts {
            name: &hop.name,
            members,
            selecting: hop.selector.as_ref(),
            bypass: BypassNames::new(&hop.bypass, &hop.bypasses),
            of: &hop.place,
        };
        self.members(place, parts, &hop.metadata).await
    }

    async fn members(
        &self,
        place: &str,
        parts: Parts<'_>,
        metadata: &Values,
    ) -> Result<Arc<dyn Hop>, Problem> {
        let (candidates, wanted): (Vec<_>, Vec<_>) = parts
            .members
            .into_iter()
            .map(|member| (member.candidate, member.wanted))
            .unzip();
        let wanted = (wanted, parts.selecting.cloned(), parts.bypass.clone());
        let make = async {
            let mut hop =
                NodesHop::new(parts.name, candidates).with_selector(selector(parts.selecting));
            if let Some(bypass) = self.detour(&parts.bypass, parts.of)? {
                hop = hop.with_bypass(bypass);
            }
            Ok(Arc::new(hop) as Arc<dyn Hop>)
        };
        self.keeper.keep(place, wanted, metadata, make).await
    }

    /// A hop by its name, whatever that means at the time.
    async fn named_hop(
        &self,
        name: &str,
        of: &Place,
        place: &str,
    ) -> Result<Arc<dyn Hop>, Problem> {
        let make = async {
            let found = self.named.get::<dyn Hop>(name);
            let found = found.map_err(|e| of.error("name", e.to_string()))?;
            Ok(Arc::new(found) as Arc<dyn Hop>)
        };
        self.keeper
            .keep(place, name.to_owned(), &Values::new(), make)
            .await
    }

    /// The hop of a service's forwarder: a group, a named hop, or the nodes written there.
    pub(crate) async fn forwarder(
        &self,
        place: &str,
        forwarder: &config::Forwarder,
    ) -> Result<Arc<dyn Hop>, Problem> {
        if let Some(group) = &forwarder.hop_group {
            return self.hop_group(place, group).await;
        }
        let name = or(&forwarder.hop, &forwarder.name);
        if !name.is_empty() {
            return self.named_hop(name, &forwarder.place, place).await;
        }
        let mut members = Vec::with_capacity(forwarder.nodes.len());
        for node in &forwarder.nodes {
            members.push(self.forward_node(place, node).await?);
        }
        let parts = Parts {
            name: "forwarder",
            members,
            selecting: forwarder.selector.as_ref(),
            bypass: BypassNames::default(),
            of: &forwarder.place,
        };
        self.members(place, parts, &Values::new()).await
    }

    async fn hop_group(
        &self,
        place: &str,
        group: &config::HopGroup,
    ) -> Result<Arc<dyn Hop>, Problem> {
        let make = async {
            let mut entries = Vec::with_capacity(group.hops.len());
            // The configuration's check has warned about the others.
            for entry in group.hops.iter().filter(|entry| !entry.hop.is_empty()) {
                let place = format!("{place} / hop {}", entry.hop);
                let hop = self.named_hop(&entry.hop, &entry.place, &place).await?;
                let mut made = group::Entry::new(hop.clone());
                if let Some(matcher) = &entry.matcher {
                    made.matcher = self.matcher(matcher)?;
                }
                if let Some(probe) = &entry.probe
                    && let Some(options) = probe_options(probe, &entry.place)?
                {
                    let sockets = Arc::new(Sockets::default());
                    let (subject, marker) = (Subject::Hop(hop), made.marker.clone());
                    made.probe = Some(Probe::start(options, subject, marker, sockets));
                }
                entries.push(made);
            }
            let made = HopGroup::new(entries, selector(group.selector.as_ref()));
            Ok(Arc::new(made) as Arc<dyn Hop>)
        };
        self.keeper
            .keep(place, group.clone(), &Values::new(), make)
            .await
    }
}

/// A hop that was never meant to have nodes. To have some and none that will do is another matter.
struct NoNodes;

impl Hop for NoNodes {
    fn select<'a>(
        &'a self,
        _: &'a Request,
        _: &'a [Arc<Node>],
    ) -> Answer<'a, gost_core::Result<Choice>> {
        Answer::Now(Ok(Choice::Skip))
    }
}
