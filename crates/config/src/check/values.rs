//! Values with a grammar of their own: limits, networks, strategies, levels, certificates.

use std::net::IpAddr;

use gost_core::size::Size;

use crate::{
    Chain, Config, Limiter, Log, Place, Problem, Selector, Tls, cli::STRATEGIES,
    suggest::did_you_mean,
};

const LEVELS: [&str; 6] = ["trace", "debug", "info", "warn", "error", "fatal"];

pub(super) fn check(config: &Config, problems: &mut Vec<Problem>) {
    for log in config
        .log
        .iter()
        .chain(config.loggers.iter().flat_map(|l| &l.log))
    {
        check_log(log, problems);
    }
    for limiter in &config.limiters {
        limits(limiter, traffic, problems);
    }
    for limiter in &config.climiters {
        limits(limiter, connections, problems);
    }
    for limiter in &config.rlimiters {
        limits(limiter, requests, problems);
    }
    for admission in &config.admissions {
        networks(&admission.place, &admission.matchers, problems);
    }
    for bypass in &config.bypasses {
        networks(&bypass.place, &bypass.matchers, problems);
    }
    for mapping in config.hosts.iter().flat_map(|hosts| &hosts.mappings) {
        if mapping.ip.parse::<IpAddr>().is_err() {
            let message = format!("{:?} is not an IP address", mapping.ip);
            problems.push(mapping.place.error("ip", message));
        }
    }
    for quota in &config.quotas {
        let limit = quota.limit.trim();
        match size(limit) {
            _ if limit.is_empty() => {}
            Ok(None) => {}
            Ok(Some(warning)) => problems.push(quota.place.warning("limit", warning)),
            Err(message) => problems.push(quota.place.error("limit", message)),
        }
        let direction = quota.direction.trim().to_ascii_lowercase();
        if !["", "in", "out", "total"].contains(&direction.as_str()) {
            let message = format!("unknown {:?}: in, out or total", quota.direction);
            problems.push(quota.place.error("direction", message));
        }
    }
    if let Some(tls) = &config.tls {
        certificate(tls, problems);
        if !tls.ca_file.is_empty() && tls.cert_file.is_empty() && tls.key_file.is_empty() {
            let message = "caFile without certFile and keyFile";
            problems.push(tls.place.error("caFile", message));
        }
    }
    each_part(config, problems);
}

/// Selectors and certificates, wherever they stand.
fn each_part(config: &Config, problems: &mut Vec<Problem>) {
    let mut selectors: Vec<&Selector> = Vec::new();
    for service in &config.services {
        let handler = service.handler.as_ref();
        let listener = service.listener.as_ref();
        let of_handler = handler.and_then(|handler| handler.tls.as_ref());
        let of_listener = listener.and_then(|listener| listener.tls.as_ref());
        for tls in [of_handler, of_listener].into_iter().flatten() {
            certificate(tls, problems);
        }
        let groups = [
            handler.and_then(|handler| handler.chain_group.as_ref()),
            listener.and_then(|listener| listener.chain_group.as_ref()),
        ];
        selectors.extend(
            groups
                .into_iter()
                .flatten()
                .filter_map(|g| g.selector.as_ref()),
        );
        if let Some(forwarder) = &service.forwarder {
            selectors.extend(&forwarder.selector);
            let group = forwarder.hop_group.as_ref();
            selectors.extend(group.and_then(|group| group.selector.as_ref()));
        }
    }
    let inline = config.chains.iter().flat_map(|chain: &Chain| &chain.hops);
    for hop in config.hops.iter().chain(inline) {
        selectors.extend(&hop.selector);
        for node in &hop.nodes {
            let connector = node.connector.as_ref().and_then(|c| c.tls.as_ref());
            let dialer = node.dialer.as_ref().and_then(|d| d.tls.as_ref());
            for tls in [connector, dialer].into_iter().flatten() {
                certificate(tls, problems);
            }
        }
    }
    for selector in selectors {
        let strategy = selector.strategy.as_str();
        if !strategy.is_empty() && !STRATEGIES.contains(&strategy) {
            let hint = did_you_mean(strategy, STRATEGIES);
            let message = format!("unknown {strategy:?}{hint}; round robin would be used");
            problems.push(selector.place.error("strategy", message));
        }
    }
}

fn certificate(tls: &Tls, problems: &mut Vec<Problem>) {
    let (key, message) = match (tls.cert_file.is_empty(), tls.key_file.is_empty()) {
        (false, true) => ("certFile", "certFile without keyFile"),
        (true, false) => ("keyFile", "keyFile without certFile"),
        _ => return,
    };
    problems.push(tls.place.error(key, message));
}

fn check_log(log: &Log, problems: &mut Vec<Problem>) {
    if !log.level.is_empty() && !LEVELS.contains(&log.level.as_str()) {
        let level = &log.level;
        let message = format!(
            "unknown {level:?}{}; info is used",
            did_you_mean(level, LEVELS)
        );
        // The variable overrides what the file says, so the file is not to blame.
        problems.push(log.place.warning("level", message));
    }
    if !["", "json", "text"].contains(&log.format.as_str()) {
        let message = format!("unknown {:?}: json or text; json is used", log.format);
        problems.push(log.place.warning("format", message));
    }
}

impl Limiter {
    /// The words of each written line, the key first; `#` begins a comment.
    pub fn lines(&self) -> impl Iterator<Item = Vec<&str>> {
        self.limits.iter().map(|line| {
            let text = line.split('#').next().unwrap_or_default();
            text.split_whitespace().collect()
        })
    }
}

/// Checks the lines of a limiter: a key, and values that `check` understands.
fn limits(
    limiter: &Limiter,
    check: fn(&str, &[&str]) -> Result<Option<String>, String>,
    problems: &mut Vec<Problem>,
) {
    for (at, words) in limiter.lines().enumerate() {
        let result = match words[..] {
            [] => continue,
            [key] => Err(format!("{key:?} without a limit")),
            [key, ref values @ ..] => check(key, values),
        };
        let at = format!("limits[{at}]");
        match result {
            Ok(None) => {}
            Ok(Some(warning)) => problems.push(limiter.place.warning(&at, warning)),
            Err(message) => {
                let message = format!("{message}; no limit would apply");
                problems.push(limiter.place.error(&at, message));
            }
        }
    }
}

fn limit_key(key: &str) -> Result<(), String> {
    let is_good = matches!(key, "$" | "$$") || key.parse::<IpAddr>().is_ok() || is_network(key);
    is_good
        .then_some(())
        .ok_or_else(|| format!("{key:?} is none of $, $$, an address, a network"))
}

/// A key that is no address may be the name of a user.
fn traffic(key: &str, values: &[&str]) -> Result<Option<String>, String> {
    let looks_like_an_address = key.contains(['/', ':', '$'])
        || key
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
    if looks_like_an_address {
        limit_key(key)?;
    }
    let mut warning = None;
    for value in values.iter().take(3) {
        warning = warning.or(size(value)?);
    }
    Ok(warning)
}

fn connections(key: &str, values: &[&str]) -> Result<Option<String>, String> {
    limit_key(key)?;
    match values[0].parse::<i64>() {
        Ok(_) => Ok(None),
        Err(_) => Err(format!("{} is not a whole number", values[0])),
    }
}

fn requests(key: &str, values: &[&str]) -> Result<Option<String>, String> {
    limit_key(key)?;
    match values[0].parse::<f64>() {
        Ok(rate) if rate.is_finite() => Ok(None),
        Ok(_) => Err(format!("{} is not finite", values[0])),
        Err(_) => Err(format!("{} is not a number", values[0])),
    }
}

/// Checks a size, and says what is odd about it.
fn size(text: &str) -> Result<Option<String>, String> {
    let size = Size::parse(text)?;
    let warning = || format!("{text} lacks a unit (B, KB, MB, GB …): taken for bytes");
    Ok(size.bare.then(warning))
}

fn networks(place: &Place, matchers: &[String], problems: &mut Vec<Problem>) {
    for (at, matcher) in matchers.iter().enumerate() {
        let matcher = matcher.trim();
        if matcher.contains('/') && !matcher.contains(['*', '?']) && !is_network(matcher) {
            let message = format!("{matcher} is not a network");
            problems.push(place.error(&format!("matchers[{at}]"), message));
        }
    }
}

/// True for `address/bits`.
fn is_network(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else {
        return false;
    };
    match (address.parse::<IpAddr>(), bits.parse::<u8>()) {
        (Ok(IpAddr::V4(_)), Ok(bits)) => bits <= 32,
        (Ok(IpAddr::V6(_)), Ok(bits)) => bits <= 128,
        _ => false,
    }
}
