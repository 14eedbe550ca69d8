//! Parameters that stand for components: `bypass=…` makes a bypass, `climiter=…` a limiter.

use std::sync::Arc;

use gost_core::values::{FromValue as _, Value};

use super::{build::Builder, query::Query};
use crate::{
    Admission, Bypass, HostMapping, Hosts, Limiter, List, Nameserver, Nanos, Place, Resolver,
    Selector, Service, Severity,
};

/// The strategies of selectors.
pub(crate) const STRATEGIES: [&str; 11] = [
    "round",
    "rr",
    "random",
    "rand",
    "fifo",
    "ha",
    "hash",
    "parallel",
    "lowestlatency",
    "lowest",
    "ll",
];

/// Takes the selector out of the parameters; none when no key asks for one.
pub(crate) fn selector(
    query: &mut Query,
    builder: &mut Builder<'_>,
    source: &Arc<str>,
) -> Option<Selector> {
    let problems = &mut builder.problems;
    let strategy = query.text(&["strategy"]);
    let max_fails = query.positive(&["maxFails", "max_fails"], problems);
    let fail_timeout = query.duration(&["failTimeout", "fail_timeout"], problems);
    if strategy.is_empty() && max_fails == 0 && fail_timeout.0 <= 0 {
        return None;
    }
    query.remove(&[
        "strategy",
        "maxFails",
        "max_fails",
        "failTimeout",
        "fail_timeout",
    ]);
    Some(Selector {
        strategy: if strategy.is_empty() {
            "round".to_owned()
        } else {
            strategy
        },
        max_fails: max_fails.max(1),
        fail_timeout: if fail_timeout.0 > 0 {
            fail_timeout
        } else {
            Nanos(30_000_000_000)
        },
        max_latency: Nanos(0),
        place: Place::flag(source, ""),
    })
}

/// The list of a bypass or admission: whether it is a whitelist, and its items.
fn items(text: &str) -> (bool, Vec<String>) {
    let (whitelist, text) = match text.strip_prefix('~') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let items = text.split(',').filter(|item| !item.is_empty());
    (whitelist, items.map(str::to_owned).collect())
}

/// Lifts a bypass; gives its name.
pub(crate) fn bypass(query: &mut Query, builder: &mut Builder<'_>, source: &Arc<str>) -> String {
    let text = query.text(&["bypass"]);
    if text.is_empty() {
        return String::new();
    }
    query.remove(&["bypass"]);
    let (whitelist, matchers) = items(&text);
    builder.empty_list("bypass", whitelist, &matchers, source);
    let name = format!("bypass-{}", builder.config.bypasses.len());
    builder.config.bypasses.push(Bypass {
        name: name.clone(),
        whitelist,
        matchers,
        place: Place::flag(source, "bypass"),
        ..Bypass::default()
    });
    name
}

/// Lifts an admission; gives its name.
pub(crate) fn admission(query: &mut Query, builder: &mut Builder<'_>, source: &Arc<str>) -> String {
    let text = query.text(&["admission"]);
    if text.is_empty() {
        return String::new();
    }
    query.remove(&["admission"]);
    let (whitelist, matchers) = items(&text);
    builder.empty_list("admission", whitelist, &matchers, source);
    let name = format!("admission-{}", builder.config.admissions.len());
    builder.config.admissions.push(Admission {
        name: name.clone(),
        whitelist,
        matchers,
        place: Place::flag(source, "admission"),
        ..Admission::default()
    });
    name
}

/// Lifts a resolver, whose servers prefer what `prefer` says; gives its name.
pub(crate) fn resolver(
    query: &mut Query,
    prefer: &str,
    builder: &mut Builder<'_>,
    source: &Arc<str>,
) -> String {
    let text = query.text(&["resolver"]);
    if text.is_empty() {
        return String::new();
    }
    query.remove(&["resolver"]);
    let name = format!("resolver-{}", builder.config.resolvers.len());
    let mut nameservers = List::default();
    for addr in text.split(',').filter(|addr| !addr.is_empty()) {
        nameservers.push(Nameserver {
            addr: addr.to_owned(),
            prefer: prefer.to_owned(),
            place: Place::flag(source, "resolver"),
            ..Nameserver::default()
        });
    }
    builder.config.resolvers.push(Resolver {
        name: name.clone(),
        nameservers,
        place: Place::flag(source, "resolver"),
        ..Resolver::default()
    });
    name
}

/// Lifts a host table; gives its name.
pub(crate) fn hosts(query: &mut Query, builder: &mut Builder<'_>, source: &Arc<str>) -> String {
    let text = query.text(&["hosts"]);
    if text.is_empty() {
        return String::new();
    }
    query.remove(&["hosts"]);
    let name = format!("hosts-{}", builder.config.hosts.len());
    let mut mappings = List::default();
    for item in text.split(',') {
        let Some((hostname, ip)) = item.split_once(':') else {
            let message = format!("{item:?} lacks :ip");
            builder.say(Severity::Error, source, "hosts", message);
            continue;
        };
        mappings.push(HostMapping {
            ip: ip.to_owned(),
            hostname: hostname.to_owned(),
            place: Place::flag(source, "hosts"),
            ..HostMapping::default()
        });
    }
    builder.config.hosts.push(Hosts {
        name: name.clone(),
        mappings,
        place: Place::flag(source, "hosts"),
        ..Hosts::default()
    });
    name
}

/// Lifts the three kinds of limiters into a service.
pub(crate) fn limiters(
    query: &mut Query,
    service: &mut Service,
    builder: &mut Builder<'_>,
    source: &Arc<str>,
) {
    let limiter = |name: String, limits: Vec<String>, key: &str| Limiter {
        name,
        limits,
        place: Place::flag(source, key),
        ..Limiter::default()
    };
    let mut limits = Vec::new();
    for (scope, keys) in [
        ("$", ["limiter.in", "limiter.out"]),
        ("$$", ["limiter.conn.in", "limiter.conn.out"]),
    ] {
        let [input, output] = keys.map(|key| query.text(&[key]));
        if input.is_empty() && !output.is_empty() {
            // Blanks collapse when the line is read: the first value must not be empty.
            limits.push(format!("{scope} 0B {output}"));
        } else if !input.is_empty() {
            limits.push(format!("{scope} {input} {output}"));
        }
        if !limits.is_empty() {
            query.remove(&keys);
        }
    }
    let config = &mut builder.config;
    if !limits.is_empty() {
        query.remove(&["limiter.in", "limiter.out"]);
        service.limiter = format!("limiter-{}", config.limiters.len());
        let name = service.limiter.clone();
        config.limiters.push(limiter(name, limits, "limiter"));
    }
    let connections = query.positive(&["climiter"], &mut builder.problems);
    if connections > 0 {
        query.remove(&["climiter"]);
        service.climiter = format!("climiter-{}", config.climiters.len());
        let (name, limit) = (service.climiter.clone(), format!("$ {connections}"));
        config
            .climiters
            .push(limiter(name, vec![limit], "climiter"));
    }
    let requests = rate(query, builder, source);
    let config = &mut builder.config;
    if requests > 0.0 {
        query.remove(&["rlimiter"]);
        service.rlimiter = format!("rlimiter-{}", config.rlimiters.len());
        let limit = if requests.is_infinite() {
            "$ +Inf".to_owned()
        } else {
            format!("$ {requests}")
        };
        let name = service.rlimiter.clone();
        config
            .rlimiters
            .push(limiter(name, vec![limit], "rlimiter"));
    }
}

fn rate(query: &Query, builder: &mut Builder<'_>, source: &Arc<str>) -> f64 {
    let Some(item) = query.find(&["rlimiter"]) else {
        return 0.0;
    };
    let text = String::from_value(&item.value).unwrap_or_default();
    if text.is_empty() {
        return 0.0;
    }
    let Ok(rate) = text.parse::<f64>() else {
        let message = format!("not a number: {text}; no limit would apply");
        builder.say(Severity::Error, source, "rlimiter", message);
        return 0.0;
    };
    if !rate.is_finite() {
        let message = "not a finite number; no limit would apply";
        builder.say(Severity::Error, source, "rlimiter", message);
    }
    rate
}

/// Moves a parameter to one scope, when it has a value that counts.
pub(crate) fn to_scope(query: &mut Query, key: &str, scope: &str) {
    if let Some(item) = query.find(&[key])
        && matches!(&item.value, Value::Text(text) if !text.is_empty())
    {
        let (value, mark) = (item.value.clone(), item.mark.clone());
        query.remove(&[key]);
        query.put(&format!("{scope}.{key}"), value, mark);
    }
}

/// The same for a whole number above 0, which it becomes.
pub(crate) fn number_to_scope(
    query: &mut Query,
    key: &str,
    scope: &str,
    builder: &mut Builder<'_>,
) {
    let number = query.positive(&[key], &mut builder.problems);
    if number > 0
        && let Some(mark) = query.find(&[key]).map(|item| item.mark.clone())
    {
        query.remove(&[key]);
        query.put(&format!("{scope}.{key}"), Value::Int(number.into()), mark);
    }
}

impl Builder<'_> {
    fn empty_list(&mut self, key: &str, whitelist: bool, items: &[String], source: &Arc<str>) {
        if items.is_empty() {
            let message = if whitelist {
                "empty whitelist"
            } else {
                "empty list"
            };
            self.say(Severity::Warning, source, key, message);
        }
    }
}
