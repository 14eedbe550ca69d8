//! The way out that has no node: it dials and listens on this machine.

mod interface;
mod netns;

use std::{
    fmt, io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use async_trait::async_trait;
use gost_core::{
    addr::{Addr, Network, Target},
    build::Door,
    conn::{Conn, Meta},
    error::{Error, Phase, Result, Side, Why},
    listener::Listener,
    outbound::{Ask, BindOptions, Outbound, PathId},
    policy::{Asker, BypassQuery, Family},
    race::race,
    routing::Names,
};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpSocket, TcpStream, UnixStream};

use self::interface::Source;
pub(crate) use self::netns::in_netns;
use crate::{
    keepalive, listen, proxy_protocol,
    udp::{self, FlowOptions, UdpConn},
};

/// How sockets are opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketOptions {
    /// Interfaces or addresses to send from, tried in order; a trailing `!` allows no other way.
    pub interface: String,
    /// `SO_MARK`, unless 0.
    pub mark: u32,
    /// The network namespace to dial in: a name, or the path of a namespace file.
    pub netns: Option<Arc<str>>,
    /// Send a PROXY header of this version after connecting, unless 0; over UDP it is a datagram of
    /// its own.
    pub proxy_protocol: u8,
}

/// Dials and listens here.
#[derive(Clone, Debug, Default)]
pub struct Sockets {
    options: SocketOptions,
    names: Names,
}

impl Sockets {
    /// Sockets with options; `names` resolves the destinations of datagrams.
    pub const fn new(options: SocketOptions, names: Names) -> Self {
        Self { options, names }
    }

    async fn tcp(&self, to: &Target, ask: &Ask) -> Result<Conn> {
        let addresses = addresses(to, ask).await?;
        let socket = race(&addresses, |addr| self.tcp_to(addr)).await?;
        socket.set_nodelay(true)?;
        SockRef::from(&socket).set_tcp_keepalive(&keepalive::usual())?;
        let meta = Meta::new(socket.local_addr()?.into(), socket.peer_addr()?.into());
        self.introduce(Conn::stream(socket, meta), to, ask).await
    }

    /// Says in a PROXY header who the client is, where that is wanted and known.
    async fn introduce(&self, mut conn: Conn, to: &Target, ask: &Ask) -> Result<Conn> {
        if self.options.proxy_protocol > 0
            && let Some(addresses) = ask.client.zip(ask.local)
        {
            let version = self.options.proxy_protocol;
            let header = proxy_protocol::encode(version, to.network, Some(addresses));
            proxy_protocol::send(&mut conn, &header)
                .await
                .map_err(|e| dial_error(e, to))?;
        }
        Ok(conn)
    }

    /// Connects to one address, from whichever source of the options works first.
    async fn tcp_to(&self, to: SocketAddr) -> Result<TcpStream> {
        if self.options == SocketOptions::default() {
            let socket = if to.is_ipv4() {
                TcpSocket::new_v4()
            } else {
                TcpSocket::new_v6()
            }?;
            return socket.connect(to).await.map_err(|e| dial_error(e, to));
        }
        let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for source in self.sources(to)? {
            let connected = match self.open(&source, to, Type::STREAM) {
                Ok(socket) => TcpSocket::from_std_stream(socket.into()).connect(to).await,
                Err(error) => Err(error),
            };
            match connected {
                Ok(connected) => return Ok(connected),
                Err(error) if source.strict => return Err(dial_error(error, to)),
                Err(error) => failed = error,
            }
        }
        Err(dial_error(failed, to))
    }

    async fn udp(&self, to: &Target, ask: &Ask) -> Result<Conn> {
        if to.addr == Addr::Any {
            return self.association(ask);
        }
        let addresses = addresses(to, ask).await?;
        let mut failed = Error::new(Why::Unresolved, format!("dial {to}: no address"));
        for addr in addresses {
            match self.udp_to(addr) {
                Ok(conn) => return self.introduce(conn.into_conn(), to, ask).await,
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    fn udp_to(&self, to: SocketAddr) -> Result<UdpConn> {
        if to.port() == 0 {
            // The system takes that for no peer at all.
            let no_port = io::Error::new(io::ErrorKind::InvalidInput, "no port");
            return Err(dial_error(no_port, to));
        }
        let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for source in self.sources(to)? {
            let opened = self.open(&source, to, Type::DGRAM).and_then(|socket| {
                socket.connect(&to.into())?;
                udp::adopt(socket)
            });
            match opened {
                Ok(conn) => return Ok(conn),
                Err(error) if source.strict => return Err(dial_error(error, to)),
                Err(error) => failed = error,
            }
        }
        Err(dial_error(failed, to))
    }

    /// A conversation in packets that look like TCP, from the first source of the options that
    /// works. PROXY headers are for others.
    async fn fake_tcp(&self, to: &Target, ask: &Ask) -> Result<Conn> {
        let addresses = addresses(to, ask).await?;
        let fitting = addresses.iter().find(|addr| addr.is_ipv4());
        let peer = *fitting.unwrap_or(&addresses[0]);
        let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for source in self.sources(peer)? {
            let connected = match self.open_raw(&source, peer) {
                Ok((raw, tcp)) => gost_fake_tcp::Client::connect(raw, tcp, peer).await,
                Err(error) => Err(error),
            };
            match connected {
                Ok(client) => {
                    let meta = Meta::new(client.local_addr().into(), peer.into());
                    return Ok(Conn::packet(client, meta));
                }
                Err(error) if source.strict => return Err(dial_error(error, to)),
                Err(error) => failed = error,
            }
        }
        Err(dial_error(failed, to))
    }

    /// A raw socket and one of TCP.
    fn open_raw(&self, source: &Source, to: SocketAddr) -> io::Result<(Socket, Socket)> {
        let raw = in_netns(self.options.netns.as_deref(), || {
            let raw = gost_fake_tcp::open(Domain::for_address(to))?;
            if self.options.mark != 0 {
                raw.set_mark(self.options.mark)?;
            }
            source.bind(&raw, to)?;
            Ok(raw)
        })?;
        Ok((raw, self.open(source, to, Type::STREAM)?))
    }

    /// A socket without a peer: each datagram says where it goes. Names are resolved here, to
    /// addresses that the rules allow; who relays the datagrams asks about the rest.
    fn association(&self, ask: &Ask) -> Result<Conn> {
        let any: SocketAddr = (Ipv6Addr::UNSPECIFIED, 0).into();
        let v4: SocketAddr = (Ipv4Addr::UNSPECIFIED, 0).into();
        let open = |at: SocketAddr| {
            let source = self.sources(at)?.swap_remove(0);
            self.open(&source, at, Type::DGRAM)
                .and_then(|socket| {
                    let is_unbound =
                        |a: socket2::SockAddr| a.as_socket().is_none_or(|a| a.port() == 0);
                    if socket.local_addr().is_ok_and(is_unbound) {
                        if at.is_ipv6() {
                            socket.set_only_v6(false)?;
                        }
                        socket.bind(&at.into())?;
                    }
                    udp::adopt(socket)
                })
                .map_err(|e| dial_error(e, "udp association"))
        };
        // With an interface the family is that of its address, most likely IPv4.
        let conn = if self.options.interface.is_empty() {
            open(any).or_else(|_| open(v4))
        } else {
            open(v4).or_else(|_| open(any))
        }?;
        let (names, ask) = (self.names.clone(), ask.clone());
        let conn = conn.with_resolver(Arc::new(move |addr: &Addr| {
            let (names, addr, ask) = (names.clone(), addr.clone(), ask.clone());
            Box::pin(async move {
                let found = resolve(&addr, &names, Family::Any, &ask.asker()).await?;
                allowed(vec![found], &Target::udp(addr), &ask).await?;
                Ok(found)
            })
        }));
        Ok(conn.into_conn())
    }

    fn sources(&self, to: SocketAddr) -> Result<Vec<Source>> {
        interface::sources(&self.options.interface, to).map_err(|e| dial_error(e, to))
    }

    fn open(&self, source: &Source, to: SocketAddr, kind: Type) -> io::Result<Socket> {
        let protocol = if kind == Type::STREAM {
            Protocol::TCP
        } else {
            Protocol::UDP
        };
        in_netns(self.options.netns.as_deref(), || {
            let socket = Socket::new(Domain::for_address(to), kind, Some(protocol))?;
            socket.set_nonblocking(true)?;
            if self.options.mark != 0 {
                socket.set_mark(self.options.mark)?;
            }
            source.bind(&socket, to)?;
            Ok(socket)
        })
    }
}

/// All addresses of a target that the rules allow.
async fn addresses(to: &Target, ask: &Ask) -> Result<Vec<SocketAddr>> {
    match &to.addr {
        Addr::Ip(addr) => Ok(vec![*addr]),
        // An empty host is this machine.
        Addr::Name(name, port) if name.is_empty() => Ok(vec![(Ipv4Addr::LOCALHOST, *port).into()]),
        Addr::Name(name, port) => allowed(lookup(name, *port).await?, to, ask).await,
        Addr::Any | Addr::Path(_) => Err(Error::new(
            Why::BadInput,
            format!("dial {to}: not an address of a host"),
        )
        .phase(Phase::Dial)),
    }
}

/// Asks the system; never an empty list.
async fn lookup(name: &str, port: u16) -> Result<Vec<SocketAddr>> {
    let found: Vec<_> = tokio::net::lookup_host((name, port))
        .await
        .map_err(|e| unresolved(name, &e))?
        .collect();
    if found.is_empty() {
        Err(unresolved(name, &"no address"))
    } else {
        Ok(found)
    }
}

fn unresolved(name: &str, cause: &dyn fmt::Display) -> Error {
    Error::new(Why::Unresolved, format!("resolve {name}: {cause}"))
        .phase(Phase::Resolve)
        .side(Side::Target)
}

/// Those of the addresses a name resolved to that the client's rules allow.
async fn allowed(found: Vec<SocketAddr>, to: &Target, ask: &Ask) -> Result<Vec<SocketAddr>> {
    let Some(bypass) = &ask.bypass else {
        return Ok(found);
    };
    let mut kept = Vec::with_capacity(found.len());
    let asker = ask.asker();
    for addr in found {
        let target = Target {
            network: to.network,
            addr: addr.into(),
        };
        let query = BypassQuery {
            target,
            host: Some(to.addr.clone()),
            path: None,
        };
        if !bypass.contains(&query, &asker).await {
            kept.push(addr);
        }
    }
    if kept.is_empty() {
        let what = format!("dial {to}: every address is forbidden by a bypass");
        return Err(Error::new(Why::Denied, what).phase(Phase::Dial));
    }
    Ok(kept)
}

/// Resolves an address with a table and a resolver, or else the system's; IPv4 first.
///
/// An empty host is this machine.
pub async fn resolve(
    addr: &Addr,
    names: &Names,
    family: Family,
    asker: &Asker,
) -> Result<SocketAddr> {
    let (name, port) = match addr {
        Addr::Ip(addr) => return Ok(*addr),
        Addr::Name(name, port) if name.is_empty() => return Ok((Ipv4Addr::LOCALHOST, *port).into()),
        Addr::Name(name, port) => (name, *port),
        Addr::Any | Addr::Path(_) => {
            return Err(Error::new(
                Why::BadInput,
                format!("resolve {addr}: not an address of a host"),
            ));
        }
    };
    if let Some(hosts) = &names.hosts
        && let Some(found) = hosts.lookup(name, family, asker).await
        && let Some(ip) = found.first()
    {
        return Ok((*ip, port).into());
    }
    if let Some(resolver) = &names.resolver {
        let found = resolver.resolve(name, family, asker).await?;
        return found
            .first()
            .map(|ip| (*ip, port).into())
            .ok_or_else(|| unresolved(name, &"no address"));
    }
    let fits = |addr: &SocketAddr| match family {
        Family::Any => true,
        Family::V4 => addr.is_ipv4(),
        Family::V6 => addr.is_ipv6(),
    };
    let found = lookup(name, port).await?;
    let best = found
        .into_iter()
        .filter(fits)
        .min_by_key(SocketAddr::is_ipv6);
    best.ok_or_else(|| unresolved(name, &"no address of the family"))
}

fn dial_error(error: io::Error, to: impl fmt::Display) -> Error {
    Error::from(error)
        .context(format!("dial {to}"))
        .phase(Phase::Dial)
        .side(Side::Target)
}

#[async_trait]
impl Outbound for Sockets {
    async fn connect(&self, to: &Target, ask: &Ask) -> Result<Conn> {
        let dial = async {
            match (to.network, &to.addr) {
                (Network::Tcp, _) => self.tcp(to, ask).await,
                (Network::Udp, _) => self.udp(to, ask).await,
                (Network::FakeTcp, _) => self.fake_tcp(to, ask).await,
                (Network::Unix, Addr::Path(path)) => {
                    let socket = UnixStream::connect(path)
                        .await
                        .map_err(|e| dial_error(e, path.display()))?;
                    Ok(Conn::stream(socket, Meta::new(Addr::Any, to.addr.clone())))
                }
                _ => Err(unsupported("dial", to, Phase::Dial)),
            }
        };
        ask.within("dial", to, dial)
            .await
            .map_err(|e| e.phase(Phase::Dial))
    }

    async fn bind(&self, at: &Target, _: &Ask, how: &BindOptions) -> Result<Box<dyn Listener>> {
        match at.network {
            Network::Tcp => {
                let door = Door::default();
                Ok(Box::new(
                    listen::tcp(&at.addr.to_string(), &listen::TcpOptions::default(), &door)
                        .await?,
                ))
            }
            Network::Udp => {
                let options = FlowOptions {
                    ttl: how.ttl,
                    queue: how.queue,
                    backlog: how.backlog,
                    ..FlowOptions::default()
                };
                udp::listen(&at.addr.to_string(), options, &Door::default()).await
            }
            Network::Unix => listen::unix(&at.addr.host(), None, &Door::default()),
            Network::Ip
            | Network::Serial
            | Network::FakeTcp
            | Network::Resolve
            | Network::ResolvePtr => Err(unsupported("listen on", at, Phase::Bind)),
        }
    }

    fn path(&self) -> PathId {
        PathId::direct()
    }
}

fn unsupported(what: &str, on: &Target, phase: Phase) -> Error {
    Error::new(
        Why::Unsupported,
        format!("{what} {on}: unsupported network"),
    )
    .phase(phase)
}
