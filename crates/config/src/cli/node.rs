//! Node URLs: `[connector[+dialer]://][user[:password]@]host[:port][,host[:port]…][?…]`.

use std::sync::Arc;

use super::{
    build::Builder,
    credentials::credentials,
    lift,
    names::Kind,
    query::Query,
    scheme::Scheme,
    tls, typo,
    url::{self, with_scheme},
};
use crate::{Connector, Dialer, Hop, List, Node, Place, Severity};

/// Dialers and connectors that need no address.
const WITHOUT_ADDRESS: [&str; 2] = ["direct", "virtual"];

/// Dialers whose addresses have no port.
const WITHOUT_PORT: [&str; 6] = ["unix", "serial", "icmp", "icmp6", "direct", "virtual"];

/// Builds the hop of the `at`-th node URL.
pub(crate) fn hop(
    builder: &mut Builder<'_>,
    at: usize,
    text: &str,
    source: &Arc<str>,
) -> Result<Hop, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("empty -F value".to_owned());
    }
    if text.starts_with("://") {
        builder.error(source, "missing scheme before ://");
    }
    let url = url::parse(&with_scheme(text))?;
    if url.fragment {
        builder.warn(source, "what follows # is ignored");
    }
    let mut query = Query::parse(&url.query, source, &mut builder.problems);
    typo::check(&query, typo::Flag::Node, builder);
    let selector = lift::selector(&mut query, builder, source);
    let bypass = lift::bypass(&mut query, builder, source);
    let resolver = lift::resolver(&mut query, "", builder, source);
    let hosts = lift::hosts(&mut query, builder, source);
    lift::to_scope(&mut query, "interface", "hop");
    lift::number_to_scope(&mut query, "so_mark", "hop", builder);
    lift::number_to_scope(&mut query, "proxyProtocol", "hop", builder);
    // The copy of the hop is made before credentials and TLS parameters are taken out.
    let of_hop = split_hop(&mut query);

    let scheme = Scheme::new(&url.scheme);
    let (connector, dialer) = scheme.resolve((Kind::Connector, Kind::Dialer), builder, source);
    let auth = credentials(&url, &query, Place::flag(source, ""))?;
    query.remove(&["auth"]);
    let tls = tls::client(&mut query, &dialer, &url.host, builder, source);
    let [of_node, of_connector, of_dialer] = query.distribute(["node.", "connector.", "dialer."]);
    let on_dialer = matches!(dialer.as_str(), "ssh" | "sshd");
    let (connector_auth, dialer_auth) = if on_dialer {
        (None, auth)
    } else {
        (auth, None)
    };
    let is_path = scheme.is_path_based() && url.host.is_empty();
    let addrs = if is_path { &url.path } else { &url.host };
    if !is_path && !url.path.trim_matches('/').is_empty() {
        let message = format!(
            "the path is ignored in -F; did you mean ?path={}",
            url::printable(&url.path)
        );
        builder.warn(source, message);
    }
    let mut nodes = List::default();
    // Without an address it is an empty hop, not one of this name defined elsewhere.
    nodes.mark_given();
    for addr in addrs.split(',').filter(|addr| !addr.is_empty()) {
        check_address(builder, addr, &dialer, is_path, source);
        nodes.push(Node {
            name: format!("node-{}", nodes.len()),
            addr: addr.to_owned(),
            connector: Some(Connector {
                r#type: connector.clone(),
                auth: connector_auth.clone(),
                metadata: of_connector.values(),
                place: Place::flag(source, "connector"),
                ..Connector::default()
            }),
            dialer: Some(Dialer {
                r#type: dialer.clone(),
                auth: dialer_auth.clone(),
                tls: tls.clone(),
                metadata: of_dialer.values(),
                place: Place::flag(source, "dialer"),
            }),
            metadata: of_node.values(),
            place: Place::flag(source, "node"),
            ..Node::default()
        });
    }
    if nodes.is_empty()
        && !WITHOUT_ADDRESS.contains(&connector.as_str())
        && !WITHOUT_ADDRESS.contains(&dialer.as_str())
    {
        builder.error(source, "node without address: the chain would always fail");
    }
    Ok(Hop {
        name: format!("hop-{at}"),
        selector,
        bypass,
        resolver,
        hosts,
        nodes,
        metadata: of_hop.values(),
        place: Place::flag(source, "hop"),
        ..Hop::default()
    })
}

/// The parameters of the hop: what has its prefix, which is taken out, and what has none at all.
fn split_hop(query: &mut Query) -> Query {
    let [of_hop, _, _, _] = query.distribute(["hop.", "node.", "connector.", "dialer."]);
    query.items.retain(|item| !item.key.starts_with("hop."));
    of_hop
}

fn check_address(
    builder: &mut Builder<'_>,
    addr: &str,
    dialer: &str,
    is_path: bool,
    source: &Arc<str>,
) {
    if is_path || WITHOUT_PORT.contains(&dialer) {
        return;
    }
    match super::range::split(addr) {
        Some((_, port)) if port.parse::<u16>().is_ok() => {}
        Some((_, "")) | None => {
            let message = format!("node address {addr} lacks a port: every dial would fail");
            builder.say(Severity::Warning, source, "", message);
        }
        Some((_, port)) => {
            let message = format!("port {port} out of range");
            builder.error(source, message);
        }
    }
}
