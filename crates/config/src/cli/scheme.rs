//! The scheme of a URL: `handler+listener` for a service, `connector+dialer` for a node.

use std::sync::Arc;

use super::{
    build::Builder,
    names::{Kind, Names},
};
use crate::suggest::{did_you_mean, nearest};

/// A scheme taken apart.
pub(crate) struct Scheme<'a> {
    /// The scheme.
    pub(crate) text: &'a str,
    /// Handler or connector as written; empty when there are more than two parts.
    pub(crate) upper: &'a str,
    /// Listener or dialer as written.
    pub(crate) lower: &'a str,
}

/// Schemes that mean the default parts without saying so.
const NEUTRAL: [&str; 1] = ["auto"];

/// Path-based protocols: the address is a path.
const PATH_BASED: [&str; 3] = ["unix", "runix", "serial"];

impl<'a> Scheme<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let (upper, lower) = match text.split_once('+') {
            None => (text, text),
            Some((_, lower)) if lower.contains('+') => ("", ""),
            Some((upper, lower)) => (upper, lower),
        };
        Self { text, upper, lower }
    }

    /// True when any part is a path-based protocol.
    pub(crate) fn is_path_based(&self) -> bool {
        self.text.split('+').any(|part| PATH_BASED.contains(&part))
    }

    /// Handler and listener, or connector and dialer, with the defaults for unknown names; what is
    /// unknown is reported, for the fallback is never what was meant.
    pub(crate) fn resolve(
        &self,
        kinds: (Kind, Kind),
        builder: &mut Builder<'_>,
        source: &Arc<str>,
    ) -> (String, String) {
        let names = builder.names;
        let known = (
            names.has(kinds.0, self.upper),
            names.has(kinds.1, self.lower),
        );
        let (upper, lower) = match kinds.0 {
            Kind::Handler => ("auto", "tcp"),
            _ => ("http", "tcp"),
        };
        let upper = if known.0 { self.upper } else { upper };
        let lower = match lower {
            _ if known.1 => self.lower,
            _ if upper == "ssu" => "udp",
            lower => lower,
        };
        for message in self.unknown(kinds, known, (upper, lower), names) {
            builder.error(source, message);
        }
        (upper.to_owned(), lower.to_owned())
    }

    fn unknown(
        &self,
        kinds: (Kind, Kind),
        known: (bool, bool),
        fallback: (&str, &str),
        names: &Names,
    ) -> Vec<String> {
        let (flag, plain) = match kinds.0 {
            Kind::Handler => ("-L", "the service would listen in plain text"),
            _ => ("-F", "the node would be dialled in plain text"),
        };
        if self.upper.is_empty() && self.text.matches('+').count() > 1 {
            return vec![format!(
                "at most one + in a scheme: nothing of {} is known",
                self.text
            )];
        }
        if !self.text.contains('+') {
            if known.0 || known.1 || NEUTRAL.contains(&self.text) {
                return Vec::new();
            }
            let elsewhere = [Kind::Handler, Kind::Listener, Kind::Connector, Kind::Dialer]
                .iter()
                .any(|kind| names.has(*kind, self.text));
            return vec![if elsewhere {
                format!("{} cannot be used in {flag}: {plain}", self.text)
            } else {
                let all = names.of(kinds.0).chain(names.of(kinds.1));
                let near = did_you_mean(self.text, all);
                format!("unknown scheme {:?}{near}", self.text)
            }];
        }
        let mut messages = Vec::new();
        if !known.0 && !NEUTRAL.contains(&self.upper) {
            let word = kinds.0.word();
            messages.push(match (self.upper, secure(self.lower)) {
                ("tls", Some(secure)) => format!(
                    "tls is no {word}, and {} is plain text: use {}+{secure}",
                    self.lower, fallback.0
                ),
                (upper, _) => format!(
                    "unknown {word} {upper:?}{}; {} would be used",
                    did_you_mean(upper, names.of(kinds.0)),
                    fallback.0
                ),
            });
        }
        if !known.1 {
            let near = nearest(self.lower, names.of(kinds.1));
            let near = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
            let word = kinds.1.word();
            messages.push(format!("unknown {word} {:?}: {plain}{near}", self.lower));
        }
        messages
    }
}

/// The channel with TLS that a plain one corresponds to.
pub(crate) fn secure(plain: &str) -> Option<&'static str> {
    Some(match plain {
        "tcp" => "tls",
        "ws" => "wss",
        "mws" => "mwss",
        "mtcp" => "mtls",
        "h2c" => "h2",
        "pht" => "phts",
        "ohttp" => "ohttps",
        _ => return None,
    })
}
