//! Nodes, hops and chains, from configuration to objects.

use std::{sync::Arc, time::Duration};

use gost_chain::{
    chain::HopChain,
    filter::Filter,
    group::{self, HopGroup},
    hop::{Candidate, NodesHop},
    item::Limits,
    matcher::Matcher,
    probe::{HttpProbe, Probe, ProbeKind, ProbeOptions, Subject},
    selector::{Selector, Strategy},
};
use gost_config::{self as config, Place, Problem};
use gost_core::{
    addr::{Addr, Network},
    outbound::{Connector, Dialer, NodeAddr, Outbound},
    routing::{Chain, Hop, Node, Transport},
    values::Values,
};
use gost_net::sockets::{SocketOptions, Sockets};

use crate::{
    builder::{Builder, read},
    check::or,
    options::{HopOptions, NodeOptions},
    parts,
};

impl Builder<'_> {
    /// A hop by the name it was given, or the nodes written in its place.
    pub(crate) async fn hop(&self, hop: &config::Hop) -> Result<Arc<dyn Hop>, Problem> {
        if hop.nodes.is_empty() && !hop.nodes.is_given() {
            return self.named_hop(&hop.name, &hop.place);
        }
        self.inline_hop(hop).await
    }

    pub(crate) fn named_hop(&self, name: &str, place: &Place) -> Result<Arc<dyn Hop>, Problem> {
        let found = self
            .named
            .get::<dyn Hop>(name)
            .map_err(|e| place.error("name", e.to_string()))?;
        Ok(Arc::new(found))
    }

    /// A hop with its nodes.
    pub(crate) async fn inline_hop(&self, hop: &config::Hop) -> Result<Arc<dyn Hop>, Problem> {
        let inherited = hop_options(hop);
        let mut candidates = Vec::with_capacity(hop.nodes.len());
        for node in &hop.nodes {
            candidates.push(self.node(node, &inherited).await?);
        }
        let hop =
            NodesHop::new(&*hop.name, candidates).with_selector(selector(hop.selector.as_ref()));
        Ok(Arc::new(hop))
    }

    /// A chain with its hops.
    pub(crate) async fn chain(&self, chain: &config::Chain) -> Result<Arc<dyn Chain>, Problem> {
        let mut hops = Vec::with_capacity(chain.hops.len());
        for hop in &chain.hops {
            hops.push(self.hop(hop).await?);
        }
        Ok(Arc::new(HopChain::new(&*chain.name, hops)))
    }

    async fn node(&self, node: &config::Node, hop: &HopOptions) -> Result<Candidate, Problem> {
        let options: NodeOptions = read(&node.metadata);
        let sockets: Arc<dyn Outbound> = Arc::new(Sockets::new(
            SocketOptions {
                interface: first_text([
                    &options.sockets.interface,
                    &text(&node.interface),
                    &hop.interface,
                ]),
                mark: options
                    .sockets
                    .so_mark
                    .filter(|mark| *mark > 0)
                    .or_else(|| mark(node.sockopts.as_ref()))
                    .or(hop.so_mark)
                    .unwrap_or(0),
                netns: some(first_text([
                    &options.sockets.netns,
                    &text(&node.netns),
                    &hop.netns,
                ])),
                proxy_protocol: options
                    .sockets
                    .proxy_protocol
                    .or(hop.proxy_protocol)
                    .unwrap_or(0),
            },
            gost_core::routing::Names::default(),
        ));
        let transport = self.transport(node).await?;
        let addr = node_addr(&node.name, &node.addr, &node.network, is_path(&transport.1))
            .ok_or_else(|| {
                node.place
                    .error("addr", format!("{:?} is not an address", node.addr))
            })?;
        let mut made = Node::new(addr);
        made.network = Network::parse(&node.network);
        made.transport = Some(transport.0);
        made.sockets = Some(sockets.clone());
        made.values = node.metadata.clone();
        let made = Arc::new(made);
        let mut candidate = self.candidate(
            made.clone(),
            &node.place,
            Choosing {
                filter: node.filter.as_ref(),
                matcher: node.matcher.as_ref(),
                probe: node.probe.as_ref(),
                metadata: &node.metadata,
            },
        )?;
        candidate.options = options.item;
        Ok(candidate)
    }

    /// Dialer and connector, and the dialer's type.
    async fn transport(&self, node: &config::Node) -> Result<(Transport, String), Problem> {
        let empty_connector = config::Connector {
            place: node.place.clone(),
            ..config::Connector::default()
        };
        let empty_dialer = config::Dialer {
            place: node.place.clone(),
            ..config::Dialer::default()
        };
        let connector = node.connector.as_ref().unwrap_or(&empty_connector);
        let dialer = node.dialer.as_ref().unwrap_or(&empty_dialer);
        let place = |what: &str| -> Arc<str> { format!("node {} / {what}", node.name).into() };

        let mut build = self.build(place("connector"), &node.addr);
        build.values = connector.metadata.clone();
        build.auth = parts::credentials(connector.auth.as_ref())?;
        build.tls = parts::tls(connector.tls.as_ref());
        let kind = or(&connector.r#type, "http");
        let made = self
            .registry
            .make::<dyn Connector>(kind, &connector.metadata, build)
            .await;
        let made_connector = made.map_err(|e| connector.place.error("", e.to_string()))?;

        let mut build = self.build(place("dialer"), &node.addr);
        build.values = dialer.metadata.clone();
        build.auth = parts::credentials(dialer.auth.as_ref())?;
        build.tls = parts::tls(dialer.tls.as_ref());
        let kind = or(&dialer.r#type, "tcp");
        let made = self
            .registry
            .make::<dyn Dialer>(kind, &dialer.metadata, build)
            .await;
        let made_dialer = made.map_err(|e| dialer.place.error("", e.to_string()))?;
        Ok((
            Transport {
                dialer: made_dialer,
                connector: made_connector,
            },
            kind.to_owned(),
        ))
    }

    /// The hop of a service's forwarder: a group, a named hop, or the nodes written there.
    pub(crate) fn forwarder(&self, forwarder: &config::Forwarder) -> Result<Arc<dyn Hop>, Problem> {
        if let Some(group) = &forwarder.hop_group {
            return self.hop_group(group);
        }
        let name = or(&forwarder.hop, &forwarder.name);
        if !name.is_empty() {
            return self.named_hop(name, &forwarder.place);
        }
        let mut candidates = Vec::with_capacity(forwarder.nodes.len());
        for node in &forwarder.nodes {
            candidates.push(self.forward_node(node)?);
        }
        let selector = selector(forwarder.selector.as_ref());
        Ok(Arc::new(
            NodesHop::new("forwarder", candidates).with_selector(selector),
        ))
    }

    fn forward_node(&self, node: &config::ForwardNode) -> Result<Candidate, Problem> {
        let options: NodeOptions = read(&node.metadata);
        // No host has a slash in its name.
        let is_path = node.addr.contains('/');
        let addr = node_addr(&node.name, &node.addr, &node.network, is_path).ok_or_else(|| {
            node.place
                .error("addr", format!("{:?} is not an address", node.addr))
        })?;
        let mut made = Node::new(addr);
        made.network = Network::parse(&node.network).or_else(|| is_path.then_some(Network::Unix));
        made.values = node.metadata.clone();
        let old_filter = config::NodeFilter {
            host: node.host.clone(),
            protocol: node.protocol.clone(),
            path: node.path.clone(),
            ..config::NodeFilter::default()
        };
        let has_old = !(node.host.is_empty() && node.protocol.is_empty() && node.path.is_empty());
        let mut candidate = self.candidate(
            Arc::new(made),
            &node.place,
            Choosing {
                filter: node
                    .filter
                    .as_ref()
                    .or_else(|| has_old.then_some(&old_filter)),
                matcher: node.matcher.as_ref(),
                probe: node.probe.as_ref(),
                metadata: &node.metadata,
            },
        )?;
        candidate.options = options.item;
        Ok(candidate)
    }

    fn candidate(
        &self,
        node: Arc<Node>,
        place: &Place,
        choosing: Choosing<'_>,
    ) -> Result<Candidate, Problem> {
        let mut candidate = Candidate::new(node.clone());
        candidate.filter = choosing
            .filter
            .map(|f| Filter::new(&f.host, &f.protocol, &f.path));
        if let Some(matcher) = choosing.matcher {
            let configured = i32::try_from(matcher.priority).unwrap_or(i32::MAX);
            candidate.priority = configured;
            if let Some(made) = self.matcher(matcher)? {
                candidate.priority = made.priority(configured);
                candidate.matcher = Some(made);
            }
        }
        if let Some(probe) = choosing.probe
            && let Some(options) = probe_options(probe, place)?
        {
            let sockets = node
                .sockets
                .clone()
                .unwrap_or_else(|| Arc::new(Sockets::default()));
            let marker = node.marker.clone();
            candidate.probe = Some(Probe::start(options, Subject::Node(node), marker, sockets));
        }
        candidate.options = read(choosing.metadata);
        Ok(candidate)
    }

    pub(crate) fn matcher(&self, matcher: &config::Matcher) -> Result<Option<Matcher>, Problem> {
        if matcher.rule.trim().is_empty() {
            return Ok(None);
        }
        Matcher::parse(&matcher.rule, &self.named)
            .map(Some)
            .map_err(|e| matcher.place.error("rule", e.to_string()))
    }

    fn hop_group(&self, group: &config::HopGroup) -> Result<Arc<dyn Hop>, Problem> {
        let mut entries = Vec::with_capacity(group.hops.len());
        for entry in &group.hops {
            let hop = self.named_hop(&entry.hop, &entry.place)?;
            let mut made = group::Entry::new(hop.clone());
            if let Some(matcher) = &entry.matcher {
                made.matcher = self.matcher(matcher)?;
            }
            if let Some(probe) = &entry.probe
                && let Some(options) = probe_options(probe, &entry.place)?
            {
                let sockets = Arc::new(Sockets::default());
                made.probe = Some(Probe::start(
                    options,
                    Subject::Hop(hop),
                    made.marker.clone(),
                    sockets,
                ));
            }
            entries.push(made);
        }
        Ok(Arc::new(HopGroup::new(
            entries,
            selector(group.selector.as_ref()),
        )))
    }
}

/// What the choice of a node depends on.
#[derive(Clone, Copy)]
struct Choosing<'a> {
    filter: Option<&'a config::NodeFilter>,
    matcher: Option<&'a config::Matcher>,
    probe: Option<&'a config::Probe>,
    metadata: &'a Values,
}

/// What the nodes of a hop inherit.
fn hop_options(hop: &config::Hop) -> HopOptions {
    let mut options: HopOptions = read(&hop.metadata);
    options.interface = options.interface.or_else(|| text(&hop.interface));
    options.so_mark = options
        .so_mark
        .filter(|mark| *mark > 0)
        .or_else(|| mark(hop.sockopts.as_ref()));
    options
}

fn mark(options: Option<&config::SockOpts>) -> Option<u32> {
    options
        .and_then(|o| u32::try_from(o.mark).ok())
        .filter(|mark| *mark > 0)
}

fn text(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

fn some(value: String) -> Option<Arc<str>> {
    (!value.is_empty()).then(|| value.into())
}

fn first_text(candidates: [&Option<String>; 3]) -> String {
    candidates
        .into_iter()
        .flatten()
        .find(|t| !t.is_empty())
        .cloned()
        .unwrap_or_default()
}

fn is_path(dialer: &str) -> bool {
    matches!(dialer, "unix" | "serial")
}

/// A node's name and address. One without an address has [`Addr::Any`].
pub(crate) fn node_addr(name: &str, addr: &str, network: &str, is_path: bool) -> Option<NodeAddr> {
    let parsed = if is_path || matches!(network, "unix" | "serial") {
        Addr::path(addr)
    } else {
        Addr::parse(addr)?
    };
    let name = or(name, addr).into();
    Some(NodeAddr {
        name,
        addr: parsed.clone(),
        host: parsed,
    })
}

/// A selector as configured; the usual one when absent.
pub(crate) fn selector(selector: Option<&config::Selector>) -> Selector {
    let Some(selector) = selector else {
        return Selector::default();
    };
    // An unknown name is reported by the configuration's own check, and means in turn.
    let strategy = Strategy::parse(&selector.strategy).unwrap_or_default();
    let max_fails = i32::try_from(selector.max_fails).unwrap_or(i32::MAX);
    let fail_timeout = selector.fail_timeout.positive().unwrap_or_default();
    Selector::new(strategy)
        .with_limits(Limits::new(max_fails, fail_timeout))
        .with_max_latency(selector.max_latency.positive().unwrap_or_default())
}

/// What to probe; nothing when the settings do not say what.
pub(crate) fn probe_options(
    probe: &config::Probe,
    place: &Place,
) -> Result<Option<ProbeOptions>, Problem> {
    let is_command = probe.r#type.eq_ignore_ascii_case("cmd");
    if (is_command && probe.command.is_empty()) || (!is_command && probe.addr.is_empty()) {
        return Ok(None);
    }
    let kind = match probe.r#type.to_ascii_lowercase().as_str() {
        "cmd" => ProbeKind::Command(probe.command.clone()),
        "http" => ProbeKind::Http(HttpProbe {
            path: or(&probe.http_path, "/").to_owned(),
            host: or(&probe.http_host, &probe.addr).to_owned(),
            headers: probe
                .http_headers
                .iter()
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect(),
            status: u16::try_from(probe.expected_status)
                .ok()
                .filter(|s| *s > 0)
                .unwrap_or(200),
        }),
        _ => ProbeKind::Tcp,
    };
    let addr = Addr::parse(&probe.addr)
        .ok_or_else(|| place.error("probe.addr", format!("{:?} is not an address", probe.addr)))?;
    let time = |nanos: config::Nanos| nanos.positive().unwrap_or(Duration::ZERO);
    Ok(Some(ProbeOptions {
        kind,
        addr,
        interval: time(probe.interval),
        timeout: time(probe.timeout),
    }))
}
