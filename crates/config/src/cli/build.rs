//! From `-L` and `-F` to a configuration.

use std::sync::Arc;

use super::{names::Names, node, redact::redact, service};
use crate::{Chain, Config, List, Place, Problem, Severity};

/// What the building of one command line shares.
pub(crate) struct Builder<'a> {
    pub(crate) names: &'a Names,
    /// Prefix of target names in a worker process.
    pub(crate) target_prefix: String,
    pub(crate) config: Config,
    pub(crate) problems: Vec<Problem>,
}

/// The name that generated chains have.
pub(crate) const CHAIN: &str = "chain-0";

/// Builds the configuration that service and node URLs stand for.
///
/// `worker` is the value of `_GOST_ID`.
pub(crate) fn build(
    services: &[String],
    nodes: &[String],
    names: &Names,
    worker: Option<&str>,
) -> (Config, Vec<Problem>) {
    let mut builder = Builder {
        names,
        target_prefix: worker.map_or_else(String::new, |id| format!("go-{id}@")),
        config: Config::default(),
        problems: Vec::new(),
    };
    if !nodes.is_empty() {
        let mut hops = List::default();
        for (at, url) in nodes.iter().enumerate() {
            let source = source("-F", url);
            match node::hop(&mut builder, at, url, &source) {
                Ok(hop) => hops.push(hop),
                Err(message) => builder.unreadable(&source, message),
            }
        }
        builder.config.chains.push(Chain {
            name: CHAIN.to_owned(),
            hops,
            place: Place::flag(&"-F".into(), ""),
            ..Chain::default()
        });
    }
    let mut built = Vec::new();
    for url in services {
        let source = source("-L", url);
        if url.trim().is_empty() {
            builder.say(Severity::Error, &source, "", "empty -L value");
            continue;
        }
        match service::services(&mut builder, url.trim(), &source) {
            Ok(services) => built.extend(services),
            Err(message) => builder.unreadable(&source, message),
        }
    }
    for (at, service) in built.into_iter().enumerate() {
        service.finish(&mut builder, at, !nodes.is_empty());
    }
    (builder.config, builder.problems)
}

fn source(flag: &str, url: &str) -> Arc<str> {
    format!("{flag} {}", redact(url)).into()
}

impl Builder<'_> {
    pub(crate) fn say(
        &mut self,
        severity: Severity,
        source: &Arc<str>,
        key: &str,
        message: impl Into<String>,
    ) {
        self.problems
            .push(Problem::new(severity, &**source, key, message));
    }

    pub(crate) fn error(&mut self, source: &Arc<str>, message: impl Into<String>) {
        self.say(Severity::Error, source, "", message);
    }

    pub(crate) fn warn(&mut self, source: &Arc<str>, message: impl Into<String>) {
        self.say(Severity::Warning, source, "", message);
    }

    fn unreadable(&mut self, source: &Arc<str>, message: String) {
        self.say(Severity::Unreadable, source, "", message);
    }
}
