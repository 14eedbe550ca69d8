//! Nodes, from configuration to objects.

use std::sync::Arc;

use gost_chain::{
    filter::Filter,
    hop::Candidate,
    item::ItemOptions,
    probe::{Probe, Subject},
};
use gost_config::{self as config, Place, Problem};
use gost_core::{
    addr::{Addr, Network},
    outbound::{Connector, Dialer, NodeAddr},
    routing::{Node, Transport},
    values::Values,
};
use gost_net::sockets::{SocketOptions, Sockets};

use crate::{
    builder::{Builder, read},
    check::or,
    choosing::probe_options,
    kept::{Files, Same},
    options::{HopOptions, NodeOptions},
    parts,
    policies::BypassNames,
    resolvers::NamesOf,
};

/// A node as a member of a hop.
pub(crate) struct Member {
    pub(crate) candidate: Candidate,
    /// What has to be the same for the hop to be the same.
    pub(crate) wanted: Wanted,
}

/// The objects of a member, and the configuration of what is always made anew.
#[derive(PartialEq)]
pub(crate) struct Wanted {
    node: Same<Node>,
    probe: Option<Same<Probe>>,
    filter: Option<config::NodeFilter>,
    matcher: Option<config::Matcher>,
    bypass: BypassNames,
    options: ItemOptions,
}

impl Builder<'_> {
    /// A node of a chain's hop; `place` is that of the hop.
    pub(crate) async fn node(
        &self,
        (place, hop_name): (&str, &str),
        node: &config::Node,
        hop: &Inherited,
    ) -> Result<Member, Problem> {
        let options: NodeOptions = read(&node.metadata);
        let sockets = SocketOptions {
            interface: first_text([
                &options.sockets.interface,
                &text(&node.interface),
                &hop.options.interface,
            ]),
            mark: options
                .sockets
                .so_mark
                .filter(|mark| *mark > 0)
                .or_else(|| mark(node.sockopts.as_ref()))
                .or(hop.options.so_mark)
                .unwrap_or(0),
            netns: some(first_text([
                &options.sockets.netns,
                &text(&node.netns),
                &hop.options.netns,
            ])),
            proxy_protocol: options
                .sockets
                .proxy_protocol
                .or(hop.options.proxy_protocol)
                .unwrap_or(0),
        };
        let place = format!("{place} / node {}", or(&node.name, &node.addr));
        let dialer_type = node.dialer.as_ref().map_or("tcp", |d| or(&d.r#type, "tcp"));
        let addr = node_addr(&node.name, &node.addr, &node.network, is_path(dialer_type))
            .ok_or_else(|| {
                node.place
                    .error("addr", format!("{:?} is not an address", node.addr))
            })?;
        let transport = Transport {
            dialer: self.dialer(&place, node).await?,
            connector: self.connector(&place, node).await?,
        };
        let network = Network::parse(&node.network);
        let names = NamesOf::node(node, &hop.hosts, &hop.resolver);
        let wanted = (
            Same(transport.dialer.clone()),
            Same(transport.connector.clone()),
            (addr.clone(), network, sockets.clone()),
            names.wanted(),
            node.metadata.clone(),
        );
        let make = async {
            let mut made = Node::new(addr);
            made.hop = hop_name.into();
            made.network = network;
            made.transport = Some(transport);
            made.names = self.names(&names, &node.place)?;
            made.sockets = Some(Arc::new(Sockets::new(sockets, made.names.clone())));
            made.values = node.metadata.clone();
            Ok(Arc::new(made))
        };
        let made = self.keeper.keep(&place, wanted, &node.metadata, make);
        let choosing = Choosing {
            place: &place,
            of: &node.place,
            filter: node.filter.clone(),
            matcher: node.matcher.as_ref(),
            probe: node.probe.as_ref(),
            bypass: BypassNames::new(&node.bypass, &node.bypasses),
            options: options.item,
        };
        self.member(made.await?, choosing).await
    }

    async fn connector(
        &self,
        place: &str,
        node: &config::Node,
    ) -> Result<Arc<dyn Connector>, Problem> {
        let mut connector = node.connector.clone().unwrap_or_else(|| config::Connector {
            place: node.place.clone(),
            ..config::Connector::default()
        });
        connector.r#type = or(&connector.r#type, "http").to_owned();
        let place = format!("{place} / connector");
        let files = Files::of(connector.auth.as_ref(), connector.tls.as_ref());
        let make = async {
            let mut build = self.build(place.as_str().into(), &node.addr);
            build.values = connector.metadata.clone();
            build.auth = parts::credentials(connector.auth.as_ref())?;
            build.tls = parts::tls(connector.tls.as_ref());
            self.registry
                .make::<dyn Connector>(&connector.r#type, &connector.metadata, build)
                .await
                .map_err(|e| connector.place.error("", e.to_string()))
        };
        let wanted = (node.addr.clone(), connector.clone(), files);
        self.keeper
            .keep(&place, wanted, &connector.metadata, make)
            .await
    }

    async fn dialer(&self, place: &str, node: &config::Node) -> Result<Arc<dyn Dialer>, Problem> {
        let mut dialer = node.dialer.clone().unwrap_or_else(|| config::Dialer {
            place: node.place.clone(),
            ..config::Dialer::default()
        });
        dialer.r#type = or(&dialer.r#type, "tcp").to_owned();
        let place = format!("{place} / dialer");
        let files = Files::of(dialer.auth.as_ref(), dialer.tls.as_ref());
        let make = async {
            let mut build = self.build(place.as_str().into(), &node.addr);
            build.values = dialer.metadata.clone();
            build.auth = parts::credentials(dialer.auth.as_ref())?;
            build.tls = parts::tls(dialer.tls.as_ref());
            self.registry
                .make::<dyn Dialer>(&dialer.r#type, &dialer.metadata, build)
                .await
                .map_err(|e| dialer.place.error("", e.to_string()))
        };
        let files = (files, Files::named(&dialer.metadata));
        let wanted = (node.addr.clone(), dialer.clone(), files);
        self.keeper
            .keep(&place, wanted, &dialer.metadata, make)
            .await
    }

    /// A node of a forwarder: just a target. `place` is that of the forwarder.
    pub(crate) async fn forward_node(
        &self,
        place: &str,
        node: &config::ForwardNode,
    ) -> Result<Member, Problem> {
        let options: NodeOptions = read(&node.metadata);
        // No host has a slash in its name.
        let is_path = node.addr.contains('/');
        let addr = node_addr(&node.name, &node.addr, &node.network, is_path).ok_or_else(|| {
            node.place
                .error("addr", format!("{:?} is not an address", node.addr))
        })?;
        let place = format!("{place} / node {}", or(&node.name, &node.addr));
        let network = Network::parse(&node.network).or_else(|| is_path.then_some(Network::Unix));
        let wanted = (addr.clone(), network, node.metadata.clone());
        let make = async {
            let mut made = Node::new(addr);
            made.network = network;
            made.values = node.metadata.clone();
            Ok(Arc::new(made))
        };
        let made = self.keeper.keep(&place, wanted, &node.metadata, make);
        let old_filter = config::NodeFilter {
            host: node.host.clone(),
            protocol: node.protocol.clone(),
            path: node.path.clone(),
            ..config::NodeFilter::default()
        };
        let has_old = old_filter != config::NodeFilter::default();
        let choosing = Choosing {
            place: &place,
            of: &node.place,
            filter: node.filter.clone().or(has_old.then_some(old_filter)),
            matcher: node.matcher.as_ref(),
            probe: node.probe.as_ref(),
            bypass: BypassNames::new(&node.bypass, &node.bypasses),
            options: options.item,
        };
        self.member(made.await?, choosing).await
    }

    async fn member(&self, node: Arc<Node>, choosing: Choosing<'_>) -> Result<Member, Problem> {
        let mut candidate = Candidate::new(node.clone());
        let filter = choosing.filter.as_ref();
        candidate.filter = filter.map(|f| Filter::new(&f.host, &f.protocol, &f.path));
        if let Some(matcher) = choosing.matcher {
            let configured = i32::try_from(matcher.priority).unwrap_or(i32::MAX);
            candidate.priority = configured;
            if let Some(made) = self.matcher(matcher)? {
                candidate.priority = made.priority(configured);
                candidate.matcher = Some(made);
            }
        }
        candidate.bypass = self.detour(&choosing.bypass, choosing.of)?;
        candidate.probe = self.probe(&node, &choosing).await?;
        candidate.options = choosing.options.clone();
        let wanted = Wanted {
            node: Same(node),
            probe: candidate.probe.as_ref().map(Same::from),
            filter: choosing.filter,
            matcher: choosing.matcher.cloned(),
            bypass: choosing.bypass,
            options: choosing.options,
        };
        Ok(Member { candidate, wanted })
    }

    async fn probe(
        &self,
        node: &Arc<Node>,
        choosing: &Choosing<'_>,
    ) -> Result<Option<Arc<Probe>>, Problem> {
        let Some(probe) = choosing.probe else {
            return Ok(None);
        };
        let Some(options) = probe_options(probe, choosing.of)? else {
            return Ok(None);
        };
        let wanted = (options.clone(), Same::from(node));
        let make = async {
            let sockets = node.sockets.clone();
            let sockets = sockets.unwrap_or_else(|| Arc::new(Sockets::default()));
            let (subject, marker) = (Subject::Node(node.clone()), node.marker.clone());
            Ok(Arc::new(Probe::start(options, subject, marker, sockets)))
        };
        let values = Values::new();
        let made = self.keeper.keep(choosing.place, wanted, &values, make);
        made.await.map(Some)
    }
}

/// What the choice of a node depends on.
struct Choosing<'a> {
    /// The place of the node.
    place: &'a str,
    /// Where it was written.
    of: &'a Place,
    filter: Option<config::NodeFilter>,
    matcher: Option<&'a config::Matcher>,
    probe: Option<&'a config::Probe>,
    bypass: BypassNames,
    options: ItemOptions,
}

/// What the nodes of a hop inherit.
pub(crate) struct Inherited {
    options: HopOptions,
    hosts: String,
    resolver: String,
}

/// What the nodes of a hop inherit.
pub(crate) fn inherited(hop: &config::Hop) -> Inherited {
    let mut options: HopOptions = read(&hop.metadata);
    options.interface = options.interface.or_else(|| text(&hop.interface));
    options.so_mark = options
        .so_mark
        .filter(|mark| *mark > 0)
        .or_else(|| mark(hop.sockopts.as_ref()));
    Inherited {
        options,
        hosts: hop.hosts.clone(),
        resolver: hop.resolver.clone(),
    }
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
