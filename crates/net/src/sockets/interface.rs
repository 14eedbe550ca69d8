//! Where a socket sends from: interfaces and addresses of this machine.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use nix::ifaddrs::getifaddrs;
use socket2::Socket;

/// One way to send: from an address, through a device, or as the system likes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Source {
    /// The address to send from.
    ip: Option<IpAddr>,
    /// The device to send through.
    device: Option<String>,
    /// Nothing else may be tried when this fails.
    pub(super) strict: bool,
}

impl Source {
    /// Binds a socket that is to reach `to`.
    ///
    /// The device does not count for destinations that only one device has: loopback, link-local
    /// and multicast addresses.
    pub(super) fn bind(&self, socket: &Socket, to: SocketAddr) -> io::Result<()> {
        if let Some(device) = &self.device
            && is_global_unicast(to.ip())
        {
            socket.bind_device(Some(device.as_bytes()))?;
        }
        match self.ip {
            Some(ip) => socket.bind(&SocketAddr::new(ip, 0).into()),
            None => Ok(()),
        }
    }
}

/// The ways that a setting allows for a destination, in order.
///
/// A comma list of interface names and addresses; `!` behind one makes it strict, and an empty one
/// leaves the choice to the system. Addresses of the other family are left out. When nothing is
/// left, the destination can't be reached from there, and is not tried from elsewhere.
pub(super) fn sources(setting: &str, to: SocketAddr) -> io::Result<Vec<Source>> {
    let mut all = Vec::new();
    let mut missing = None;
    for item in setting.split(',').map(str::trim) {
        let (name, strict) = item
            .strip_suffix('!')
            .map_or((item, false), |name| (name, true));
        if name.is_empty() {
            all.push(Source::default());
            continue;
        }
        if let Ok(ip) = name.parse::<IpAddr>() {
            if ip.is_ipv4() == to.is_ipv4() {
                all.push(Source {
                    ip: Some(ip),
                    device: None,
                    strict,
                });
            }
            continue;
        }
        let found = addresses(name)?;
        if found.is_empty() {
            let what = format!("interface {name}: not there, or without an address");
            let error = io::Error::new(io::ErrorKind::NotFound, what);
            if strict {
                return Err(error);
            }
            missing = Some(error);
        }
        let fitting = found.into_iter().filter(|ip| ip.is_ipv4() == to.is_ipv4());
        all.extend(fitting.map(|ip| Source {
            ip: Some(ip),
            device: Some(name.to_owned()),
            strict,
        }));
    }
    if all.is_empty() {
        if let Some(error) = missing {
            return Err(error);
        }
        let family = if to.is_ipv4() { "IPv4" } else { "IPv6" };
        let what = format!("interface {setting}: no {family} address");
        return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, what));
    }
    Ok(all)
}

fn addresses(interface: &str) -> io::Result<Vec<IpAddr>> {
    let ip_of = |address: nix::ifaddrs::InterfaceAddress| {
        let address = address.address?;
        let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
    };
    Ok(getifaddrs()?
        .filter(|a| a.interface_name == interface)
        .filter_map(ip_of)
        .collect())
}

fn is_global_unicast(ip: IpAddr) -> bool {
    let link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !(ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || link_local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_lists_ways_in_order() {
        let to = "192.0.2.1:80".parse().unwrap();
        let found = sources("127.0.0.9, ::1, 127.0.0.8!", to).unwrap();
        let ips: Vec<_> = found
            .iter()
            .map(|s| (s.ip.unwrap().to_string(), s.strict))
            .collect();
        assert_eq!(
            ips,
            [
                ("127.0.0.9".to_owned(), false),
                ("127.0.0.8".to_owned(), true)
            ]
        );
        assert_eq!(sources("", to).unwrap(), [Source::default()]);
        // Nothing leaves by another way than those that are listed.
        for missing in ["nosuch0!", "nosuch0", "nosuch0!,127.0.0.9", "nosuch0,::1"] {
            let error = sources(missing, to).unwrap_err().to_string();
            assert!(error.contains("nosuch0"), "{error}");
        }
        assert_eq!(sources("nosuch0,127.0.0.9", to).unwrap().len(), 1);
        assert_eq!(sources("nosuch0,", to).unwrap(), [Source::default()]);
        for other_family in ["::1", "::1!"] {
            assert!(sources(other_family, to).is_err(), "{other_family}");
        }
        let lo = sources("lo", to).unwrap();
        assert_eq!(
            (lo[0].ip, lo[0].device.as_deref()),
            (Some("127.0.0.1".parse().unwrap()), Some("lo"))
        );
    }
}
