//! Host and port, owned and borrowed, and their text form

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use crate::error::{ParseAddressError, ValueError};

/// The most bytes that a domain name may have, because one byte counts them.
pub const MAX_DOMAIN_LEN: usize = 255;

/// What an address names, as the wire tells it apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Host<'a> {
    /// An IPv4 address (type 1).
    V4(Ipv4Addr),
    /// An IPv6 address (type 4), possibly an IPv4-mapped one.
    V6(Ipv6Addr),
    /// Any other text (type 3): a host name, the path of a unix socket, or nothing.
    Domain(&'a str),
}

impl Host<'_> {
    /// The host if it is an IP address.
    pub const fn ip(self) -> Option<IpAddr> {
        match self {
            Self::V4(ip) => Some(IpAddr::V4(ip)),
            Self::V6(ip) => Some(IpAddr::V6(ip)),
            Self::Domain(_) => None,
        }
    }

    /// Whether the host names no machine: an empty name, `0.0.0.0` or `::`.
    /// Operating systems take all three for "this machine" when dialing.
    pub const fn is_unspecified(self) -> bool {
        match self {
            Self::V4(ip) => ip.is_unspecified(),
            Self::V6(ip) => ip.is_unspecified(),
            Self::Domain(name) => name.is_empty(),
        }
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(ip) => ip.fmt(f),
            Self::V6(ip) => ip.fmt(f),
            Self::Domain(name) => name.fmt(f),
        }
    }
}

/// Host and port without ownership of the name. Copying it costs no allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressRef<'a> {
    host: Host<'a>,
    port: u16,
}

impl<'a> AddressRef<'a> {
    /// A host and a port.
    ///
    /// # Errors
    /// The host is a domain of more than [`MAX_DOMAIN_LEN`] bytes.
    pub fn new(host: Host<'a>, port: u16) -> Result<Self, ValueError> {
        if let Host::Domain(name) = host {
            ValueError::check("domain name", name.len(), MAX_DOMAIN_LEN)?;
        }
        Ok(Self { host, port })
    }

    /// An address whose domain, if it is one, was counted by one byte.
    pub(crate) const fn from_wire(host: Host<'a>, port: u16) -> Self {
        Self { host, port }
    }

    /// Reads `host:port`, see [`Address::from_str`].
    ///
    /// # Errors
    /// The text is empty, or its port, brackets or length are wrong.
    pub fn parse(text: &'a str) -> Result<Self, ParseAddressError> {
        let (host, port) = split_port(text)?;
        let port = match port {
            None => 0,
            // The number parser of the standard library admits a plus sign.
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits
                .parse()
                .map_err(|_| ParseAddressError::Port(digits.to_owned()))?,
            Some(other) => return Err(ParseAddressError::Port(other.to_owned())),
        };
        match host.parse::<IpAddr>() {
            Ok(ip) => Ok(SocketAddr::new(ip, port).into()),
            Err(_) => Ok(Self::new(Host::Domain(host), port)?),
        }
    }

    /// The host.
    pub const fn host(self) -> Host<'a> {
        self.host
    }

    /// The port, 0 where there is none.
    pub const fn port(self) -> u16 {
        self.port
    }

    /// The socket address, unless the host is a domain.
    pub fn socket_addr(self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.host.ip()?, self.port))
    }

    /// An owned copy.
    pub fn into_owned(self) -> Address {
        let host = match self.host {
            Host::V4(ip) => Owned::V4(ip),
            Host::V6(ip) => Owned::V6(ip),
            Host::Domain(name) => Owned::Domain(name.into()),
        };
        Address {
            host,
            port: self.port,
        }
    }
}

impl From<SocketAddr> for AddressRef<'_> {
    /// An IPv4-mapped address becomes IPv4, which is how the original sends the
    /// peers of its dual-stack sockets. Scope and flow label are left out.
    fn from(addr: SocketAddr) -> Self {
        let host = match addr.ip().to_canonical() {
            IpAddr::V4(ip) => Host::V4(ip),
            IpAddr::V6(ip) => Host::V6(ip),
        };
        Self {
            host,
            port: addr.port(),
        }
    }
}

impl<'a> From<&'a Address> for AddressRef<'a> {
    fn from(address: &'a Address) -> Self {
        Self {
            host: address.host(),
            port: address.port,
        }
    }
}

impl fmt::Display for AddressRef<'_> {
    /// `host:port`, the host in brackets if it contains a colon.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port) = (self.host, self.port);
        match host {
            Host::V6(_) => write!(f, "[{host}]:{port}"),
            Host::Domain(name) if name.contains(':') => write!(f, "[{host}]:{port}"),
            _ => write!(f, "{host}:{port}"),
        }
    }
}

/// Host and port, the content of an address feature.
///
/// `Display` writes `host:port` with brackets where the host has a colon.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Address {
    host: Owned,
    port: u16,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Owned {
    V4(Ipv4Addr),
    V6(Ipv6Addr),
    Domain(Box<str>),
}

impl Address {
    /// `0.0.0.0:0`, which asks for an association when it is bound over UDP.
    pub const UNSPECIFIED: Self = Self {
        host: Owned::V4(Ipv4Addr::UNSPECIFIED),
        port: 0,
    };

    /// A name that is kept as it is, even if it looks like an IP address.
    /// Paths of unix sockets and names of serial ports go in here, with port 0.
    ///
    /// # Errors
    /// The name exceeds [`MAX_DOMAIN_LEN`] bytes.
    pub fn domain(name: impl Into<Box<str>>, port: u16) -> Result<Self, ValueError> {
        let name = name.into();
        ValueError::check("domain name", name.len(), MAX_DOMAIN_LEN)?;
        Ok(Self {
            host: Owned::Domain(name),
            port,
        })
    }

    /// The host.
    pub fn host(&self) -> Host<'_> {
        match &self.host {
            Owned::V4(ip) => Host::V4(*ip),
            Owned::V6(ip) => Host::V6(*ip),
            Owned::Domain(name) => Host::Domain(name),
        }
    }

    /// The port, 0 where there is none.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The same host with another port.
    #[must_use]
    pub fn with_port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The socket address, unless the host is a domain.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        AddressRef::from(self).socket_addr()
    }

    /// The address that rules should see: a domain that spells an IP address
    /// becomes that IP address, and an IPv4-mapped one becomes IPv4.
    #[must_use]
    pub fn normalized(self) -> Self {
        let ip = match self.host() {
            Host::Domain(name) => name.parse().ok(),
            host => host.ip(),
        };
        match ip {
            Some(ip) => SocketAddr::new(ip, self.port).into(),
            None => self,
        }
    }

    /// What a client means that asks to bind here, for servers.
    ///
    /// Clients of the original send two oddities for "every interface": an
    /// empty domain, and for `:PORT` the domain `0.0.0.0::PORT` with port 0.
    /// Both become `0.0.0.0` and the port.
    #[must_use]
    pub fn repair_bind(self) -> Self {
        let port = match self.host() {
            Host::Domain("") => Some(self.port),
            Host::Domain(name) if self.port == 0 => name
                .strip_prefix("0.0.0.0::")
                .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
                .and_then(|digits| digits.parse().ok()),
            _ => None,
        };
        match port {
            Some(port) => Self::UNSPECIFIED.with_port(port),
            None => self,
        }
    }
}

impl From<SocketAddr> for Address {
    /// See [`AddressRef::from`].
    fn from(addr: SocketAddr) -> Self {
        AddressRef::from(addr).into_owned()
    }
}

impl From<AddressRef<'_>> for Address {
    fn from(address: AddressRef<'_>) -> Self {
        address.into_owned()
    }
}

impl FromStr for Address {
    type Err = ParseAddressError;

    /// Reads `host:port` with the rules of the original.
    ///
    /// - Without a port the whole text is the host and the port is 0; so is a
    ///   text with several colons and no brackets, which makes `::1` an IPv6
    ///   address.
    /// - IPv6 with a port wants brackets: `[::1]:80`. Brackets alone are fine.
    /// - IP literals (IPv4-mapped ones as IPv4) become addresses, everything
    ///   else is a domain; `:80` is the empty domain.
    /// - An empty text, a port that is not a number from 0 to 65535 and brackets
    ///   elsewhere are errors.
    fn from_str(text: &str) -> Result<Self, ParseAddressError> {
        AddressRef::parse(text).map(AddressRef::into_owned)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        AddressRef::from(self).fmt(f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

/// Splits a text into host, without brackets, and port.
fn split_port(text: &str) -> Result<(&str, Option<&str>), ParseAddressError> {
    if text.is_empty() {
        return Err(ParseAddressError::Empty);
    }
    let misplaced = || ParseAddressError::Brackets(text.to_owned());
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or_else(misplaced)?;
        match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if rest.is_empty() => (host, None),
            None => return Err(misplaced()),
        }
    } else {
        match text.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (text, None),
        }
    };
    if host.contains(['[', ']']) {
        return Err(misplaced());
    }
    Ok((host, port))
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
