//! One line of a list.

use std::net::IpAddr;

use crate::{Glob, IpRange, Ports, set::normalized};

/// A line that can never match anything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} {why}")]
pub struct PatternError {
    text: String,
    why: &'static str,
}

/// One line of a list. These are tried in this order:
///
/// 1. a network: `10.0.0.0/8`;
/// 2. a wildcard, which has a `*` or `?`: `*.example.com`, perhaps with ports behind a colon;
/// 3. an address, or two with a dash between;
/// 4. a host, perhaps with a port or a range of ports: `example.com:80-90`, `[::1]:443`. With a
///    dot in front it stands for itself and all names under it.
///
/// Without ports, or with something else behind the colon, it is about all ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Addresses, at any port.
    Ips(IpRange),
    /// One address.
    Ip(IpAddr, Ports),
    /// A name, or with `below` a name and all names under it.
    Name {
        /// The name without its dot in front, in lower case.
        name: Box<str>,
        /// Names under it are meant.
        below: bool,
        /// The name itself is meant.
        itself: bool,
        /// At these ports.
        ports: Ports,
    },
    /// A wildcard.
    Glob(Glob, Ports),
}

impl Pattern {
    /// Reads a line without comments.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let text = text.trim();
        let error = |why| {
            Err(PatternError {
                text: text.to_owned(),
                why,
            })
        };
        if text.is_empty() {
            return error("is empty");
        }
        if let Ok(range) = text.parse::<IpRange>()
            && !text.contains(['*', '?'])
        {
            return Ok(Self::Ips(range));
        }
        if text.chars().any(char::is_whitespace) {
            return error("has blanks in it");
        }
        if text.contains(['*', '?']) {
            let (host, ports) = split_ports(text);
            let host = normalized(host);
            if let Some(pattern) = Glob::parse(&host).map(|glob| simplified(&host, glob, ports)) {
                return Ok(pattern);
            }
            return error("is not a wildcard: brackets or braces do not close");
        }
        if text.contains('/') && !text.starts_with('/') {
            return error("is not a network");
        }
        let (host, ports) = split_ports(text);
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let bare = bare.unwrap_or(host);
        if let Ok(ip) = bare.parse::<IpAddr>() {
            return Ok(Self::Ip(ip.to_canonical(), ports));
        }
        let host = normalized(bare);
        let (name, below) = match host.strip_prefix('.') {
            Some(name) => (name, true),
            None => (&*host, false),
        };
        if name.is_empty() {
            return error("names no host");
        }
        Ok(Self::Name {
            name: name.into(),
            below,
            itself: true,
            ports,
        })
    }
}

/// The host, and the ports behind its last colon if there are any.
fn split_ports(text: &str) -> (&str, Ports) {
    match text.rsplit_once(':') {
        // Colons without brackets are those of an IPv6 address, or of a wildcard over some.
        Some((host, ports)) if !host.contains(':') || host.ends_with(']') || host.contains('*') => {
            match Ports::parse(ports) {
                Some(ports) => (host, ports),
                None if ports.contains(['*', '?']) => (text, Ports::Any),
                None => (host, Ports::Any),
            }
        }
        _ => (text, Ports::Any),
    }
}

/// `*.example.com` is all names under one, which are found without trying.
fn simplified(host: &str, glob: Glob, ports: Ports) -> Pattern {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    match host.strip_prefix("*.") {
        // Addresses end in digits, and are matched as text.
        Some(name) if name.chars().all(plain) && !name.ends_with(|c: char| c.is_ascii_digit()) => {
            Pattern::Name {
                name: name.into(),
                below: true,
                itself: false,
                ports,
            }
        }
        _ => Pattern::Glob(glob, ports),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        let kind = |text| match Pattern::parse(text) {
            Ok(Pattern::Ips(_)) => "ips",
            Ok(Pattern::Ip(..)) => "ip",
            Ok(Pattern::Name {
                below: true,
                itself: true,
                ..
            }) => "domain",
            Ok(Pattern::Name { below: true, .. }) => "below",
            Ok(Pattern::Name { .. }) => "name",
            Ok(Pattern::Glob(..)) => "glob",
            Err(_) => "error",
        };
        for (text, wanted) in [
            ("10.0.0.0/8", "ips"),
            ("10.1.2.3/8", "ips"),
            ("192.168.1.1", "ips"),
            ("::1", "ips"),
            (" 192.168.1.1-192.168.1.10 ", "ips"),
            ("192.168.1.1:80", "ip"),
            ("[2001:db8::1]:443", "ip"),
            ("[::1]", "ip"),
            ("Example.com", "name"),
            ("example.com:80-90", "name"),
            ("example.com:http", "name"),
            (".example.com", "domain"),
            ("*.example.com", "below"),
            ("*.example.com:0-1024", "below"),
            ("*:80", "glob"),
            ("192.168.*", "glob"),
            ("*.1.1", "glob"),
            ("2001:db8:*", "glob"),
            ("/run/a.sock", "name"),
            ("", "error"),
            (".", "error"),
            ("10.0.0.0/33", "error"),
            ("a b", "error"),
            ("*[", "error"),
        ] {
            assert_eq!(kind(text), wanted, "{text}");
        }
        let error = Pattern::parse("10.0.0.0/33").unwrap_err();
        assert_eq!(error.to_string(), "\"10.0.0.0/33\" is not a network");
    }
}
