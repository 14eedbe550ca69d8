//! Addresses to listen on: host and port, and no two services on one.

use std::collections::HashMap;

use crate::{Config, Listener, Place, Problem, Service, cli::split_address};

/// Listeners whose addresses are not host and port.
const WITHOUT_PORT: [&str; 9] = [
    "unix", "runix", "serial", "stdio", "tun", "tungo", "tap", "icmp", "icmp6",
];

/// Listeners that bind at the far end of a chain.
const REMOTE: [&str; 3] = ["rtcp", "rudp", "runix"];

/// Listeners on UDP; all others with a port are on TCP.
const UDP: [&str; 11] = [
    "udp", "dns", "kcp", "quic", "http3", "h3", "wt", "dtls", "redu", "ftcp", "masque",
];

impl Listener {
    /// True when clients come over UDP.
    pub fn is_on_udp(&self) -> bool {
        let kind = self.r#type.trim();
        kind == "rudp" || UDP.contains(&kind)
    }

    /// True when its socket is at the far end of a chain.
    pub fn is_remote(&self) -> bool {
        REMOTE.contains(&self.r#type.trim())
    }
}

pub(super) fn check(config: &Config, problems: &mut Vec<Problem>) {
    let mut taken: HashMap<(bool, u16), Vec<(&str, &Service)>> = HashMap::new();
    for service in &config.services {
        let listener = service
            .listener
            .as_ref()
            .map_or("tcp", |l| match l.r#type.trim() {
                "" => "tcp",
                kind => kind,
            });
        if WITHOUT_PORT.contains(&listener) {
            continue;
        }
        if service.addr.is_empty() {
            let message = "no address: a random port is used";
            problems.push(service.place.warning("addr", message));
            continue;
        }
        // The command line has its own, more exact words for what it could not read.
        let port = host_and_port(&service.place, &service.addr, problems);
        let Some(port) = port.filter(|port| *port != 0) else {
            continue;
        };
        let may_share = ["netns", "reuseport"].iter().any(|key| {
            let of_listener = service.listener.as_ref().map(|l| &l.metadata);
            let all = [Some(&service.metadata), of_listener];
            all.into_iter().flatten().any(|m| m.find(key).is_some())
        });
        if REMOTE.contains(&listener) || may_share {
            continue;
        }
        let host = split_address(&service.addr).map_or("", |(host, _)| host);
        let taken = taken.entry((UDP.contains(&listener), port)).or_default();
        if let Some((_, first)) = taken.iter().find(|(other, _)| overlap(host, other)) {
            let message = format!(
                "{} is already used by {} ({})",
                service.addr, first.name, first.place
            );
            problems.push(service.place.error("addr", message));
        }
        taken.push((host, service));
    }
    let api = config.api.as_ref().map(|api| (&api.place, &api.addr));
    let metrics = config.metrics.as_ref().map(|m| (&m.place, &m.addr));
    let profiling = config.profiling.as_ref().map(|p| (&p.place, &p.addr));
    for (place, addr) in [api, metrics, profiling].into_iter().flatten() {
        if !addr.is_empty() && !addr.starts_with("unix://") {
            host_and_port(place, addr, problems);
        }
    }
    if let Some(metrics) = &config.metrics
        && !metrics.path.is_empty()
        && !metrics.path.starts_with('/')
    {
        let message = format!("must start with /, not be {:?}", metrics.path);
        problems.push(metrics.place.error("path", message));
    }
}

/// True when nobody can listen on a port of both. Names are compared as they are.
fn overlap(a: &str, b: &str) -> bool {
    let host = |text: &str| text.trim_matches(['[', ']']).to_ascii_lowercase();
    let (a, b) = (host(a), host(b));
    let is_all = |host: &str| matches!(host, "" | "::");
    let is_all_v4 = |host: &str| host == "0.0.0.0";
    let is_v6 = |host: &str| host.contains(':');
    a == b
        || is_all(&a)
        || is_all(&b)
        || (is_all_v4(&a) && !is_v6(&b))
        || (is_all_v4(&b) && !is_v6(&a))
}

/// The port of an address to listen on; what is wrong with it is reported.
fn host_and_port(place: &Place, addr: &str, problems: &mut Vec<Problem>) -> Option<u16> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let message = match split_address(addr) {
        Some((_, port)) => match port.parse::<u16>() {
            Ok(port) => return Some(port),
            Err(_) if port.is_empty() => format!("port missing in {addr}"),
            Err(_) if digits(port) => format!("port {port} out of range"),
            Err(_) => format!("port {port:?} is not a number"),
        },
        None if digits(addr) => format!("address {addr} lacks a colon: did you mean :{addr}?"),
        None if addr.matches(':').count() > 1 => {
            format!("write IPv6 addresses in brackets: [{addr}]:port")
        }
        None => format!("port missing in {addr}"),
    };
    problems.push(place.error("addr", message));
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_port_is_for_one_listener_unless_their_addresses_differ() {
        for (a, b, both) in [
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("", "127.0.0.1", true),
            ("127.0.0.1", "[::]", true),
            ("0.0.0.0", "127.0.0.1", true),
            ("0.0.0.0", "[::1]", false),
            ("0.0.0.0", "[::]", true),
            ("[::1]", "[::1]", true),
            ("[::1]", "127.0.0.1", false),
            ("LocalHost", "localhost", true),
        ] {
            assert_eq!(overlap(a, b), both, "{a} {b}");
            assert_eq!(overlap(b, a), both, "{b} {a}");
        }
    }
}
