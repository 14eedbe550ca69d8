//! Parameters that are nearly, or elsewhere, something that the command line itself understands.
//!
//! What a component does not know is found out where components are built; this is about the
//! parameters that never reach one.

use gost_core::values::Value;

use super::{build::Builder, query::Query};
use crate::{Severity, suggest::nearest};

/// Which URL the parameters belong to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flag {
    /// `-L`
    Service,
    /// `-F`
    Node,
}

/// Understood by `-L` alone.
const OF_SERVICES: [&str; 8] = [
    "retries",
    "admission",
    "climiter",
    "rlimiter",
    "limiter.in",
    "limiter.out",
    "limiter.conn.in",
    "limiter.conn.out",
];

/// Understood by `-F` alone.
const OF_NODES: [&str; 4] = ["secure", "tls.secure", "serverName", "tls.serverName"];

/// Understood by both.
const OF_BOTH: [&str; 11] = [
    "bypass",
    "resolver",
    "interface",
    "proxyProtocol",
    "certFile",
    "keyFile",
    "caFile",
    "strategy",
    "maxFails",
    "failTimeout",
    "tls.certFile",
];

/// Prefixes that say which part of a service or node a parameter is for.
const SCOPES: [&str; 7] = [
    "service.",
    "handler.",
    "listener.",
    "hop.",
    "node.",
    "connector.",
    "dialer.",
];

/// Reports parameters that are in the wrong place or misspelt. What is reported counts as read, so
/// that it is not reported a second time.
pub(crate) fn check(query: &Query, flag: Flag, builder: &mut Builder<'_>) {
    let (known, foreign, word, other) = match flag {
        Flag::Service => (&OF_SERVICES[..], &OF_NODES[..], "-L", "-F"),
        Flag::Node => (&OF_NODES[..], &OF_SERVICES[..], "-F", "-L"),
    };
    for item in &query.items {
        let key = &item.key;
        let is = |name: &&str| name.eq_ignore_ascii_case(key);
        let message = if foreign.iter().any(is) {
            format!("has no meaning on {word}, only on {other}")
        } else if let Some(scope) = scope_in_other_case(key) {
            format!("unknown parameter; write the prefix as {scope}")
        } else if let Some(near) = misspelt(key, known)
            && matches!(item.value, Value::Text(_))
        {
            format!("unknown parameter; did you mean {near}?")
        } else {
            continue;
        };
        item.mark.read();
        let problem = query.problem(Severity::Warning, key, message);
        builder.problems.push(problem);
    }
}

fn scope_in_other_case(key: &str) -> Option<&'static str> {
    SCOPES.into_iter().find(|scope| {
        let head = key.get(..scope.len());
        head.is_some_and(|head| head != *scope && head.eq_ignore_ascii_case(scope))
    })
}

/// The structural parameter that a key is one slip away from. Short ones are too near to too much.
fn misspelt(key: &str, known: &[&'static str]) -> Option<&'static str> {
    let all = || known.iter().chain(&OF_BOTH).copied();
    if all().any(|name| name.eq_ignore_ascii_case(key)) {
        return None;
    }
    let near = nearest(key, all().filter(|name| name.len() >= 7))?;
    let is_slip = near.len().abs_diff(key.len()) <= 1 && crate::suggest::is_slip(key, near);
    is_slip.then_some(near)
}
