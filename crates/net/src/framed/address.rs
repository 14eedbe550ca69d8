//! Addresses as the wire has them, and as we do.

use gost_core::addr::Addr;
use gost_relay::{AddressRef, Host};

/// The wire form of an address: nowhere in particular is `0.0.0.0:0`. None for a path, and for a
/// name that is too long.
pub(super) fn to_wire(addr: &Addr) -> Option<AddressRef<'_>> {
    match addr {
        Addr::Any => Some(std::net::SocketAddr::from(([0, 0, 0, 0], 0)).into()),
        Addr::Ip(addr) => Some((*addr).into()),
        Addr::Name(name, port) => AddressRef::new(Host::Domain(name), *port).ok(),
        Addr::Path(_) => None,
    }
}

/// Our form of an address. `last` is the address before: the same name is not stored anew.
pub(super) fn from_wire(address: AddressRef<'_>, last: &Addr) -> Addr {
    match address.host() {
        Host::V4(ip) => Addr::Ip((ip, address.port()).into()),
        Host::V6(ip) => std::net::SocketAddr::from((ip, address.port())).into(),
        Host::Domain(name) => match last {
            Addr::Name(known, _) if **known == *name => Addr::Name(known.clone(), address.port()),
            _ => Addr::from_host(name, address.port()),
        },
    }
}
