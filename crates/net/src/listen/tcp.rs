//! Listening on TCP.

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    os::fd::AsFd,
    sync::Arc,
};

use gost_core::{
    addr::Addr,
    build::{Door, HeldSockets},
    conn::{Conn, Io, Meta},
    error::{Error, Phase, Result},
    listener::{Incoming, Listener},
    meter::Meter,
};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::TcpListener;

use super::{TcpOptions, incoming, listen_addr};
use crate::{Metered, sockets::in_netns};

/// How many connections may wait in the kernel; it takes fewer where its own limit is lower.
const BACKLOG: i32 = 4096;

/// A socket that listens, perhaps for several listeners while one takes the place of another.
struct Held {
    listener: TcpListener,
    local: SocketAddr,
    mptcp: bool,
}

/// Listens on TCP. Takes over the socket if another listener of the program has it open.
pub async fn tcp(text: &str, options: &TcpOptions, door: &Door) -> Result<TcpDoor> {
    let at = listen_addr(text).await?;
    let place = format!("{at} {}", door.netns.as_deref().unwrap_or_default());
    let taken = (at.port() != 0).then(|| door.held.get::<Held>(&place));
    let held = if let Some(held) = taken.flatten() {
        if held.mptcp != options.mptcp {
            tracing::warn!("listen on {text}: mptcp takes effect at the next start");
        }
        held
    } else {
        let socket = in_netns(door.netns.as_deref(), || open(at, options, &door.held));
        let failed = |e| {
            Error::from(e)
                .context(format_args!("listen on {text}"))
                .phase(Phase::Bind)
        };
        let listener = TcpListener::from_std(socket.map_err(failed)?)?;
        let held = Arc::new(Held {
            local: listener.local_addr()?,
            listener,
            mptcp: options.mptcp,
        });
        if at.port() != 0 {
            door.held.hold(&place, &held);
        }
        held
    };
    Ok(TcpDoor {
        local: held.local.into(),
        held,
        shared: None,
        meter: door.meter.clone(),
        proxy_protocol: door.proxy_protocol,
        keepalive: options.keepalive.of_socket(),
    })
}

fn open(
    at: SocketAddr,
    options: &TcpOptions,
    held: &HeldSockets,
) -> io::Result<std::net::TcpListener> {
    let opened = match open_at(at, options, options.reuseport) {
        Err(e) if e.kind() == io::ErrorKind::AddrInUse => open_beside(at, options, held, e),
        result => result,
    };
    match opened {
        // A machine without IPv6 still has the other half of "both families".
        Err(e)
            if at.is_ipv6()
                && at.ip().is_unspecified()
                && e.raw_os_error() == Some(nix::libc::EAFNOSUPPORT) =>
        {
            let at = (Ipv4Addr::UNSPECIFIED, at.port()).into();
            open_at(at, options, options.reuseport)
        }
        result => result,
    }
}

fn open_at(
    at: SocketAddr,
    options: &TcpOptions,
    reuseport: bool,
) -> io::Result<std::net::TcpListener> {
    let protocol = if options.mptcp {
        Protocol::MPTCP
    } else {
        Protocol::TCP
    };
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, Some(protocol))?;
    if at.is_ipv6() {
        socket.set_only_v6(!at.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    // Those that are accepted inherit it, which costs them nothing.
    socket.set_tcp_keepalive(&crate::keepalive::usual())?;
    if reuseport {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&at.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Opens a socket although ours are in the way: one on all addresses beside one on a single
/// address, or the other way round, when a listener moves. For the moment of binding all of them
/// say that others may listen on the port too.
fn open_beside(
    at: SocketAddr,
    options: &TcpOptions,
    held: &HeldSockets,
    in_use: io::Error,
) -> io::Result<std::net::TcpListener> {
    let ours = held.all::<Held>();
    let in_the_way: Vec<_> = ours
        .iter()
        .filter(|held| held.local.port() == at.port() && held.local != at)
        .collect();
    if in_the_way.is_empty() {
        return Err(in_use);
    }
    let share = |on: bool| {
        for held in &in_the_way {
            let _ = SockRef::from(&held.listener).set_reuse_port(on);
        }
    };
    share(true);
    let opened = open_at(at, options, true);
    share(options.reuseport);
    let socket = opened.map_err(|_| in_use)?;
    SockRef::from(&socket).set_reuse_port(options.reuseport)?;
    Ok(socket)
}

/// A listening TCP socket.
pub struct TcpDoor {
    held: Arc<Held>,
    /// The same socket, known to the runtime of another thread.
    shared: Option<TcpListener>,
    local: Addr,
    meter: Meter,
    proxy_protocol: bool,
    keepalive: Option<TcpKeepalive>,
}

#[async_trait::async_trait]
impl Listener for TcpDoor {
    async fn accept(&mut self) -> Result<Incoming> {
        let listener = self.shared.as_ref().unwrap_or(&self.held.listener);
        let (socket, peer) = listener.accept().await?;
        socket.set_nodelay(true)?;
        if let Some(keepalive) = &self.keepalive {
            SockRef::from(&socket).set_tcp_keepalive(keepalive)?;
        }
        let meta = Meta::new(
            socket
                .local_addr()
                .map_or_else(|_| self.local.clone(), Addr::from),
            peer.into(),
        );
        let stream = Metered::wrap(Box::new(socket), &self.meter);
        let peer = meta.peer.clone();
        let conn = Conn {
            io: Io::Stream(stream),
            meta: Box::new(meta),
        };
        Ok(incoming(peer, conn, self.proxy_protocol))
    }

    fn addr(&self) -> Addr {
        self.local.clone()
    }

    fn share(&self) -> Option<Box<dyn Listener>> {
        let socket = self.held.listener.as_fd().try_clone_to_owned().ok()?;
        Some(Box::new(Self {
            held: self.held.clone(),
            shared: Some(TcpListener::from_std(socket.into()).ok()?),
            local: self.local.clone(),
            meter: self.meter.clone(),
            proxy_protocol: self.proxy_protocol,
            keepalive: self.keepalive.clone(),
        }))
    }
}

impl fmt::Debug for TcpDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TcpDoor({})", self.local)
    }
}
