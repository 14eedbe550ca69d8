//! Names: every object has one, none is taken twice, and every reference leads somewhere.

use std::collections::{HashMap, HashSet};

use crate::{
    Config, ForwardNode, Handler, Hop, HttpNode, List, Listener, Node, Place, Problem, Service,
    schema::Structure, suggest::did_you_mean,
};

pub(super) fn check(config: &Config, problems: &mut Vec<Problem>) {
    let names = Known::of(config, problems);
    let mut check = References {
        names: &names,
        problems,
    };
    for service in &config.services {
        check.service(service);
    }
    for chain in &config.chains {
        for hop in &chain.hops {
            if hop.is_reference() {
                check.one("hop", &names.hops, &hop.place, "name", &hop.name);
            } else {
                check.hop(hop);
            }
        }
    }
    for hop in &config.hops {
        check.hop(hop);
    }
    for resolver in &config.resolvers {
        for server in &resolver.nameservers {
            check.one(
                "chain",
                &names.chains,
                &server.place,
                "chain",
                &server.chain,
            );
        }
    }
    if let Some(api) = &config.api {
        check.one("auther", &names.authers, &api.place, "auther", &api.auther);
    }
    if let Some(metrics) = &config.metrics {
        check.one(
            "auther",
            &names.authers,
            &metrics.place,
            "auther",
            &metrics.auther,
        );
    }
}

type Names<'a> = HashSet<&'a str>;

/// The names of each section.
struct Known<'a> {
    chains: Names<'a>,
    hops: Names<'a>,
    authers: Names<'a>,
    admissions: Names<'a>,
    bypasses: Names<'a>,
    resolvers: Names<'a>,
    hosts: Names<'a>,
    recorders: Names<'a>,
    rewriters: Names<'a>,
    caches: Names<'a>,
    limiters: Names<'a>,
    quotas: Names<'a>,
    climiters: Names<'a>,
    rlimiters: Names<'a>,
    observers: Names<'a>,
    loggers: Names<'a>,
}

impl<'a> Known<'a> {
    /// Collects the names, and reports those that are missing or taken.
    fn of(config: &'a Config, problems: &mut Vec<Problem>) -> Self {
        macro_rules! names {
            ($section:ident) => {{
                let named = config
                    .$section
                    .iter()
                    .map(|item| (&*item.name, item.place()));
                collect(stringify!($section), named, problems)
            }};
        }
        for unreferenced in [
            names!(services),
            names!(ingresses),
            names!(routers),
            names!(sds),
        ] {
            drop(unreferenced);
        }
        Self {
            chains: names!(chains),
            hops: names!(hops),
            authers: names!(authers),
            admissions: names!(admissions),
            bypasses: names!(bypasses),
            resolvers: names!(resolvers),
            hosts: names!(hosts),
            recorders: names!(recorders),
            rewriters: names!(rewriters),
            caches: names!(caches),
            limiters: names!(limiters),
            quotas: names!(quotas),
            climiters: names!(climiters),
            rlimiters: names!(rlimiters),
            observers: names!(observers),
            loggers: names!(loggers),
        }
    }
}

fn collect<'a>(
    section: &str,
    named: impl Iterator<Item = (&'a str, &'a Place)>,
    problems: &mut Vec<Problem>,
) -> Names<'a> {
    let mut first: HashMap<&str, &Place> = HashMap::new();
    for (name, place) in named {
        if name.is_empty() {
            let message = match section {
                "services" => "has no name",
                _ => "has no name, so nothing can refer to it",
            };
            problems.push(place.error("", message));
        } else if let Some(taken) = first.get(name) {
            let message = format!("two {section} named {name}; the other is at {taken}");
            problems.push(place.error("name", message));
        } else {
            first.insert(name, place);
        }
    }
    first.into_keys().collect()
}

struct References<'a> {
    names: &'a Known<'a>,
    problems: &'a mut Vec<Problem>,
}

impl References<'_> {
    /// Checks a reference; empty ones are none.
    fn one(&mut self, what: &str, names: &Names<'_>, place: &Place, key: &str, name: &str) {
        let name = name.trim();
        if name.is_empty() || names.contains(name) {
            return;
        }
        let hint = did_you_mean(name, names.iter().copied());
        let message = format!("no {what} {name:?}{hint}");
        // The original logs elsewhere without a word; nothing is let through by it.
        self.problems.push(match what {
            "logger" => place.warning(key, message),
            _ => place.error(key, message),
        });
    }

    fn many(
        &mut self,
        what: &str,
        names: &Names<'_>,
        place: &Place,
        keys: (&str, &str),
        (name, list): (&str, &[String]),
    ) {
        self.one(what, names, place, keys.0, name);
        for (at, name) in list.iter().enumerate() {
            self.one(what, names, place, &format!("{}[{at}]", keys.1), name);
        }
    }

    fn bypasses(&mut self, place: &Place, name: &str, list: &[String]) {
        let names = &self.names.bypasses;
        self.many("bypass", names, place, ("bypass", "bypasses"), (name, list));
    }

    fn service(&mut self, service: &Service) {
        let (names, place) = (self.names, &service.place);
        let pairs = (service.admission.as_str(), service.admissions.as_slice());
        let keys = ("admission", "admissions");
        self.many("admission", &names.admissions, place, keys, pairs);
        self.bypasses(place, &service.bypass, &service.bypasses);
        let pairs = (service.logger.as_str(), service.loggers.as_slice());
        self.many(
            "logger",
            &names.loggers,
            place,
            ("logger", "loggers"),
            pairs,
        );
        let pairs = ("", service.quotas.as_slice());
        self.many("quota", &names.quotas, place, ("", "quotas"), pairs);
        for (what, names, key, name) in [
            ("resolver", &names.resolvers, "resolver", &service.resolver),
            ("host table", &names.hosts, "hosts", &service.hosts),
            ("limiter", &names.limiters, "limiter", &service.limiter),
            ("climiter", &names.climiters, "climiter", &service.climiter),
            ("rlimiter", &names.rlimiters, "rlimiter", &service.rlimiter),
            ("observer", &names.observers, "observer", &service.observer),
            ("rewriter", &names.rewriters, "rewriter", &service.rewriter),
            ("cache", &names.caches, "cache", &service.cache),
        ] {
            self.one(what, names, place, key, name);
        }
        for object in &service.recorders {
            self.one(
                "recorder",
                &names.recorders,
                &object.place,
                "name",
                &object.name,
            );
        }
        if let Some(handler) = &service.handler {
            self.handler(handler);
        }
        if let Some(listener) = &service.listener {
            self.listener(listener);
        }
        if let Some(forwarder) = &service.forwarder {
            let place = &forwarder.place;
            let (key, name) = if forwarder.hop.is_empty() {
                ("name", &forwarder.name)
            } else {
                ("hop", &forwarder.hop)
            };
            self.one("hop", &names.hops, place, key, name);
            if key == "name" && !name.is_empty() && !forwarder.nodes.is_empty() {
                let message = "name stands for hop, and makes the nodes here unused";
                self.problems.push(place.warning("name", message));
            }
            let group = forwarder.hop_group.iter().flat_map(|group| &group.hops);
            for entry in group {
                self.one("hop", &names.hops, &entry.place, "hop", &entry.hop);
                self.skipped(&entry.place, "hop", &entry.hop);
            }
            for node in &forwarder.nodes {
                self.target(node);
            }
        }
    }

    fn handler(&mut self, handler: &Handler) {
        let (names, place) = (self.names, &handler.place);
        self.one("chain", &names.chains, place, "chain", &handler.chain);
        self.group(handler.chain_group.as_ref());
        let pairs = (handler.auther.as_str(), handler.authers.as_slice());
        self.many(
            "auther",
            &names.authers,
            place,
            ("auther", "authers"),
            pairs,
        );
        self.one(
            "limiter",
            &names.limiters,
            place,
            "limiter",
            &handler.limiter,
        );
        self.one(
            "observer",
            &names.observers,
            place,
            "observer",
            &handler.observer,
        );
    }

    fn listener(&mut self, listener: &Listener) {
        let (names, place) = (self.names, &listener.place);
        self.one("chain", &names.chains, place, "chain", &listener.chain);
        self.group(listener.chain_group.as_ref());
        let pairs = (listener.auther.as_str(), listener.authers.as_slice());
        self.many(
            "auther",
            &names.authers,
            place,
            ("auther", "authers"),
            pairs,
        );
    }

    fn group(&mut self, group: Option<&crate::ChainGroup>) {
        for entry in group.into_iter().flat_map(|group| &group.chains) {
            let chains = &self.names.chains;
            self.one("chain", chains, &entry.place, "chain", &entry.chain);
            self.skipped(&entry.place, "chain", &entry.chain);
        }
    }

    /// Warns about an entry of a group that names nothing.
    fn skipped(&mut self, place: &Place, key: &str, name: &str) {
        if name.is_empty() {
            self.problems.push(place.warning(key, "is empty; skipped"));
        }
    }

    fn target(&mut self, node: &ForwardNode) {
        self.bypasses(&node.place, &node.bypass, &node.bypasses);
        self.rewrites(node.http.as_ref());
    }

    fn hop(&mut self, hop: &Hop) {
        let (names, place) = (self.names, &hop.place);
        self.bypasses(place, &hop.bypass, &hop.bypasses);
        self.one(
            "resolver",
            &names.resolvers,
            place,
            "resolver",
            &hop.resolver,
        );
        self.one("host table", &names.hosts, place, "hosts", &hop.hosts);
        for node in &hop.nodes {
            self.node(node);
        }
    }

    fn node(&mut self, node: &Node) {
        let (names, place) = (self.names, &node.place);
        self.bypasses(place, &node.bypass, &node.bypasses);
        self.one(
            "resolver",
            &names.resolvers,
            place,
            "resolver",
            &node.resolver,
        );
        self.one("host table", &names.hosts, place, "hosts", &node.hosts);
        self.rewrites(node.http.as_ref());
    }

    fn rewrites(&mut self, http: Option<&HttpNode>) {
        let Some(http) = http else { return };
        let lists: [&List<_>; 3] = [
            &http.rewrite_body,
            &http.rewrite_request_body,
            &http.rewrite_response_body,
        ];
        for rewrite in lists.into_iter().flatten() {
            let names = &self.names.rewriters;
            self.one(
                "rewriter",
                names,
                &rewrite.place,
                "rewriter",
                &rewrite.rewriter,
            );
        }
    }
}
