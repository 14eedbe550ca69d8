//! Addresses: of sockets, of names not yet resolved, of paths.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

/// The kind of conversation that is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Network {
    /// A byte stream over TCP.
    #[default]
    Tcp,
    /// Datagrams over UDP.
    Udp,
    /// A byte stream over a Unix socket.
    Unix,
    /// IP packets.
    Ip,
    /// Bytes over a serial port.
    Serial,
    /// Datagrams in packets that look like TCP. Only dialers of channels ask for it: it has no
    /// name in configurations.
    FakeTcp,
    /// No conversation but a question: for the address of a name. Only nodes of some protocols
    /// know it, and it has no name in configurations.
    Resolve,
    /// The same for the name of an address.
    ResolvePtr,
}

impl Network {
    /// The name in configurations, rules and records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Unix => "unix",
            Self::Ip => "ip",
            Self::Serial => "serial",
            Self::FakeTcp => "fake tcp",
            Self::Resolve => "resolve",
            Self::ResolvePtr => "resolve ptr",
        }
    }

    /// Reads a network name; `tcp4`, `udp6` and the like count as their family-less form.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text.trim_end_matches(['4', '6']) {
            "tcp" => Self::Tcp,
            "udp" => Self::Udp,
            "unix" => Self::Unix,
            "ip" => Self::Ip,
            "serial" => Self::Serial,
            _ => return None,
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where something is, or is to be reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Addr {
    /// Nowhere in particular: the target of a datagram association, an unknown peer.
    #[default]
    Any,
    /// An IP address and a port.
    Ip(SocketAddr),
    /// A name not yet resolved (possibly empty, which means "this host") and a port.
    Name(Arc<str>, u16),
    /// A file in the file system: a Unix socket, a serial port.
    Path(Arc<Path>),
}

impl Addr {
    /// Reads `host:port`, `[v6]:port` or a lone host (port 0); the empty text is [`Addr::Any`].
    ///
    /// An IP literal gives [`Addr::Ip`], anything else a name. `None` when the port is no number
    /// from 0 to 65535.
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::Any);
        }
        let (host, port) = split_host_port(text)?;
        Some(Self::from_host(host, port))
    }

    /// An address of a host in text form, which may be an IP literal, and a port.
    pub fn from_host(host: &str, port: u16) -> Self {
        let bare = host
            .strip_prefix('[')
            .and_then(|h| h.strip_suffix(']'))
            .unwrap_or(host);
        match bare.parse::<IpAddr>() {
            Ok(ip) => Self::Ip(SocketAddr::new(ip, port)),
            Err(_) => Self::Name(bare.into(), port),
        }
    }

    /// A path in the file system.
    pub fn path(path: impl Into<PathBuf>) -> Self {
        Self::Path(path.into().into())
    }

    /// The host as text, without brackets; empty for [`Addr::Any`].
    pub fn host(&self) -> String {
        match self {
            Self::Any => String::new(),
            Self::Ip(addr) => addr.ip().to_string(),
            Self::Name(name, _) => name.to_string(),
            Self::Path(path) => path.display().to_string(),
        }
    }

    /// The port; 0 where there is none.
    pub const fn port(&self) -> u16 {
        match self {
            Self::Ip(addr) => addr.port(),
            Self::Name(_, port) => *port,
            Self::Any | Self::Path(_) => 0,
        }
    }

    /// The same host at another port.
    #[must_use]
    pub fn with_port(self, port: u16) -> Self {
        match self {
            Self::Ip(addr) => Self::Ip(SocketAddr::new(addr.ip(), port)),
            Self::Name(name, _) => Self::Name(name, port),
            other => other,
        }
    }

    /// The socket address, when it is one.
    pub const fn ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(addr) => Some(*addr),
            _ => None,
        }
    }

    /// True for a host that names no other machine: an empty name or an unspecified IP address.
    ///
    /// A dial to one reaches this machine, so access rules treat it as loopback.
    pub fn is_unspecified(&self) -> bool {
        match self {
            Self::Ip(addr) => addr.ip().to_canonical().is_unspecified(),
            Self::Name(name, _) => name.is_empty(),
            Self::Any | Self::Path(_) => false,
        }
    }

    /// The wildcard address of IPv4 at a port.
    pub const fn wildcard(port: u16) -> Self {
        Self::Ip(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port))
    }
}

/// Splits `host:port`; a text without a port has port 0.
fn split_host_port(text: &str) -> Option<(&str, u16)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, tail) = rest.split_once(']')?;
        return match tail.strip_prefix(':') {
            Some(port) => Some((host, port.parse().ok()?)),
            None if tail.is_empty() => Some((host, 0)),
            None => None,
        };
    }
    match text.rsplit_once(':') {
        // More than one colon and no brackets: an IPv6 literal.
        Some((host, _)) if host.contains(':') => Some((text, 0)),
        Some((host, "")) => Some((host, 0)),
        Some((host, port)) => Some((host, port.parse().ok()?)),
        None => Some((text, 0)),
    }
}

impl From<SocketAddr> for Addr {
    /// IPv4 addresses that a dual-stack socket shows as IPv6 become IPv4 again.
    fn from(addr: SocketAddr) -> Self {
        Self::Ip(SocketAddr::new(addr.ip().to_canonical(), addr.port()))
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => Ok(()),
            Self::Ip(addr) => addr.fmt(f),
            Self::Name(name, port) if name.contains(':') => write!(f, "[{name}]:{port}"),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
            Self::Path(path) => path.display().fmt(f),
        }
    }
}

/// What is to be reached: a network and an address on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Target {
    /// The kind of conversation.
    pub network: Network,
    /// With whom; [`Addr::Any`] on a datagram network asks for an association, whose datagrams
    /// carry their addresses.
    pub addr: Addr,
}

impl Target {
    /// A TCP target.
    pub const fn tcp(addr: Addr) -> Self {
        Self {
            network: Network::Tcp,
            addr,
        }
    }

    /// A UDP target.
    pub const fn udp(addr: Addr) -> Self {
        Self {
            network: Network::Udp,
            addr,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.network)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_addresses() {
        for (text, host, port, shown) in [
            ("example.com:80", "example.com", 80, "example.com:80"),
            ("example.com", "example.com", 0, "example.com:0"),
            (":8080", "", 8080, ":8080"),
            ("127.0.0.1:1", "127.0.0.1", 1, "127.0.0.1:1"),
            ("[::1]:2", "::1", 2, "[::1]:2"),
            ("::1", "::1", 0, "[::1]:0"),
            ("[::1]", "::1", 0, "[::1]:0"),
            ("host:", "host", 0, "host:0"),
        ] {
            let addr = Addr::parse(text).unwrap();
            assert_eq!((addr.host().as_str(), addr.port()), (host, port), "{text}");
            assert_eq!(addr.to_string(), shown);
        }
        for text in ["host:http", "host:70000", "[::1", "[::1]x", "host:-1"] {
            assert_eq!(Addr::parse(text), None, "{text}");
        }
        assert_eq!(Addr::parse(""), Some(Addr::Any));
    }

    #[test]
    fn empty_and_wildcard_hosts_are_unspecified() {
        for text in [":80", "0.0.0.0:80", "[::]:80", "[::ffff:0.0.0.0]:80"] {
            assert!(Addr::parse(text).unwrap().is_unspecified(), "{text}");
        }
        assert!(!Addr::parse("127.0.0.1:80").unwrap().is_unspecified());
    }
}
