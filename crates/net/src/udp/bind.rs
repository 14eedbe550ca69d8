//! Opening UDP sockets.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::Arc,
};

use async_trait::async_trait;
use gost_core::{
    addr::{Addr, Network},
    build::Door,
    error::{Error, Phase, Result, Why},
    listener::{Incoming, Listener},
};
use socket2::{Domain, Protocol, Socket, Type};

use super::{FlowOptions, Flows, UdpConn, port::Port};
use crate::{listen::listen_addr, sockets::in_netns};

/// What the system should keep of a burst until we read it, as far as it allows so much.
const LISTENER_BUFFER: usize = 4 << 20;
const CONN_BUFFER: usize = 1 << 20;

/// Listens at an address such as `:53`, `[::1]:53`, `0.0.0.0:53` or `localhost:53`, through a door:
/// in its network namespace, with its meter beside that of the options. Takes over the socket if
/// another listener of the program has it open.
///
/// An address that begins with `:` or `[` may be IPv6, and takes both families where it is a
/// wildcard; any other, a host name too, is IPv4.
pub async fn listen(at: &str, mut options: FlowOptions, door: &Door) -> Result<Box<dyn Listener>> {
    options.meter = options.meter.and(door.meter.clone());
    let addr = listen_addr(at).await?;
    let place = format!("{addr} {}", door.netns.as_deref().unwrap_or_default());
    let taken = (addr.port() != 0).then(|| door.held.get::<Port>(&place));
    let port = if let Some(port) = taken.flatten() {
        port
    } else {
        let port = UdpConn::new(bind(at, door).await?)?.into_port();
        if addr.port() != 0 {
            door.held.hold(&place, &port);
        }
        port
    };
    Ok(Box::new(UdpDoor {
        local: port.socket().local_addr()?.into(),
        port,
        options,
        flows: None,
    }))
}

/// A UDP socket that is listened on. It reads nothing before it is first asked to accept: until
/// then the socket may still be another's.
struct UdpDoor {
    port: Arc<Port>,
    local: Addr,
    options: FlowOptions,
    flows: Option<Flows>,
}

#[async_trait]
impl Listener for UdpDoor {
    async fn accept(&mut self) -> Result<Incoming> {
        let flows = match self.flows.take() {
            Some(flows) => flows,
            None => Flows::new(
                Box::new(UdpConn::of_port(self.port.clone())),
                self.local.clone(),
                self.options.clone(),
            )?,
        };
        self.flows.insert(flows).accept().await
    }

    fn addr(&self) -> Addr {
        self.local.clone()
    }

    fn network(&self) -> Network {
        Network::Udp
    }
}

/// Opens a socket at an address as [`listen`] takes it.
pub async fn bind(at: &str, door: &Door) -> Result<UdpSocket> {
    at_address(at, |addr| bind_at(addr, door.netns.as_deref())).await
}

/// Opens something at an address as [`listen`] takes it.
pub(crate) async fn at_address<T>(at: &str, open: impl Fn(SocketAddr) -> Result<T>) -> Result<T> {
    let bad = || Error::new(Why::BadInput, format!("listen {at:?}: not an address"));
    match Addr::parse(at).ok_or_else(bad)? {
        Addr::Ip(addr) => open(addr),
        addr if addr.host().is_empty() => {
            let port = addr.port();
            open((Ipv6Addr::UNSPECIFIED, port).into()).or_else(|error| {
                // A machine without IPv6. Whatever else is wrong is wrong here too.
                open((Ipv4Addr::UNSPECIFIED, port).into()).map_err(|_| error)
            })
        }
        Addr::Name(host, port) => {
            let unresolved = || {
                Error::new(Why::Unresolved, format!("listen {at}: no IPv4 address"))
                    .phase(Phase::Resolve)
            };
            let mut found = tokio::net::lookup_host((&*host, port))
                .await
                .map_err(|e| unresolved().caused_by(e))?;
            let v4 = found.find(SocketAddr::is_ipv4).ok_or_else(unresolved)?;
            open(v4)
        }
        Addr::Any | Addr::Path(_) => Err(bad()),
    }
}

/// Opens a socket at an address, perhaps in a network namespace. The IPv6 wildcard takes IPv4 too.
pub fn bind_at(addr: SocketAddr, netns: Option<&str>) -> Result<UdpSocket> {
    let open = || {
        let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
        if addr.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&addr.into())?;
        keep_bursts(&socket, LISTENER_BUFFER);
        Ok(socket.into())
    };
    in_netns(netns, open).map_err(|e| {
        Error::from(e)
            .phase(Phase::Bind)
            .context(format_args!("listen {addr}/udp"))
    })
}

/// Makes a conversation of a socket that its maker has bound or connected as it should be.
pub fn adopt(socket: Socket) -> std::io::Result<UdpConn> {
    keep_bursts(&socket, CONN_BUFFER);
    UdpConn::new(socket.into())
}

/// Opens a conversation with one address, from a port of the system's choice.
pub fn connect(to: SocketAddr) -> Result<UdpConn> {
    let open = || {
        let socket = Socket::new(Domain::for_address(to), Type::DGRAM, Some(Protocol::UDP))?;
        socket.connect(&to.into())?;
        adopt(socket)
    };
    open().map_err(|e| {
        Error::from(e)
            .phase(Phase::Dial)
            .context(format_args!("dial {to}/udp"))
    })
}

/// Asks for a larger receive buffer; a system that gives less is no error.
fn keep_bursts(socket: &Socket, bytes: usize) {
    let _ = socket.set_recv_buffer_size(bytes);
}
