//! The way out that has no node: it dials and listens on this machine.

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use async_trait::async_trait;
use futures_util::{StreamExt, stream::FuturesUnordered};
use gost_core::{
    addr::{Addr, Network, Target},
    conn::{Conn, Meta},
    error::{Error, Phase, Result, Side, Why},
    listener::Listener,
    outbound::{Ask, BindOptions, Outbound, PathId},
    policy::{Asker, BypassQuery, Family},
    routing::Names,
};
use tokio::{
    net::{TcpSocket, TcpStream, UnixStream},
    time::Duration,
};

/// How long an address may take before the next one is tried beside it (RFC 8305, section 8).
const HEAD_START: Duration = Duration::from_millis(250);

/// How sockets are opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketOptions {
    /// Interfaces or addresses to send from, tried in order; a trailing `!` allows no other way.
    pub interface: String,
    /// `SO_MARK`, unless 0.
    pub mark: u32,
    /// The network namespace to dial in: a name, or the path of a namespace file.
    pub netns: Option<Arc<str>>,
    /// Send a PROXY header of this version after connecting, unless 0.
    pub proxy_protocol: u8,
}

/// Dials and listens here.
#[derive(Debug, Default)]
pub struct Sockets {
    options: SocketOptions,
}

impl Sockets {
    /// Sockets with options.
    pub const fn new(options: SocketOptions) -> Self {
        Self { options }
    }

    /// All addresses of a target that the rules allow.
    async fn addresses(&self, to: &Target, ask: &Ask) -> Result<Vec<SocketAddr>> {
        match &to.addr {
            Addr::Ip(addr) => Ok(vec![*addr]),
            // An empty host is this machine.
            Addr::Name(name, port) if name.is_empty() => {
                Ok(vec![(Ipv4Addr::LOCALHOST, *port).into()])
            }
            Addr::Name(name, port) => {
                let unresolved = |cause: &dyn fmt::Display| {
                    Error::new(Why::Unresolved, format!("resolve {name}: {cause}"))
                        .phase(Phase::Resolve)
                        .side(Side::Target)
                };
                let found: Vec<_> = tokio::net::lookup_host((&**name, *port))
                    .await
                    .map_err(|e| unresolved(&e))?
                    .collect();
                if found.is_empty() {
                    return Err(unresolved(&"no address"));
                }
                allowed(found, to, ask).await
            }
            Addr::Any | Addr::Path(_) => Err(Error::new(
                Why::BadInput,
                format!("dial {to}: not an address of a host"),
            )
            .phase(Phase::Dial)),
        }
    }

    async fn tcp(&self, to: &Target, ask: &Ask) -> Result<Conn> {
        let addresses = self.addresses(to, ask).await?;
        let socket = match addresses[..] {
            [one] => self.tcp_to(one).await,
            _ => self.race(&addresses).await,
        }?;
        socket.set_nodelay(true)?;
        let meta = Meta::new(socket.local_addr()?.into(), socket.peer_addr()?.into());
        Ok(Conn::stream(socket, meta))
    }

    async fn tcp_to(&self, to: SocketAddr) -> Result<TcpStream> {
        let connect = async {
            let socket = if to.is_ipv4() {
                TcpSocket::new_v4()
            } else {
                TcpSocket::new_v6()
            }?;
            socket.connect(to).await
        };
        connect.await.map_err(|e| dial_error(e, to))
    }

    /// The first address that answers; each gets a head start before the next is tried beside it.
    async fn race(&self, addresses: &[SocketAddr]) -> Result<TcpStream> {
        let mut attempts = FuturesUnordered::new();
        let mut rest = interleave(addresses).into_iter();
        let mut failed = None;
        loop {
            if let Some(next) = rest.next() {
                attempts.push(self.tcp_to(next));
            } else if attempts.is_empty() {
                return Err(failed.unwrap_or_else(|| Error::new(Why::Unresolved, "no address")));
            }
            let more = rest.len() > 0;
            tokio::select! {
                Some(result) = attempts.next() => match result {
                    Ok(socket) => return Ok(socket),
                    Err(error) => failed = Some(error),
                },
                () = tokio::time::sleep(HEAD_START), if more => {}
            }
        }
    }
}

/// Families in turn, the first address's family first (RFC 8305, section 4).
fn interleave(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let first_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut first, mut second): (Vec<SocketAddr>, Vec<SocketAddr>) =
        addresses.iter().partition(|a| a.is_ipv6() == first_v6);
    first.reverse();
    second.reverse();
    let mut order = Vec::with_capacity(addresses.len());
    while !first.is_empty() || !second.is_empty() {
        order.extend(first.pop());
        order.extend(second.pop());
    }
    order
}

/// Those of the addresses a name resolved to that the client's rules allow.
async fn allowed(found: Vec<SocketAddr>, to: &Target, ask: &Ask) -> Result<Vec<SocketAddr>> {
    let Some(bypass) = &ask.bypass else {
        return Ok(found);
    };
    let mut kept = Vec::with_capacity(found.len());
    let asker = Asker {
        session: ask.session,
        ..Asker::default()
    };
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
        return Err(Error::new(
            Why::Denied,
            format!("dial {to}: every address is forbidden by a bypass"),
        )
        .phase(Phase::Dial));
    }
    Ok(kept)
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
                (Network::Unix, Addr::Path(path)) => {
                    let socket = UnixStream::connect(path)
                        .await
                        .map_err(|e| dial_error(e, path.display()))?;
                    Ok(Conn::stream(socket, Meta::new(Addr::Any, to.addr.clone())))
                }
                _ => Err(
                    Error::new(Why::Unsupported, format!("dial {to}: unsupported network"))
                        .phase(Phase::Dial),
                ),
            }
        };
        ask.within("dial", to, dial)
            .await
            .map_err(|e| e.phase(Phase::Dial))
    }

    async fn bind(&self, at: &Target, _ask: &Ask, _how: &BindOptions) -> Result<Box<dyn Listener>> {
        match at.network {
            Network::Tcp => {
                let door = gost_core::build::Door::default();
                let options = crate::listen::TcpOptions::default();
                Ok(Box::new(
                    crate::listen::tcp(&at.addr.to_string(), &options, &door).await?,
                ))
            }
            _ => Err(Error::new(
                Why::Unsupported,
                format!("listen on {at}: unsupported network"),
            )
            .phase(Phase::Bind)),
        }
    }

    fn path(&self) -> PathId {
        PathId::direct()
    }
}

/// Resolves an address with a table and a resolver, or else the system's; IPv4 first.
///
/// An empty host is this machine.
pub async fn resolve(addr: &Addr, names: &Names, family: Family) -> Result<SocketAddr> {
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
    let unresolved = |cause: &dyn fmt::Display| {
        Error::new(Why::Unresolved, format!("resolve {name}: {cause}"))
            .phase(Phase::Resolve)
            .side(Side::Target)
    };
    if let Some(hosts) = &names.hosts
        && let Some(found) = hosts.lookup(name, family).await
        && let Some(ip) = found.first()
    {
        return Ok((*ip, port).into());
    }
    if let Some(resolver) = &names.resolver {
        let found = resolver.resolve(name, family).await?;
        return found
            .first()
            .map(|ip| (*ip, port).into())
            .ok_or_else(|| unresolved(&"no address"));
    }
    let fits = |addr: &SocketAddr| match family {
        Family::Any => true,
        Family::V4 => addr.is_ipv4(),
        Family::V6 => addr.is_ipv6(),
    };
    let mut found: Vec<_> = tokio::net::lookup_host((&**name, port))
        .await
        .map_err(|e| unresolved(&e))?
        .filter(fits)
        .collect();
    found.sort_by_key(SocketAddr::is_ipv6);
    found
        .first()
        .copied()
        .ok_or_else(|| unresolved(&"no address"))
}

/// Opens something in a network namespace: on a thread of its own, since entering one changes
/// the thread.
pub(crate) fn in_netns<T: Send>(
    netns: Option<&str>,
    open: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    let Some(name) = netns else { return open() };
    let path = if name.starts_with('/') {
        name.into()
    } else {
        format!("/run/netns/{name}")
    };
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                let file = std::fs::File::open(&path).map_err(|e| {
                    io::Error::new(e.kind(), format!("network namespace {path}: {e}"))
                })?;
                nix::sched::setns(file, nix::sched::CloneFlags::CLONE_NEWNET)?;
                open()
            })
            .join()
            .unwrap_or_else(|_| {
                Err(io::Error::other(
                    "the thread in the network namespace failed",
                ))
            })
    })
}
