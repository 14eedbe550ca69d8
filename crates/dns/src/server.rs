//! Servers as configurations write them.

use std::{fmt, sync::Arc};

use gost_core::addr::Addr;

use crate::DnsError;

/// How a server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Datagrams (RFC 1035); an answer that does not fit comes over TCP.
    Udp,
    /// TCP (RFC 7766).
    Tcp,
    /// TLS (RFC 7858).
    Tls,
    /// HTTPS (RFC 8484).
    Https,
}

impl Protocol {
    /// The port where servers of the protocol are.
    const fn port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 53,
            Self::Tls => 853,
            Self::Https => 443,
        }
    }

    /// True where the server has a certificate.
    pub const fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::Https)
    }

    /// The protocols to offer in the TLS handshake; none where there is nothing to choose.
    pub const fn alpn(self) -> &'static [&'static str] {
        match self {
            Self::Https => &["h2", "http/1.1"],
            _ => &[],
        }
    }
}

/// The path that servers have their service at, where a URL has none.
const PATH: &str = "/dns-query";

/// A name server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    protocol: Protocol,
    addr: Addr,
    /// What HTTP calls the server: the authority of its URL.
    authority: Arc<str>,
    /// The path and query of its URL.
    path: Arc<str>,
}

impl Server {
    /// Reads `host`, `host:port` or an IPv6 address, with `udp://`, `tcp://`, `tls://` or `dot://`
    /// before it, or else UDP; or an `https://` URL, at `/dns-query` where it has no path.
    ///
    /// # Errors
    /// [`DnsError::Server`] for another scheme, and what is not an address.
    pub fn parse(text: &str) -> Result<Self, DnsError> {
        let text = text.trim();
        let wrong = |what| DnsError::Server(text.to_owned(), what);
        let (scheme, rest) = text.split_once("://").unwrap_or(("udp", text));
        let protocol = match &*scheme.to_ascii_lowercase() {
            "udp" => Protocol::Udp,
            "tcp" => Protocol::Tcp,
            "tls" | "dot" => Protocol::Tls,
            "https" => Protocol::Https,
            _ => return Err(wrong("the scheme is none of udp, tcp, tls, dot and https")),
        };
        let start = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(start);
        let path = path.split('#').next().unwrap_or_default();
        let path = match path {
            "" | "/" => PATH.to_owned(),
            query if query.starts_with('?') => format!("{PATH}{query}"),
            path => path.to_owned(),
        };
        if protocol == Protocol::Https && path.parse::<http::uri::PathAndQuery>().is_err() {
            return Err(wrong("the path can't be one"));
        }
        let addr = Addr::parse(authority).ok_or_else(|| wrong("the port is no number"))?;
        if addr.host().is_empty() || authority.contains('@') {
            return Err(wrong("it has no host"));
        }
        let addr = match addr.port() {
            0 => addr.with_port(protocol.port()),
            _ => addr,
        };
        // An IPv6 address without brackets is not what HTTP can call a server.
        let host = match &addr {
            Addr::Ip(ip) if ip.is_ipv6() => format!("[{}]", ip.ip()),
            addr => addr.host(),
        };
        let authority = if addr.port() == protocol.port() {
            host
        } else {
            format!("{host}:{}", addr.port())
        };
        if authority.parse::<http::uri::Authority>().is_err() {
            return Err(wrong("the host can't be one"));
        }
        Ok(Self {
            protocol,
            addr,
            authority: authority.into(),
            path: path.into(),
        })
    }

    /// How it is asked.
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Where it is.
    pub const fn addr(&self) -> &Addr {
        &self.addr
    }

    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.protocol {
            Protocol::Udp => write!(f, "udp://{}", self.addr),
            Protocol::Tcp => write!(f, "tcp://{}", self.addr),
            Protocol::Tls => write!(f, "tls://{}", self.addr),
            Protocol::Https => write!(f, "https://{}{}", self.authority, self.path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_configurations_write() {
        for (text, shown) in [
            ("1.1.1.1", "udp://1.1.1.1:53"),
            (" 1.1.1.1:5353 ", "udp://1.1.1.1:5353"),
            ("2606:4700::1111", "udp://[2606:4700::1111]:53"),
            ("udp://[::1]:53", "udp://[::1]:53"),
            ("tcp://dns.example", "tcp://dns.example:53"),
            ("tls://1.1.1.1", "tls://1.1.1.1:853"),
            ("DOT://dns.example:53", "tls://dns.example:53"),
            ("https://dns.example", "https://dns.example/dns-query"),
            ("https://dns.example:443/", "https://dns.example/dns-query"),
            ("https://[::1]:8443/q?a=b", "https://[::1]:8443/q?a=b"),
            (
                "https://dns.example?a=b",
                "https://dns.example/dns-query?a=b",
            ),
        ] {
            assert_eq!(Server::parse(text).unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        for text in [
            "",
            "quic://1.1.1.1",
            "http://1.1.1.1/dns-query",
            "tls://",
            "1.1.1.1:dns",
            "https://user@dns.example/",
            "https://dns.example/a b",
            "udp://a b",
        ] {
            assert!(Server::parse(text).is_err(), "{text:?}");
        }
    }
}
