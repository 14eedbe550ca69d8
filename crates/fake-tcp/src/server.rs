//! The end that listens.

use std::{
    collections::HashMap,
    fmt, io,
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use gost_core::packet::{Batch, Packet, RawPacket};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use crate::{
    filter,
    numbers::Numbers,
    raw::{LONGEST, Raw},
    segment::{FIN, RST},
};

/// Connections at once.
const MOST: usize = 16_384;

/// Addresses of this machine that are spoken from at once.
const ADDRESSES: usize = 64;

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;

/// How often connections are looked at that may have ended.
const PAUSE: Duration = Duration::from_secs(5);

/// A connection over which nothing has ever come is closed after so long, and one that has been
/// silent: sessions that are alive give a sign far more often.
const MUTE: Duration = Duration::from_secs(15);
const SILENT: Duration = Duration::from_mins(10);

/// Opens a [raw](crate::open) socket for a family, whenever one is needed: in the right network
/// namespace, with what else it is to have.
pub type Open = Arc<dyn Fn(Domain) -> io::Result<Socket> + Send + Sync>;

/// Sockets that listen, but are not read yet.
pub struct Listening {
    tcp: TcpListener,
    raw: Vec<Socket>,
    open: Open,
}

impl Listening {
    /// Listens at an address; the IPv6 wildcard takes IPv4 too. It and what it opens must be in
    /// one network namespace.
    ///
    /// # Errors
    /// What the system says.
    pub fn bind(addr: SocketAddr, open: Open) -> io::Result<Self> {
        let tcp = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
        tcp.set_reuse_address(true)?;
        if addr.is_ipv6() {
            tcp.set_only_v6(false)?;
        }
        tcp.set_nonblocking(true)?;
        // Accepted sockets have it from the one that listens.
        tcp.attach_filter(&filter::no_data())?;
        tcp.bind(&addr.into())?;
        let port = tcp.local_addr()?.as_socket().map_or(0, |at| at.port());
        let mut raw = vec![open(Domain::for_address(addr))?];
        if addr.is_ipv6() && addr.ip().is_unspecified() {
            raw.push(open(Domain::IPV4)?);
        }
        for socket in &raw {
            let any = if socket.domain()? == Domain::IPV4 {
                IpAddr::from([0; 4])
            } else {
                IpAddr::from([0; 16])
            };
            socket.attach_filter(&filter::segments(any, Some(port), None))?;
        }
        if !addr.ip().is_unspecified() {
            let mut addr = addr;
            addr.set_port(0);
            raw[0].bind(&addr.into())?;
        }
        tcp.listen(BACKLOG)?;
        Ok(Self {
            tcp: tcp.into(),
            raw,
            open,
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Begins to serve, in a runtime.
    ///
    /// # Errors
    /// When the runtime takes no sockets.
    pub fn serve(self) -> io::Result<Server> {
        let raw: io::Result<_> = self.raw.into_iter().map(Raw::new).collect();
        let mut ticks = interval(PAUSE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Server {
            tcp: tokio::net::TcpListener::from_std(self.tcp)?,
            raw: raw?,
            open: self.open,
            senders: Vec::new(),
            flows: HashMap::new(),
            ticks,
        })
    }
}

/// Datagrams from and to whoever has connected.
pub struct Server {
    tcp: tokio::net::TcpListener,
    raw: Vec<Raw>,
    open: Open,
    /// Sockets to send with, for the addresses of this machine that somebody has connected to.
    senders: Vec<(IpAddr, Raw)>,
    /// By the peer's address.
    flows: HashMap<SocketAddr, Flow>,
    ticks: Interval,
}

/// A connection of somebody's.
struct Flow {
    tcp: TcpStream,
    local: SocketAddr,
    peer: SocketAddr,
    numbers: Numbers,
    heard: Instant,
    /// A segment came that may have ended the connection. The system sees it after us.
    in_doubt: bool,
}

impl Server {
    /// How many connections there are.
    #[cfg(test)]
    pub(crate) fn flows(&self) -> usize {
        self.flows.len()
    }

    /// Accepts those who wait.
    fn accept(&mut self) {
        // This asks the system and not the runtime, which may not know of them yet: whoever has
        // sent a datagram has connected before.
        loop {
            let accepted = SockRef::from(&self.tcp).accept();
            let Ok((socket, _)) = accepted else { break };
            self.enter(socket.into());
        }
    }

    fn enter(&mut self, tcp: TcpStream) {
        let (Ok(()), Ok(local), Ok(peer)) =
            (tcp.set_nonblocking(true), tcp.local_addr(), tcp.peer_addr())
        else {
            return;
        };
        let (local, peer) = (canonical(local), canonical(peer));
        if self.flows.len() >= MOST {
            tracing::debug!("{peer} is turned away: there are {MOST} connections");
            return;
        }
        if let Err(error) = self.add_sender(local.ip()) {
            tracing::warn!("{peer} can't be answered from {local}: {error}");
            return;
        }
        let flow = Flow {
            tcp,
            local,
            peer,
            numbers: Numbers::default(),
            heard: Instant::now(),
            in_doubt: false,
        };
        self.flows.insert(name(peer), flow);
    }

    /// Makes sure that there is a socket to send from an address with.
    fn add_sender(&mut self, local: IpAddr) -> io::Result<()> {
        if self.senders.iter().any(|(ip, _)| *ip == local) {
            return Ok(());
        }
        if self.senders.len() >= ADDRESSES {
            self.senders.remove(0);
        }
        let at = SocketAddr::new(local, 0);
        let socket = (self.open)(Domain::for_address(at))?;
        socket.attach_filter(&filter::nothing())?;
        socket.bind(&at.into())?;
        self.senders.push((local, Raw::new(socket)?));
        Ok(())
    }

    /// Lets go of connections that have ended.
    fn sweep(&mut self) {
        let now = Instant::now();
        self.flows.retain(|_, flow| {
            let silent = now - flow.heard;
            let most = if flow.numbers.known { SILENT } else { MUTE };
            if silent < PAUSE && !std::mem::take(&mut flow.in_doubt) {
                return true;
            }
            silent < most && !flow.has_ended()
        });
    }

    /// Receives from one of the sockets until there is nothing more, or no room.
    fn poll_raw(
        &mut self,
        number: usize,
        cx: &mut Context<'_>,
        into: &mut Batch,
    ) -> io::Result<()> {
        while into.room().len() >= LONGEST {
            let Poll::Ready(received) = self.raw[number].poll_recv(cx, into)? else {
                break;
            };
            let Some(received) = received else { continue };
            let segment = received.segment;
            let from = SocketAddr::new(received.from, segment.source);
            if !self.flows.contains_key(&from) {
                self.accept();
            }
            let Some(flow) = self.flows.get_mut(&from) else {
                continue;
            };
            if segment.has(FIN) || segment.has(RST) {
                flow.in_doubt = true;
            } else if received.commit(into, flow.local.ip(), from.into()) {
                flow.numbers.heard(&segment);
                flow.heard = Instant::now();
            }
        }
        Ok(())
    }

    fn poll_front(&mut self, cx: &mut Context<'_>, from: &Batch) -> Poll<io::Result<()>> {
        let Some((data, to)) = from.front() else {
            return Poll::Ready(Ok(()));
        };
        let flow = to.ip().and_then(|to| self.flows.get_mut(&name(to)));
        let Some(flow) = flow.filter(|flow| flow.numbers.known) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        let local = flow.local.ip();
        let Some((_, raw)) = self.senders.iter().find(|(ip, _)| *ip == local) else {
            return Poll::Ready(Err(io::ErrorKind::AddrNotAvailable.into()));
        };
        let sent = raw.poll_send(cx, (flow.local, flow.peer), &flow.numbers, data);
        if matches!(sent, Poll::Ready(Ok(()))) {
            flow.numbers.sent(data.len());
        }
        sent
    }
}

impl Flow {
    fn has_ended(&self) -> bool {
        let mut byte = [0];
        match io::Read::read(&mut &self.tcp, &mut byte) {
            Ok(len) => len == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        // A system that is made to be deaf could not end the connection in order.
        let _ = SockRef::from(&self.tcp).set_linger(Some(Duration::ZERO));
    }
}

impl Packet for Server {
    fn poll_recv(&mut self, cx: &mut Context<'_>, into: &mut Batch) -> Poll<io::Result<()>> {
        let before = into.len();
        // Who could not be accepted for want of something has another chance at the next tick.
        while self.ticks.poll_tick(cx).is_ready() {
            self.sweep();
            self.accept();
        }
        while let Poll::Ready(Ok((tcp, _))) = self.tcp.poll_accept(cx) {
            self.enter(tcp.into_std()?);
        }
        for number in 0..self.raw.len() {
            self.poll_raw(number, cx, into)?;
        }
        if into.len() > before {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, from: &mut Batch) -> Poll<io::Result<()>> {
        while !from.is_empty() {
            match self.poll_front(cx, from) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => tracing::debug!("a datagram is dropped: {error}"),
                Poll::Pending => return Poll::Pending,
            }
            from.advance(1);
        }
        Poll::Ready(Ok(()))
    }

    fn into_raw(self: Box<Self>) -> Result<RawPacket, Box<dyn Packet>> {
        Err(self)
    }
}

/// IPv4 as such, also where a socket of IPv6 took it.
fn canonical(addr: SocketAddr) -> SocketAddr {
    match addr.ip().to_canonical() {
        IpAddr::V6(_) => addr,
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, addr.port()),
    }
}

/// What a peer is called: without the interface that it is reached through, which raw sockets do
/// not tell.
fn name(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip(), peer.port())
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Server({:?}, {} connections)",
            self.tcp,
            self.flows.len()
        )
    }
}

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Listening({:?})", self.tcp)
    }
}
