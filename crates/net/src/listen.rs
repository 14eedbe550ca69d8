//! Listeners of sockets of the system.

use std::{
    fs::Permissions,
    io,
    net::{Ipv6Addr, SocketAddr},
    os::unix::fs::PermissionsExt,
    time::Duration,
};

use gost_core::{
    addr::Addr,
    build::Door,
    conn::{Conn, Io, Meta},
    error::{Error, Phase, Result, Why},
    listener::{Accepted, Incoming, Listener},
    meter::Meter,
    options,
};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, UnixListener};

use crate::{Metered, proxy_protocol, sockets};

options! {
    /// Keys that every TCP listener has.
    pub struct TcpOptions {
        /// Set TCP keep-alive with the three keys below.
        keepalive: bool = false, "keepalive";
        /// How long a connection is idle before the first probe.
        keepalive_idle: Duration = Duration::from_secs(15), "keepalive.idle";
        /// Time between probes.
        keepalive_interval: Duration = Duration::from_secs(15), "keepalive.interval";
        /// Probes without an answer that end the connection.
        keepalive_count: u32 = 9, "keepalive.count";
        /// Multipath TCP.
        mptcp: bool = false, "mptcp";
        /// Several sockets may listen on the address.
        reuseport: bool = false, "reuseport";
    }
}

/// How many connections may wait in the kernel; it takes fewer where its own limit is lower.
const BACKLOG: i32 = 4096;

/// The socket address to listen on for an address in a configuration.
///
/// A text that begins with `:` or `[` listens on both families, any other on IPv4 alone: names
/// are resolved to their IPv4 address. Source: `transports.md` 0.3.
pub async fn listen_addr(text: &str) -> Result<SocketAddr> {
    let bad = |why: &str| {
        Error::new(Why::BadInput, format!("listen on {text:?}: {why}")).phase(Phase::Bind)
    };
    let addr = Addr::parse(text).ok_or_else(|| bad("not an address"))?;
    match addr {
        Addr::Ip(ip) => Ok(ip),
        Addr::Any => Ok((Ipv6Addr::UNSPECIFIED, 0).into()),
        Addr::Name(name, port) if name.is_empty() => Ok((Ipv6Addr::UNSPECIFIED, port).into()),
        Addr::Name(name, port) => tokio::net::lookup_host((&*name, port))
            .await
            .map_err(|e| bad(&e.to_string()))?
            .find(SocketAddr::is_ipv4)
            .ok_or_else(|| bad("the name has no IPv4 address")),
        Addr::Path(_) => Err(bad("not an address of a host")),
    }
}

/// Listens on TCP.
pub async fn tcp(text: &str, options: &TcpOptions, door: &Door) -> Result<TcpDoor> {
    let at = listen_addr(text).await?;
    let socket =
        sockets::in_netns(door.netns.as_deref(), || open_tcp(at, options)).map_err(|e| {
            Error::from(e)
                .context(format!("listen on {text}"))
                .phase(Phase::Bind)
        })?;
    let listener = TcpListener::from_std(socket)?;
    let local = listener.local_addr()?;
    Ok(TcpDoor {
        listener,
        local: local.into(),
        meter: door.meter.clone(),
        proxy_protocol: door.proxy_protocol,
        keepalive: keepalive(options),
    })
}

fn open_tcp(at: SocketAddr, options: &TcpOptions) -> io::Result<std::net::TcpListener> {
    let protocol = if options.mptcp {
        Protocol::MPTCP
    } else {
        Protocol::TCP
    };
    let open = |at: SocketAddr| {
        let socket = Socket::new(Domain::for_address(at), Type::STREAM, Some(protocol))?;
        if at.is_ipv6() {
            socket.set_only_v6(!at.ip().is_unspecified())?;
        }
        socket.set_reuse_address(true)?;
        if options.reuseport {
            socket.set_reuse_port(true)?;
        }
        socket.bind(&at.into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        io::Result::Ok(socket.into())
    };
    match open(at) {
        // A machine without IPv6 still has the other half of "both families".
        Err(e)
            if at.is_ipv6()
                && at.ip().is_unspecified()
                && e.raw_os_error() == Some(nix::libc::EAFNOSUPPORT) =>
        {
            open((std::net::Ipv4Addr::UNSPECIFIED, at.port()).into())
        }
        result => result,
    }
}

fn keepalive(options: &TcpOptions) -> Option<TcpKeepalive> {
    options.keepalive.then(|| {
        TcpKeepalive::new()
            .with_time(options.keepalive_idle.max(Duration::from_secs(1)))
            .with_interval(options.keepalive_interval.max(Duration::from_secs(1)))
            .with_retries(options.keepalive_count.max(1))
    })
}

/// A listening TCP socket.
#[derive(Debug)]
pub struct TcpDoor {
    listener: TcpListener,
    local: Addr,
    meter: Meter,
    proxy_protocol: bool,
    keepalive: Option<TcpKeepalive>,
}

#[async_trait::async_trait]
impl Listener for TcpDoor {
    async fn accept(&mut self) -> Result<Incoming> {
        let (socket, peer) = self.listener.accept().await?;
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
        let stream = Metered::wrap(Box::new(socket), self.meter.clone());
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
}

/// Listens on a Unix socket at a path, with a file mode if one is given.
///
/// A socket file that nobody listens on any more is replaced; one that somebody does listen on,
/// and any other file, is an error.
pub fn unix(path: &str, mode: Option<u32>, door: &Door) -> Result<Box<dyn Listener>> {
    let failed = |e: io::Error| {
        Error::from(e)
            .context(format!("listen on {path}"))
            .phase(Phase::Bind)
    };
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path) => {
            std::fs::remove_file(path).and_then(|()| UnixListener::bind(path))
        }
        result => result,
    }
    .map_err(failed)?;
    if let Some(mode) = mode {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed)?;
    }
    Ok(Box::new(UnixDoor {
        listener,
        local: Addr::path(path),
        meter: door.meter.clone(),
        proxy_protocol: door.proxy_protocol,
    }))
}

/// True for a socket that refuses connections.
fn is_stale(path: &str) -> bool {
    std::os::unix::net::UnixStream::connect(path)
        .is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused)
}

/// A listening Unix socket. Its file goes when it does.
#[derive(Debug)]
pub struct UnixDoor {
    listener: UnixListener,
    local: Addr,
    meter: Meter,
    proxy_protocol: bool,
}

#[async_trait::async_trait]
impl Listener for UnixDoor {
    async fn accept(&mut self) -> Result<Incoming> {
        let (socket, _) = self.listener.accept().await?;
        let stream = Metered::wrap(Box::new(socket), self.meter.clone());
        let meta = Box::new(Meta::new(self.local.clone(), Addr::Any));
        let conn = Conn {
            io: Io::Stream(stream),
            meta,
        };
        Ok(incoming(Addr::Any, conn, self.proxy_protocol))
    }

    fn addr(&self) -> Addr {
        self.local.clone()
    }
}

impl Drop for UnixDoor {
    fn drop(&mut self) {
        if let Addr::Path(path) = &self.local {
            // Somebody may have removed it already.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn incoming(peer: Addr, conn: Conn, proxy_protocol: bool) -> Incoming {
    if proxy_protocol {
        let finish = async { proxy_protocol::accept(conn).await.map(Accepted::One) };
        return Incoming::later(peer, finish);
    }
    Incoming::ready(peer, conn)
}
