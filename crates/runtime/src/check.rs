//! What is wrong with a configuration that only the components can tell: types that do not exist,
//! options that do not fit, keys that nobody knows, sections that this version can't build.

use std::sync::Arc;

use gost_config::{
    Config, Connector, Dialer, ForwardNode, Forwarder, Handler, Hop, Kind, Listener, Names, Node,
    Place, Problem, Service, Structure, Tls, nearest,
};
use gost_core::{
    options::{KeyInfo, Options},
    registry::Registry,
    values::Values,
};
use gost_service::SessionOptions;

use crate::{
    binding,
    limits::{self, LimiterKeys},
    observing::{self, ObservingKeys, RecordKeys},
    options::{HopOptions, NodeOptions, ServiceOptions},
    users,
};

/// Everything wrong, without building anything.
pub(crate) fn check(config: &Config, registry: &Registry) -> Vec<Problem> {
    let mut check = Check {
        registry,
        problems: Vec::new(),
    };
    check.sections(config);
    limits::check(config, &mut check.problems);
    observing::check(config, &mut check.problems);
    users::check(config, &mut check.problems);
    binding::check(config, &mut check.problems);
    for service in &config.services {
        check.service(service);
    }
    for hop in config
        .hops
        .iter()
        .chain(config.chains.iter().flat_map(|chain| chain.hops.iter()))
    {
        check.hop(hop);
    }
    check.problems
}

/// Keys that no component read while everything was built. What a command line copied to several
/// places is said once.
pub(crate) fn unknown_keys(config: &Config, registry: &Registry) -> Vec<Problem> {
    let mut finder = UnreadKeys {
        known: known_keys(registry),
        found: Vec::new(),
    };
    config.visit(&mut finder);
    finder.found
}

/// Listeners that never do TLS.
const PLAIN: &[&str] = &[
    "tcp", "udp", "ws", "mws", "redirect", "tproxy", "rtcp", "rudp", "unix", "runix", "serial",
    "stdio",
];

/// Keys that refer to what protects a service or leads out of it.
const REFERENCES: &[&str] = &[
    "auther",
    "authers",
    "admission",
    "admissions",
    "bypass",
    "bypasses",
    "limiter",
    "climiter",
    "rlimiter",
    "quota",
    "quotas",
    "chain",
    "chainGroup",
];

/// Those of them that a command line turns into objects.
const LIFTED: &[&str] = &["admission", "bypass", "climiter", "rlimiter"];

struct Check<'a> {
    registry: &'a Registry,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn unsupported(&mut self, place: &Place, key: &str) {
        self.problems
            .push(place.error(key, "this version can't do this yet"));
    }

    /// Sections that nothing here can build are refused, never ignored.
    fn sections(&mut self, config: &Config) {
        macro_rules! refuse {
            ($($field:ident => $key:literal),*) => {$(
                for item in &config.$field {
                    self.problems.push(item.place.error("", concat!("this version has no ", $key, " yet")));
                }
            )*};
        }
        refuse!(caches => "caches");
        for limiter in config.climiters.iter().chain(&*config.rlimiters) {
            if limiter.plugin.is_some() {
                let what = "there are no plugins for limits of connections";
                self.problems.push(limiter.place.error("plugin", what));
            }
        }
        self.files(config.tls.as_ref());
        if let Some(api) = &config.api {
            self.unsupported(&api.place, "addr");
        }
        if let Some(metrics) = config
            .metrics
            .as_ref()
            .filter(|metrics| !metrics.addr.is_empty())
        {
            self.unsupported(&metrics.place, "addr");
        }
        if let Some(profiling) = &config.profiling {
            self.unsupported(&profiling.place, "addr");
        }
    }

    fn unsupported_keys(&mut self, place: &Place, keys: &[(bool, &str)]) {
        for (given, key) in keys {
            if *given {
                self.unsupported(place, key);
            }
        }
    }

    fn service(&mut self, service: &Service) {
        self.options::<ServiceOptions>(&service.metadata);
        self.stray_references(service);
        if !service.rewriter.trim().is_empty() {
            let what = "no handler changes bodies by it: ignored";
            self.problems.push(service.place.warning("rewriter", what));
        }
        let handler = service.handler.clone().unwrap_or_else(|| Handler {
            place: service.place.clone(),
            ..Handler::default()
        });
        let listener = service.listener.clone().unwrap_or_else(|| Listener {
            place: service.place.clone(),
            ..Listener::default()
        });
        self.options::<SessionOptions>(&handler.metadata);
        self.options::<LimiterKeys>(&handler.metadata);
        self.options::<ObservingKeys>(&handler.metadata);
        for object in &service.recorders {
            self.options::<RecordKeys>(&object.metadata);
        }
        self.component::<dyn gost_core::handler::Handler>(
            Kind::Handler,
            or(&handler.r#type, "auto"),
            &handler.place,
            &handler.metadata,
        );
        self.component::<dyn gost_core::listener::Listener>(
            Kind::Listener,
            or(&listener.r#type, "tcp"),
            &listener.place,
            &listener.metadata,
        );
        self.files(handler.tls.as_ref());
        self.files(listener.tls.as_ref());
        if let Some(tls) = &listener.tls
            && PLAIN.contains(&or(&listener.r#type, "tcp"))
            && [&tls.cert_file, &tls.key_file, &tls.ca_file]
                .iter()
                .any(|file| !file.is_empty())
        {
            let kind = or(&listener.r#type, "tcp");
            let message = format!("a {kind} listener does not use TLS");
            self.problems.push(listener.place.warning("tls", message));
        }
        if let Some(forwarder) = &service.forwarder {
            self.forwarder(forwarder);
        }
    }

    /// Metadata of a service that looks like the name of a policy or chain. Nothing reads it there,
    /// and whoever wrote it believes that it protects something.
    fn stray_references(&mut self, service: &Service) {
        let of_handler = service.handler.iter().map(|handler| &handler.metadata);
        let of_listener = service.listener.iter().map(|listener| &listener.metadata);
        let all = std::iter::once(&service.metadata);
        let mut said = Vec::new();
        for values in all.chain(of_handler).chain(of_listener) {
            for key in REFERENCES {
                let Some(entry) = values.find(key) else {
                    continue;
                };
                // On a command line some of them stand for objects, and leave copies behind.
                let is_lifted = LIFTED.contains(key) && entry.mark.is_read();
                if is_lifted || said.iter().any(|mark| Arc::ptr_eq(mark, &entry.mark)) {
                    continue;
                }
                entry.mark.read();
                said.push(entry.mark.clone());
                let message = "names nothing here: it is a key of the service, or of its handler or \
                               listener, in a configuration file";
                self.problems.push(Problem::new(
                    gost_config::Severity::Error,
                    entry.mark.to_string(),
                    entry.key.clone(),
                    message,
                ));
            }
        }
    }

    /// The files of certificates, all of which must be there.
    fn files(&mut self, tls: Option<&Tls>) {
        let Some(tls) = tls else { return };
        let files = [
            ("certFile", &tls.cert_file),
            ("keyFile", &tls.key_file),
            ("caFile", &tls.ca_file),
        ];
        for (key, file) in files {
            if !file.is_empty()
                && let Err(error) = std::fs::File::open(file)
            {
                let problem = tls.place.error(key, format!("{file}: {error}"));
                self.problems.push(problem);
            }
        }
    }

    fn forwarder(&mut self, forwarder: &Forwarder) {
        for node in &forwarder.nodes {
            self.forward_node(node);
        }
    }

    fn forward_node(&mut self, node: &ForwardNode) {
        self.options::<NodeOptions>(&node.metadata);
        // What only a sniffed HTTP request could obey.
        self.unsupported_keys(
            &node.place,
            &[(node.http.is_some(), "http"), (node.tls.is_some(), "tls")],
        );
    }

    fn hop(&mut self, hop: &Hop) {
        self.options::<HopOptions>(&hop.metadata);
        for node in &hop.nodes {
            self.node(node);
        }
    }

    fn node(&mut self, node: &Node) {
        self.options::<NodeOptions>(&node.metadata);
        let connector = node.connector.clone().unwrap_or_else(|| Connector {
            place: node.place.clone(),
            ..Connector::default()
        });
        let dialer = node.dialer.clone().unwrap_or_else(|| Dialer {
            place: node.place.clone(),
            ..Dialer::default()
        });
        self.component::<dyn gost_core::outbound::Connector>(
            Kind::Connector,
            or(&connector.r#type, "http"),
            &connector.place,
            &connector.metadata,
        );
        self.component::<dyn gost_core::outbound::Dialer>(
            Kind::Dialer,
            or(&dialer.r#type, "tcp"),
            &dialer.place,
            &dialer.metadata,
        );
        self.files(connector.tls.as_ref());
        self.files(dialer.tls.as_ref());
    }

    fn component<K: gost_core::registry::Kind + ?Sized>(
        &mut self,
        kind: Kind,
        name: &str,
        place: &Place,
        values: &Values,
    ) {
        if self.registry.has::<K>(name) {
            let errors = self.registry.check::<K>(name, values);
            self.problems.extend(errors.into_iter().map(|error| {
                Problem::new(
                    gost_config::Severity::Error,
                    error.place,
                    error.key,
                    format!("expected {}", error.expected),
                )
            }));
            return;
        }
        // Nobody can tell which of its keys are known: say only that the type is missing.
        for entry in values.iter() {
            entry.mark.read();
        }
        let word = kind.word();
        let lower = name.to_ascii_lowercase();
        let message = if lower != name && self.registry.has::<K>(&lower) {
            format!("unknown {word} {name:?}: type names are lower-case: {lower}")
        } else if name == "tproxy" && kind == Kind::Listener {
            format!("unknown {word} {name:?}: did you mean redirect with tproxy: true?")
        } else if Names::default().has(kind, name) {
            format!("this version has no {word} {name:?} yet")
        } else {
            let known = self.registry.names::<K>();
            let hint = nearest(name, known.iter().copied())
                .map(|near| format!("; did you mean {near:?}?"));
            format!("unknown {word} {name:?}{}", hint.unwrap_or_default())
        };
        self.problems.push(place.error("type", message));
    }

    fn options<O: Options>(&mut self, values: &Values) {
        let mut errors = Vec::new();
        O::read(values, &mut errors);
        self.problems.extend(errors.into_iter().map(|error| {
            Problem::new(
                gost_config::Severity::Error,
                error.place,
                error.key,
                format!("expected {}", error.expected),
            )
        }));
    }
}

/// The value, or a default where it is empty.
pub(crate) fn or<'a>(value: &'a str, default: &'a str) -> &'a str {
    let value = value.trim();
    if value.is_empty() { default } else { value }
}

fn known_keys(registry: &Registry) -> Vec<&'static str> {
    let own = [
        SessionOptions::table(),
        ServiceOptions::table(),
        NodeOptions::table(),
        ObservingKeys::table(),
        RecordKeys::table(),
    ];
    let components = registry.tables().into_values();
    let keys = |table: Vec<KeyInfo>| table.into_iter().flat_map(|key| key.keys.iter().copied());
    own.into_iter().chain(components).flat_map(keys).collect()
}

/// Beginnings of keys that the original knows and nothing here obeys yet: those of sniffing, of what
/// can only be done to sniffed requests, and of statistics.
const LATER: &[&str] = &["sniffing", "mitm.", "cache.", "http.keepalive"];

/// True for a key of the original that this version can't obey.
fn comes_later(key: &str) -> bool {
    LATER.iter().any(|begin| {
        key.get(..begin.len())
            .is_some_and(|given| given.eq_ignore_ascii_case(begin))
    })
}

struct UnreadKeys {
    known: Vec<&'static str>,
    found: Vec<Problem>,
}

impl gost_config::Visitor for UnreadKeys {
    fn metadata(&mut self, values: &Values) {
        for entry in values.iter().filter(|entry| !entry.mark.is_read()) {
            entry.mark.read();
            let message = if comes_later(&entry.key) {
                "this version can't do this yet: ignored".to_owned()
            } else if self
                .known
                .iter()
                .any(|key| key.eq_ignore_ascii_case(&entry.key))
            {
                "unknown key here; only other components have it".to_owned()
            } else {
                let hint = nearest(&entry.key, self.known.iter().copied())
                    .map(|near| format!("; did you mean {near:?}?"));
                format!("unknown key{}", hint.unwrap_or_default())
            };
            self.found.push(Problem::new(
                gost_config::Severity::Warning,
                entry.mark.to_string(),
                entry.key.clone(),
                message,
            ));
        }
    }
}
