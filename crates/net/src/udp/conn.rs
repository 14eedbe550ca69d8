//! A UDP socket as a conversation.

use std::{
    fmt, io,
    net::{SocketAddr, UdpSocket as StdSocket},
    sync::Arc,
    task::{Context, Poll, ready},
};

use gost_core::{
    addr::Addr,
    conn::{Conn, Meta},
    error::Result,
    listener::BoxFuture,
    packet::{Batch, Packet, RawPacket},
};
use tokio::net::UdpSocket;

use super::{
    book::{Book, Entry},
    port::{Port, To},
};

/// Turns the name that a datagram is addressed to into an address. It may refuse: that drops the
/// datagram.
pub type Resolve = Arc<dyn Fn(&Addr) -> BoxFuture<'static, Result<SocketAddr>> + Send + Sync>;

/// A UDP socket, connected or not.
///
/// On a connected one the addresses of datagrams that are sent don't matter. On another each needs
/// one: an IP address, or a name if there is something that [resolves](Self::with_resolver) it.
/// ICMP errors end nothing. Clones share the socket: each sends, one should receive.
pub struct UdpConn {
    port: Arc<Port>,
    peer: Option<SocketAddr>,
    /// How many datagrams the next call asks for.
    expect: u8,
    resolve: Option<Resolve>,
    names: Option<Box<Names>>,
}

/// What only conversations with names need.
struct Names {
    book: Book<Option<SocketAddr>>,
    /// Datagrams whose names have been resolved.
    ready: Batch,
}

impl UdpConn {
    /// A conversation over a socket, bound and possibly connected. It becomes non-blocking.
    pub fn new(socket: StdSocket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Self::from_tokio(UdpSocket::from_std(socket)?)
    }

    /// A conversation over a socket of tokio's.
    pub fn from_tokio(socket: UdpSocket) -> io::Result<Self> {
        let peer = socket.peer_addr().ok();
        let port = Arc::new(Port::new(socket)?);
        Ok(Self {
            peer,
            ..Self::of_port(port)
        })
    }

    /// A conversation over a port that is not connected.
    pub(super) fn of_port(port: Arc<Port>) -> Self {
        Self {
            port,
            peer: None,
            expect: 2,
            resolve: None,
            names: None,
        }
    }

    /// Resolves the names that datagrams are addressed to. Datagrams wait for it, some seconds and
    /// not many; answers are remembered for a minute.
    #[must_use]
    pub fn with_resolver(mut self, resolve: Resolve) -> Self {
        self.resolve = Some(resolve);
        self
    }

    /// The address of the socket.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.port.socket().local_addr()
    }

    /// The address that the socket is connected to.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// How many datagrams could not be sent, and were dropped.
    pub fn dropped(&self) -> u64 {
        self.port.drops().total()
    }

    /// A connection, with the addresses that the socket knows.
    pub fn into_conn(self) -> Conn {
        let local = self.local_addr().map_or(Addr::Any, Addr::from);
        let peer = self.peer.map_or(Addr::Any, Addr::from);
        Conn::packet(self, Meta::new(local, peer))
    }

    pub(super) fn into_port(self) -> Arc<Port> {
        self.port
    }

    fn to(&self) -> To {
        self.peer.map_or(To::Each, |_| To::Peer)
    }

    /// Sends what was waiting for names that are known by now.
    fn poll_names(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(names) = &mut self.names else {
            return Poll::Ready(Ok(()));
        };
        let Names { book, ready } = &mut **names;
        if book.is_asking() {
            let drops = self.port.drops();
            let mut late = Vec::new();
            book.poll(cx, None, |_, found, waiting| match found {
                Some(addr) => late.extend(waiting.into_iter().map(|p| (p, Addr::from(addr)))),
                None => drops.add(waiting.len(), "a name has no address"),
            });
            ready.extend(late);
        }
        if !ready.is_empty() {
            ready!(self.port.poll_send(cx, ready, To::Each))?;
            *ready = Batch::default();
        }
        Poll::Ready(Ok(()))
    }

    /// Puts addresses in the place of names. Takes out the datagrams that have to wait, and drops
    /// those that can't be addressed.
    fn resolve(&mut self, cx: &mut Context<'_>, from: &mut Batch) -> Poll<io::Result<()>> {
        let names = self.names.get_or_insert_with(|| {
            Box::new(Names {
                book: Book::new(),
                ready: Batch::default(),
            })
        });
        let (mut surplus, mut nowhere) = (0, 0);
        let resolve = self.resolve.as_ref();
        let book = &mut names.book;
        from.trim(0, |payload, addr| {
            if let Addr::Ip(_) = addr {
                return Some(0);
            }
            let (Addr::Name(..), Some(resolve)) = (&addr, resolve) else {
                nowhere += 1;
                return None;
            };
            let waits = match book.look(addr) {
                Entry::Known(Some(found)) => {
                    *addr = found.into();
                    return Some(0);
                }
                Entry::Known(None) => {
                    nowhere += 1;
                    return None;
                }
                Entry::Asked => book.hold(addr, payload),
                Entry::Unknown => {
                    let answer = resolve(addr);
                    book.ask(addr.clone(), Box::pin(async move { answer.await.ok() }))
                        && book.hold(addr, payload)
                }
            };
            surplus += usize::from(!waits);
            None
        });
        let drops = self.port.drops();
        drops.add(nowhere, "a name has no address");
        drops.add(surplus, "too many wait for names");
        // Polls the new questions too.
        self.poll_names(cx)
    }
}

impl Packet for UdpConn {
    fn poll_recv(&mut self, cx: &mut Context<'_>, into: &mut Batch) -> Poll<io::Result<()>> {
        // Whether that can send or has to wait is no matter here.
        let _ = self.poll_names(cx)?;
        self.port.poll_recv(cx, into, &mut self.expect)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, from: &mut Batch) -> Poll<io::Result<()>> {
        let to = self.to();
        if matches!(to, To::Each) {
            ready!(self.poll_names(cx))?;
            if from.iter().any(|(_, addr)| addr.ip().is_none()) {
                ready!(self.resolve(cx, from))?;
            }
        }
        self.port.poll_send(cx, from, to)
    }

    fn into_raw(self: Box<Self>) -> Result<RawPacket, Box<dyn Packet>> {
        if self.resolve.is_some() {
            return Err(self);
        }
        Ok(self)
    }
}

impl fmt::Debug for UdpConn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdpConn")
            .field("socket", self.port.socket())
            .finish_non_exhaustive()
    }
}
