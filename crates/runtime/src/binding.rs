//! Whether the nodes at the end of a chain can listen for a service.

use std::collections::HashMap;

use gost_config::{Config, Hop, Node, Problem, Service};

use crate::{
    builder::read, check::or, options::ServiceOptions, routers::Way, services::listener_config,
};

/// Connectors whose protocols have no words to ask for it.
const MUTE: &[&str] = &[
    "forward", "http", "http2", "serial", "sni", "socks4", "socks4a", "ss", "tcp", "unix",
];

/// Services that could never listen, since no node at the end of their chain can be asked to.
pub(crate) fn check(config: &Config, problems: &mut Vec<Problem>) {
    let hops: HashMap<_, _> = config.hops.iter().map(|hop| (&*hop.name, hop)).collect();
    let ends: HashMap<_, _> = config
        .chains
        .iter()
        .filter_map(|chain| {
            let last = chain.hops.last()?;
            let named = || hops.get(&*last.name).copied();
            let hop = if last.is_reference() { named()? } else { last };
            Some((&*chain.name, hop))
        })
        .collect();
    for service in &config.services {
        let listener = listener_config(service);
        let Some(way) = Way::of_listener(service.listener.as_ref()) else {
            continue;
        };
        let options: ServiceOptions = read(&service.metadata);
        if listener.is_remote() && !options.ignore_chain {
            let hops = way.names().filter_map(|name| ends.get(name.as_str()));
            problems.extend(hops.filter_map(|hop| mute(service, &listener.r#type, hop)));
        }
    }
}

/// What is wrong with the last hop of a chain, if no node of it can listen.
fn mute(service: &Service, kind: &str, hop: &Hop) -> Option<Problem> {
    let is_loaded = hop.file.is_some() || hop.redis.is_some() || hop.http.is_some();
    let connector = |node: &Node| {
        let given = node.connector.as_ref().map_or("", |c| &*c.r#type);
        or(given, "http").to_owned()
    };
    let can = |node| !MUTE.contains(&&*connector(node));
    if is_loaded || hop.plugin.is_some() || hop.nodes.iter().any(can) {
        return None;
    }
    let node = hop.nodes.first()?;
    let (first, name) = (connector(node), &service.name);
    let what = format!("{first} can't listen for {kind} of service {name}: relay and socks5 can");
    let place = node.connector.as_ref().map_or(&node.place, |c| &c.place);
    Some(place.error("type", what))
}
