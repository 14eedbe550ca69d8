//! Addresses as `gost-core` and as the wire has them.

use gost_core::{
    addr::{Addr, Network},
    error::{Error, Result, Why},
};
use gost_relay::{Address, Host, NetworkId};

/// An address for the wire; `None` for [`Addr::Any`].
pub(crate) fn to_wire(addr: &Addr) -> Result<Option<Address>> {
    let too_long = |e| Error::new(Why::BadInput, format!("address {addr}")).caused_by(e);
    Ok(Some(match addr {
        Addr::Any => return Ok(None),
        Addr::Ip(ip) => Address::from(*ip),
        Addr::Name(name, port) => Address::domain(&**name, *port).map_err(too_long)?,
        Addr::Path(path) => {
            let Some(text) = path.to_str() else {
                let what = format!("path {}: not UTF-8", path.display());
                return Err(Error::new(Why::BadInput, what));
            };
            Address::domain(text, 0).map_err(too_long)?
        }
    }))
}

/// An address from the wire. On networks of this machine its host is a path.
pub(crate) fn from_wire(address: &Address, network: Network) -> Addr {
    let address = address.clone().normalized();
    match (network, address.socket_addr(), address.host()) {
        (Network::Unix | Network::Serial, _, host) => Addr::path(host.to_string()),
        (_, Some(ip), _) => ip.into(),
        (_, None, Host::Domain(name)) => Addr::Name(name.into(), address.port()),
        // An address has a socket address unless it is a domain.
        (_, None, _) => Addr::Any,
    }
}

/// Where a client wants to listen. A wildcard, spelt in whatever way, becomes the empty name: both
/// families, as with the original. Without an address the system chooses the port.
pub(crate) fn bind_addr(address: Option<&Address>, network: Network) -> Addr {
    let any = || Addr::Name("".into(), 0);
    match address.map(|address| from_wire(&address.clone().repair_bind(), network)) {
        Some(addr) if addr.is_unspecified() => any().with_port(addr.port()),
        Some(addr) => addr,
        None => any(),
    }
}

/// Where to ask a node to listen: for no host in particular that is `0.0.0.0`.
pub(crate) fn to_bind(addr: &Addr) -> Result<Address> {
    match addr {
        Addr::Name(name, port) if name.is_empty() => Ok(Address::UNSPECIFIED.with_port(*port)),
        addr => Ok(to_wire(addr)?.unwrap_or(Address::UNSPECIFIED)),
    }
}

/// A network of the wire; those without a name are TCP.
pub(crate) fn network(id: NetworkId) -> Network {
    match id {
        NetworkId::UDP => Network::Udp,
        NetworkId::IP => Network::Ip,
        NetworkId::UNIX => Network::Unix,
        NetworkId::SERIAL => Network::Serial,
        _ => Network::Tcp,
    }
}

/// A network for the wire. What a dialer alone asks for gets no further than to a connector.
pub(crate) const fn network_id(network: Network) -> NetworkId {
    match network {
        Network::Tcp | Network::FakeTcp | Network::Resolve | Network::ResolvePtr => NetworkId::TCP,
        Network::Udp => NetworkId::UDP,
        Network::Ip => NetworkId::IP,
        Network::Unix => NetworkId::UNIX,
        Network::Serial => NetworkId::SERIAL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_go_to_the_wire_and_back() {
        for (text, network) in [
            ("127.0.0.1:80", Network::Tcp),
            ("[::1]:80", Network::Udp),
            ("example.com:443", Network::Tcp),
            (":0", Network::Tcp),
        ] {
            let addr = Addr::parse(text).unwrap();
            let wire = to_wire(&addr).unwrap().unwrap();
            assert_eq!(from_wire(&wire, network), addr, "{text}");
        }
        let path = Addr::path("/run/a.sock");
        let wire = to_wire(&path).unwrap().unwrap();
        assert_eq!(from_wire(&wire, Network::Unix), path);
        assert_eq!(to_wire(&Addr::Any).unwrap(), None);
        assert!(to_wire(&Addr::path("x".repeat(256))).is_err());
    }

    #[test]
    fn wildcards_to_bind_are_understood_and_sent_in_one_way() {
        let empty = Address::domain("", 2222).unwrap();
        let mangled = Address::domain("0.0.0.0::2222", 0).unwrap();
        let v4 = "0.0.0.0:2222".parse().unwrap();
        let v6 = "[::]:2222".parse().unwrap();
        for address in [empty, mangled, v4, v6] {
            let addr = bind_addr(Some(&address), Network::Tcp);
            assert_eq!(addr, Addr::parse(":2222").unwrap(), "{address}");
        }
        assert_eq!(bind_addr(None, Network::Udp), Addr::parse(":0").unwrap());
        let path = Address::domain("/run/a.sock", 0).unwrap();
        assert_eq!(
            bind_addr(Some(&path), Network::Unix),
            Addr::path("/run/a.sock")
        );
        for (text, sent) in [
            (":2222", "0.0.0.0:2222"),
            ("", "0.0.0.0:0"),
            ("[::1]:2222", "[::1]:2222"),
        ] {
            let addr = Addr::parse(text).unwrap();
            assert_eq!(to_bind(&addr).unwrap().to_string(), sent);
        }
    }

    #[test]
    fn rules_see_ip_addresses_however_they_are_spelt() {
        let spelt = Address::domain("127.0.0.1", 80).unwrap();
        assert_eq!(
            from_wire(&spelt, Network::Tcp),
            Addr::parse("127.0.0.1:80").unwrap()
        );
        let mapped = Address::domain("::ffff:127.0.0.1", 80).unwrap();
        assert_eq!(
            from_wire(&mapped, Network::Tcp),
            Addr::parse("127.0.0.1:80").unwrap()
        );
    }
}
