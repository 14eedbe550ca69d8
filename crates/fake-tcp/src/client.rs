//! The end that connects.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use gost_core::packet::{Batch, Packet, RawPacket};
use socket2::{SockRef, Socket};
use tokio::{
    io::{AsyncRead, ReadBuf},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use crate::{
    filter,
    numbers::Numbers,
    raw::{LONGEST, Raw},
    segment::{ACK, RST, SYN},
};

/// How long the raw socket may take to show a handshake that the system has completed.
const PATIENCE: Duration = Duration::from_secs(5);

/// A conversation with one address.
pub struct Client {
    raw: Raw,
    /// What stands for the conversation at both systems; nothing is sent on it.
    tcp: TcpStream,
    local: SocketAddr,
    peer: SocketAddr,
    numbers: Numbers,
    dropped: u64,
}

impl Client {
    /// Connects a TCP socket, which may be bound, and speaks in its name with a
    /// [raw](crate::open) one of the same family and network namespace.
    ///
    /// # Errors
    /// Those of connecting; [`TimedOut`](io::ErrorKind::TimedOut) when the raw socket does not see
    /// what the other one does.
    pub async fn connect(raw: Socket, tcp: Socket, to: SocketAddr) -> io::Result<Self> {
        // The handshake has the first numbers, so the raw socket listens before it begins.
        raw.attach_filter(&filter::segments(to.ip(), None, Some(to.port())))?;
        tcp.attach_filter(&filter::no_data())?;
        let raw = Raw::new(raw)?;
        tcp.set_nonblocking(true)?;
        let tcp = TcpSocket::from_std_stream(tcp.into()).connect(to).await?;
        // Nobody would answer at a peer whose system is made to be silent.
        SockRef::from(&tcp).set_keepalive(false)?;
        let mut client = Self {
            local: tcp.local_addr()?,
            peer: to,
            raw,
            tcp,
            numbers: Numbers::default(),
            dropped: 0,
        };
        timeout(PATIENCE, std::future::poll_fn(|cx| client.poll_begin(cx)))
            .await
            .map_err(|_| {
                let what = "the raw socket does not see the handshake of the TCP connection";
                io::Error::new(io::ErrorKind::TimedOut, what)
            })??;
        let ports = (Some(client.local.port()), Some(to.port()));
        let socket = client.raw.socket();
        socket.attach_filter(&filter::segments(to.ip(), ports.0, ports.1))?;
        let mut local = client.local;
        local.set_port(0);
        socket.bind(&local.into())?;
        Ok(client)
    }

    /// The address that it sends from.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Looks for the answer to the first segment of the handshake.
    fn poll_begin(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut room = Batch::with_capacity(LONGEST);
        loop {
            let received = std::task::ready!(self.raw.poll_recv(cx, &mut room))?;
            if let Some(received) = received
                && self.is_ours(received.from, received.segment.source)
                && received.segment.destination == self.local.port()
                && received.segment.has(SYN | ACK)
            {
                self.numbers.heard(&received.segment);
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn is_ours(&self, from: IpAddr, port: u16) -> bool {
        from == self.peer.ip() && port == self.peer.port()
    }

    /// Ready when the TCP connection has ended.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut byte = [0];
            let mut buf = ReadBuf::new(&mut byte);
            std::task::ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut buf))?;
            if buf.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl Packet for Client {
    fn poll_recv(&mut self, cx: &mut Context<'_>, into: &mut Batch) -> Poll<io::Result<()>> {
        if self.poll_end(cx)?.is_ready() {
            return Poll::Ready(Ok(()));
        }
        let before = into.len();
        while into.room().len() >= LONGEST {
            let Poll::Ready(received) = self.raw.poll_recv(cx, into)? else {
                break;
            };
            let Some(received) = received else { continue };
            let segment = received.segment;
            if !self.is_ours(received.from, segment.source)
                || segment.destination != self.local.port()
            {
                continue;
            }
            // A system that knows nothing of the conversation, such as one that has begun anew.
            if segment.has(RST) && segment.seq == self.numbers.ack {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            if received.commit(into, self.local.ip(), self.peer.into()) {
                self.numbers.heard(&segment);
            }
        }
        if into.len() > before {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, from: &mut Batch) -> Poll<io::Result<()>> {
        let ends = (self.local, self.peer);
        while let Some((data, _)) = from.front() {
            match self.raw.poll_send(cx, ends, &self.numbers, data) {
                Poll::Ready(Ok(())) => self.numbers.sent(data.len()),
                Poll::Ready(Err(error)) => {
                    self.dropped += 1;
                    tracing::debug!("a datagram to {} is dropped: {error}", self.peer);
                }
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

impl Drop for Client {
    fn drop(&mut self) {
        // A system that is made to be deaf could not end the connection in order.
        let _ = SockRef::from(&self.tcp).set_linger(Some(Duration::ZERO));
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Client({} to {}, {} dropped)",
            self.local, self.peer, self.dropped
        )
    }
}
