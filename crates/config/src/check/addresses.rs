//! Addresses to listen on: host and port, and no two services on one.

use std::collections::HashMap;

use crate::{Config, Place, Problem, Service, cli::split_address};

/// Listeners whose addresses are not host and port.
const WITHOUT_PORT: [&str; 9] = [
    "unix", "runix", "serial", "stdio", "tun", "tungo", "tap", "icmp", "icmp6",
];

/// Listeners that bind at the far end of a chain.
const REMOTE: [&str; 2] = ["rtcp", "rudp"];

/// Listeners on UDP; all others with a port are on TCP.
const UDP: [&str; 11] = [
    "udp", "dns", "kcp", "quic", "http3", "h3", "wt", "dtls", "redu", "ftcp", "masque",
];

pub(super) fn check(config: &Config, problems: &mut Vec<Problem>) {
    let mut taken: HashMap<(bool, &str), &Service> = HashMap::new();
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
        if port.is_none_or(|port| port == 0)
            || REMOTE.contains(&listener)
            || service.metadata.find("netns").is_some()
        {
            continue;
        }
        let key = (UDP.contains(&listener), service.addr.as_str());
        if let Some(first) = taken.insert(key, service) {
            let message = format!(
                "{} is already used by {} ({})",
                service.addr, first.name, first.place
            );
            problems.push(service.place.error("addr", message));
        }
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
