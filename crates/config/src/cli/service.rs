//! Service URLs: `[handler[+listener]://][user[:password]@][host][:port[-port]][/target,…][?…]`.

use std::sync::Arc;

use gost_core::values::Value;

use super::{
    build::{Builder, CHAIN},
    credentials::credentials,
    lift,
    names::{Kind, Names},
    query::Query,
    range::{self, expand},
    scheme::Scheme,
    tls, typo,
    url::{self, Url, cut_host, with_scheme},
};
use crate::{ForwardNode, Forwarder, Handler, List, Listener, Place, Service, Severity};

/// A service before it has a name and its components.
pub(crate) struct Draft {
    service: Service,
    /// The parameters of the handler, some of which stand for components.
    handler: Query,
    source: Arc<str>,
}

/// Listeners after which a service with targets takes its handler.
const FORWARDING: [&str; 10] = [
    "tcp", "udp", "rtcp", "rudp", "tun", "tap", "dns", "unix", "runix", "serial",
];

/// Listeners that never do TLS.
pub(crate) const PLAIN_LISTENERS: [&str; 13] = [
    "tcp", "udp", "ws", "mws", "mtcp", "redirect", "tproxy", "rtcp", "rudp", "unix", "runix",
    "serial", "stdio",
];

/// Builds the services of one URL: one for each port of a range.
pub(crate) fn services(
    builder: &mut Builder<'_>,
    text: &str,
    source: &Arc<str>,
) -> Result<Vec<Draft>, String> {
    let (host, remain) = cut_host(&with_scheme(text));
    if let Some((_, userinfo)) = remain.split_once("://")
        && userinfo
            .split('/')
            .next()
            .is_some_and(|u| u.contains('#') && u.contains('@'))
    {
        return Err("write # in the password as %23".to_owned());
    }
    let mut url = url::parse(&remain)?;
    url.host = host;
    let scheme_text = url.scheme.clone();
    let scheme = Scheme::new(&scheme_text);
    let (mut handler, listener) = scheme.resolve((Kind::Handler, Kind::Listener), builder, source);
    shape(builder, text, &url, source);

    let address = Address::of(&url, &scheme);
    let addrs = listen_addresses(builder, &address, &url, source);
    let targets = address.targets.as_str();
    // A handler that the original does not have knows what to do with targets, or says so.
    let takes_targets = handler == "relay" || !Names::default().has(Kind::Handler, &handler);
    let mut nodes = targets_of(builder, targets, source);
    if !nodes.is_empty() && !takes_targets {
        let forwarding = if FORWARDING.contains(&listener.as_str()) {
            listener.clone()
        } else {
            "forward".to_owned()
        };
        handler_replaced(builder, &handler, &forwarding, &scheme, targets, source);
        handler = forwarding;
    }
    if listener == "stdio" && nodes.is_empty() && !url.host.is_empty() {
        nodes.push(target(builder, 0, url.host.clone(), source));
        if handler == "auto" {
            "tcp".clone_into(&mut handler);
        }
    }
    lacking_ports(builder, &handler, &listener, &nodes, source);

    let mut query = Query::parse(&url.query, source, &mut builder.problems);
    typo::check(&query, typo::Flag::Service, builder);
    let auth = credentials(&url, &query, Place::flag(source, ""))?;
    query.remove(&["auth"]);
    let tls = tls::server(&mut query, &listener, builder, source);
    if let Some(item) = query.find(&["dns"])
        && let Value::Text(text) = &item.value
        && !text.is_empty()
    {
        let list = text.split(',').map(|t| Value::Text(t.to_owned())).collect();
        let mark = item.mark.clone();
        query.put("dns", Value::List(list), mark);
    }
    lift::to_scope(&mut query, "interface", "service");
    lift::number_to_scope(&mut query, "so_mark", "service", builder);
    lift::number_to_scope(&mut query, "proxyProtocol", "service", builder);
    lift::to_scope(&mut query, "netns", "service");
    lift::to_scope(&mut query, "netns.out", "service");
    let selector = lift::selector(&mut query, builder, source);
    if selector.is_some() && nodes.is_empty() {
        let message = "strategy, maxFails and failTimeout have no meaning without forward targets";
        builder.warn(source, message);
    }
    let [of_service, of_handler, of_listener] =
        query.distribute(["service.", "handler.", "listener."]);
    let on_listener = matches!(listener.as_str(), "ssh" | "sshd");
    let (handler_auth, listener_auth) = if on_listener {
        (None, auth)
    } else {
        (auth, None)
    };
    let forwarders = share_out(builder, addrs.len(), nodes, source);
    let drafts = addrs
        .into_iter()
        .zip(forwarders)
        .map(|(addr, nodes)| Draft {
            service: Service {
                addr,
                handler: Some(Handler {
                    r#type: handler.clone(),
                    auth: handler_auth.clone(),
                    place: Place::flag(source, "handler"),
                    ..Handler::default()
                }),
                listener: Some(Listener {
                    r#type: listener.clone(),
                    auth: listener_auth.clone(),
                    tls: tls.clone(),
                    metadata: of_listener.values(),
                    place: Place::flag(source, "listener"),
                    ..Listener::default()
                }),
                forwarder: nodes.map(|nodes| Forwarder {
                    selector: selector.clone(),
                    nodes,
                    place: Place::flag(source, "forwarder"),
                    ..Forwarder::default()
                }),
                metadata: of_service.values(),
                place: Place::flag(source, ""),
                ..Service::default()
            },
            handler: of_handler.clone(),
            source: source.clone(),
        });
    Ok(drafts.collect())
}

impl Draft {
    /// Names the service, attaches the chain, makes the components that its parameters stand for,
    /// and adds it to the configuration.
    pub(crate) fn finish(mut self, builder: &mut Builder<'_>, at: usize, has_chain: bool) {
        let (service, query, source) = (&mut self.service, &mut self.handler, &self.source);
        service.name = format!("service-{at}");
        let retries = query.positive(&["retries"], &mut builder.problems);
        if retries > 0 {
            query.remove(&["retries"]);
        }
        service.admission = lift::admission(query, builder, source);
        service.bypass = lift::bypass(query, builder, source);
        let prefer = query.text(&["prefer"]);
        service.resolver = lift::resolver(query, &prefer, builder, source);
        service.hosts = lift::hosts(query, builder, source);
        lift::limiters(query, service, builder, source);
        if let (Some(handler), Some(listener)) = (&mut service.handler, &mut service.listener) {
            handler.retries = retries;
            handler.metadata = query.values();
            if has_chain {
                let chain = if listener.is_remote() {
                    &mut listener.chain
                } else {
                    &mut handler.chain
                };
                CHAIN.clone_into(chain);
            }
        }
        builder.config.services.push(self.service);
    }
}

/// Where a service listens, and the targets as written.
struct Address {
    listen: String,
    targets: String,
    /// False for paths, which have no ports.
    has_port: bool,
}

impl Address {
    fn of(url: &Url, scheme: &Scheme<'_>) -> Self {
        let path = &url.path;
        let targets = path.trim_matches('/').to_owned();
        let (listen, targets, has_port) = if !scheme.is_path_based() {
            (url.host.clone(), targets, true)
        } else if url.host.is_empty() {
            (path.clone(), String::new(), false)
        } else if matches!(url.host.as_str(), "." | "..") {
            // A relative path, as the documentation writes it: ./app.sock/run/remote.sock.
            let mut parts = path.trim_start_matches('/').splitn(2, '/');
            let listen = format!("{}/{}", url.host, parts.next().unwrap_or_default());
            let target = parts.next().map_or_else(String::new, |t| format!("/{t}"));
            (listen, target, false)
        } else {
            (url.host.clone(), targets, true)
        };
        Self {
            listen,
            targets,
            has_port,
        }
    }
}

fn listen_addresses(
    builder: &mut Builder<'_>,
    address: &Address,
    url: &Url,
    source: &Arc<str>,
) -> Vec<String> {
    if !address.has_port {
        return vec![address.listen.clone()];
    }
    let expanded = expand(&address.listen);
    if let Some((severity, message)) = expanded.problem {
        let message = if url.path.contains('@') {
            "write / in the password as %2F: what stands before it is taken for host and port"
                .to_owned()
        } else if address.listen.contains('#') {
            "a # in the address has no meaning, and spoils the port".to_owned()
        } else {
            message
        };
        builder.say(severity, source, "", message);
    }
    expanded.addrs
}

/// Complains of texts that are URLs only by accident.
fn shape(builder: &mut Builder<'_>, text: &str, url: &Url, source: &Arc<str>) {
    if url.fragment {
        builder.warn(source, "what follows # is ignored");
    }
    if let Some(rest) = text.strip_prefix("//") {
        let message = format!("no scheme before //; did you mean http://{rest}?");
        builder.error(source, message);
    } else if !text.contains("://")
        && let Some((scheme, rest)) = text.split_once(":/")
        && Scheme::new(scheme).lower.chars().all(char::is_alphanumeric)
        && builder.names.has(Kind::Handler, Scheme::new(scheme).upper)
    {
        let message = format!("did you mean {scheme}://{rest}?");
        builder.error(source, message);
    }
    if url.host.contains(',') {
        builder.error(source, "-L takes one address; repeat -L for more");
    }
}

fn target(builder: &Builder<'_>, at: usize, addr: String, source: &Arc<str>) -> ForwardNode {
    ForwardNode {
        name: format!("{}target-{at}", builder.target_prefix),
        addr,
        place: Place::flag(source, "target"),
        ..ForwardNode::default()
    }
}

fn targets_of(builder: &mut Builder<'_>, targets: &str, source: &Arc<str>) -> Vec<ForwardNode> {
    let mut nodes = Vec::new();
    if targets.is_empty() {
        return nodes;
    }
    for piece in targets.split(',') {
        if piece.is_empty() {
            builder.say(Severity::Error, source, "target", "empty forward target");
        }
        let expanded = expand(piece);
        if let Some((severity, message)) = expanded.problem
            && !targets.contains('@')
        {
            let message = message.replace("a random port", "port 0");
            builder.say(severity, source, "target", message);
        }
        for addr in expanded.addrs {
            nodes.push(target(builder, nodes.len(), addr, source));
        }
    }
    nodes
}

fn handler_replaced(
    builder: &mut Builder<'_>,
    handler: &str,
    forwarding: &str,
    scheme: &Scheme<'_>,
    targets: &str,
    source: &Arc<str>,
) {
    let named = builder.names.has(Kind::Handler, scheme.upper);
    // Behind an @ stands half a password, which is reported without showing it.
    if named
        && !targets.contains('@')
        && handler != forwarding
        && !matches!(handler, "auto" | "forward" | "tcp" | "udp")
    {
        let targets = url::printable(targets);
        let message = format!(
            "a path is a forward target: this is a {forwarding} forward to {targets}, and the \
             {handler} handler is not used"
        );
        builder.warn(source, message);
    }
}

fn lacking_ports(
    builder: &mut Builder<'_>,
    handler: &str,
    listener: &str,
    nodes: &[ForwardNode],
    source: &Arc<str>,
) {
    if !matches!(handler, "tcp" | "udp" | "forward" | "rtcp" | "rudp") || listener == "dns" {
        return;
    }
    for node in nodes {
        let addr = &node.addr;
        if !addr.is_empty() && !addr.contains(['@', '/']) && range::split(addr).is_none() {
            let message = format!("forward target {addr} lacks a port");
            builder.say(Severity::Warning, source, "target", message);
        }
    }
}

/// Gives the targets to the services of a port range: all to one, one to all, or in pairs.
fn share_out(
    builder: &mut Builder<'_>,
    services: usize,
    nodes: Vec<ForwardNode>,
    source: &Arc<str>,
) -> Vec<Option<List<ForwardNode>>> {
    let given = nodes.len();
    if given == 0 {
        return vec![None; services];
    }
    if services == 1 || given == 1 {
        let nodes: List<_> = nodes.into_iter().collect();
        return vec![Some(nodes); services];
    }
    if given < services {
        let message = format!(
            "{services} listen ports but {given} targets: the last {} would have none",
            services - given
        );
        builder.error(source, message);
    } else if given > services {
        let message = format!(
            "{services} listen ports but {given} targets: {} would be dropped",
            given - services
        );
        builder.warn(source, message);
    }
    let mut shares: Vec<_> = nodes
        .into_iter()
        .map(|node| Some(std::iter::once(node).collect()))
        .collect();
    shares.resize(services, None);
    shares
}
