//! Addresses of the wire and addresses of the core.

use std::net::SocketAddr;

use gost_core::{
    addr::Addr,
    error::{Error, Result, Why},
};
use gost_relay::{Address, AddressRef, Host};

/// The address that a peer wrote, as rules and routes should see it: a name that spells an IP
/// address is that address, and IPv4 inside IPv6 is IPv4.
pub(crate) fn from_wire(address: AddressRef<'_>) -> Addr {
    match address.host() {
        Host::V4(ip) => SocketAddr::new(ip.into(), address.port()).into(),
        Host::V6(ip) => SocketAddr::new(ip.into(), address.port()).into(),
        Host::Domain(name) => from_host(name, address.port()),
    }
}

/// As [`from_wire`], for a host in text form.
pub(crate) fn from_host(name: &str, port: u16) -> Addr {
    match Addr::from_host(name, port) {
        Addr::Ip(addr) => addr.into(),
        other => other,
    }
}

/// False for names that no host has: the empty one, which systems take for "this machine" behind
/// the back of the rules, and those with spaces or control characters, which garble the log.
pub(crate) fn is_hostname(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b > b' ' && b != 0x7f)
}

/// An address to be written; [`Addr::Any`] is `0.0.0.0:0`.
pub(crate) fn to_wire(addr: &Addr) -> Result<Address> {
    match addr {
        Addr::Any => Ok(Address::UNSPECIFIED),
        Addr::Ip(addr) => Ok((*addr).into()),
        Addr::Name(name, port) => {
            Address::domain(&**name, *port).map_err(|e| Error::new(Why::BadInput, "").caused_by(e))
        }
        Addr::Path(path) => Err(Error::new(
            Why::Unsupported,
            format!("SOCKS has no addresses like {}", path.display()),
        )),
    }
}

/// An address to be told to a client: `0.0.0.0:0` when there is no way to say it.
pub(crate) fn to_tell(addr: &Addr) -> Address {
    to_wire(addr).unwrap_or(Address::UNSPECIFIED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_see_addresses_in_one_form() {
        for (wire, seen) in [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("[::ffff:127.0.0.1]:80", "127.0.0.1:80"),
            ("[::1]:80", "[::1]:80"),
            ("example.com:80", "example.com:80"),
        ] {
            let address: Address = wire.parse().unwrap();
            assert_eq!(from_wire((&address).into()).to_string(), seen);
        }
        for literal in ["127.0.0.1", "::ffff:127.0.0.1"] {
            let spelt = Address::domain(literal, 80).unwrap();
            assert_eq!(from_wire((&spelt).into()).to_string(), "127.0.0.1:80");
        }
    }

    #[test]
    fn names_that_no_host_has() {
        for name in ["", "a b", "a\nb", "\u{7f}", "tab\there"] {
            assert!(!is_hostname(name), "{name:?}");
        }
        for name in ["localhost", "bücher.example", "a_b", "1"] {
            assert!(is_hostname(name), "{name:?}");
        }
    }

    #[test]
    fn what_cannot_be_written() {
        assert!(to_wire(&Addr::path("/tmp/socket")).is_err());
        let long = Addr::from_host(&"n".repeat(256), 1);
        assert!(to_wire(&long).is_err());
        assert_eq!(to_tell(&long), Address::UNSPECIFIED);
        assert_eq!(to_wire(&Addr::Any).unwrap(), Address::UNSPECIFIED);
    }
}
