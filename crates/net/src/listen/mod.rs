//! Listeners of sockets of the system.

mod tcp;
mod unix;

use std::net::{Ipv6Addr, SocketAddr};

use gost_core::{
    addr::Addr,
    conn::Conn,
    error::{Error, Phase, Result, Why},
    listener::{Accepted, Incoming},
    options,
};

pub use self::{
    tcp::{TcpDoor, tcp},
    unix::{UnixDoor, unix},
};
use crate::{keepalive::KeepaliveOptions, proxy_protocol};

options! {
    /// Keys that every TCP listener has.
    pub struct TcpOptions {
        /// Multipath TCP.
        mptcp: bool = false, "mptcp";
        /// Several sockets may listen on the address.
        reuseport: bool = false, "reuseport";
        ..keepalive: KeepaliveOptions;
    }
}

/// The socket address to listen on for an address in a configuration.
///
/// A text that begins with `:` or `[` listens on both families, any other on IPv4 alone: names
/// are resolved to their IPv4 address. Source: `transports.md` 0.3.
///
/// An IPv6 address may have a zone (`[fe80::1%eth0]:8080`); one that stands for an IPv4 address
/// (`[::ffff:192.0.2.1]:8080`) is that.
pub async fn listen_addr(text: &str) -> Result<SocketAddr> {
    let bad = |why: &str| {
        Error::new(Why::BadInput, format!("listen on {text:?}: {why}")).phase(Phase::Bind)
    };
    let addr = Addr::parse(text).ok_or_else(|| bad("not an address"))?;
    match addr {
        Addr::Ip(at) => Ok(SocketAddr::new(at.ip().to_canonical(), at.port())),
        Addr::Any => Ok((Ipv6Addr::UNSPECIFIED, 0).into()),
        Addr::Name(name, port) if name.is_empty() => Ok((Ipv6Addr::UNSPECIFIED, port).into()),
        Addr::Name(name, port) => {
            let has_zone = name.contains('%');
            tokio::net::lookup_host((&*name, port))
                .await
                .map_err(|e| bad(&e.to_string()))?
                .find(|at| at.is_ipv4() || has_zone)
                .ok_or_else(|| bad("the name has no IPv4 address"))
        }
        Addr::Path(_) => Err(bad("not an address of a host")),
    }
}

fn incoming(peer: Addr, conn: Conn, proxy_protocol: bool) -> Incoming {
    if proxy_protocol {
        let finish = async { proxy_protocol::accept(conn).await.map(Accepted::One) };
        return Incoming::later(peer, finish);
    }
    Incoming::ready(peer, conn)
}

#[cfg(test)]
mod tests;
