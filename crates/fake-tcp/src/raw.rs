//! Raw sockets for TCP.

use std::{
    io::{self, IoSlice},
    net::{IpAddr, SocketAddr},
    task::{Context, Poll, ready},
};

use gost_core::{addr::Addr, packet::Batch};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::{io::Interest, net::UdpSocket};

use crate::{
    numbers::Numbers,
    segment::{Segment, header, is_intact},
};

/// No segment is longer, with its headers: one that is has not come over a network.
pub(crate) const LONGEST: usize = 2048;

/// What the system should keep of a burst until it is read, as far as it allows so much.
const BUFFER: usize = 4 << 20;

/// Opens a raw socket for TCP over IP of a family, which is to be given to this crate.
///
/// # Errors
/// [`PermissionDenied`](io::ErrorKind::PermissionDenied) without `CAP_NET_RAW`.
pub fn open(domain: Domain) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::RAW, Some(Protocol::TCP)).map_err(|error| {
        if error.kind() != io::ErrorKind::PermissionDenied {
            return error;
        }
        let what = "packets that look like TCP need raw sockets, which only root or a program with CAP_NET_RAW may open";
        io::Error::new(error.kind(), what)
    })?;
    socket.set_nonblocking(true)?;
    // A system that gives less is no error.
    let _ = socket.set_recv_buffer_size(BUFFER);
    Ok(socket)
}

/// A raw socket. To tokio it is one for datagrams, which is how it behaves.
#[derive(Debug)]
pub(crate) struct Raw {
    socket: UdpSocket,
    is_ipv4: bool,
}

/// A segment in the room of a batch.
pub(crate) struct Received {
    pub(crate) from: IpAddr,
    pub(crate) segment: Segment,
    /// Where it begins.
    start: usize,
}

impl Raw {
    pub(crate) fn new(socket: Socket) -> io::Result<Self> {
        let is_ipv4 = socket.domain()? == Domain::IPV4;
        Ok(Self {
            socket: UdpSocket::from_std(socket.into())?,
            is_ipv4,
        })
    }

    pub(crate) fn socket(&self) -> SockRef<'_> {
        SockRef::from(&self.socket)
    }

    /// Waits for a packet and puts it into the room; `None` when it is no segment.
    pub(crate) fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        into: &mut Batch,
    ) -> Poll<io::Result<Option<Received>>> {
        loop {
            ready!(self.socket.poll_recv_ready(cx))?;
            let room = into.room();
            let most = room.len().min(LONGEST);
            match self.socket.try_recv_from(&mut room[..most]) {
                Ok((len, from)) => return Poll::Ready(Ok(self.read(&room[..len], from.ip()))),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn read(&self, packet: &[u8], from: IpAddr) -> Option<Received> {
        // Those of IPv4 come with the header of IP.
        let start = match packet.first() {
            Some(first) if self.is_ipv4 => usize::from(first & 15) * 4,
            _ => 0,
        };
        let segment = Segment::parse(packet.get(start..)?)?;
        Some(Received {
            from,
            segment,
            start,
        })
    }

    /// Sends a segment with data from one end to the other.
    pub(crate) fn poll_send(
        &self,
        cx: &mut Context<'_>,
        (from, to): (SocketAddr, SocketAddr),
        numbers: &Numbers,
        data: &[u8],
    ) -> Poll<io::Result<()>> {
        let ends = (from.ip(), from.port(), to.ip(), to.port());
        let header = header(ends, numbers, data);
        let parts = [IoSlice::new(&header), IoSlice::new(data)];
        // In the address of a raw socket the port is a protocol, or nothing.
        let mut to = to;
        to.set_port(0);
        let to = to.into();
        loop {
            ready!(self.socket.poll_send_ready(cx))?;
            let send = || self.socket().send_to_vectored(&parts, &to);
            match self.socket.try_io(Interest::WRITABLE, send) {
                Ok(_) => return Poll::Ready(Ok(())),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl Received {
    /// Makes a datagram of the data, which is where it was received; false when it was damaged on
    /// its way to `local`, or when there is none.
    pub(crate) fn commit(&self, into: &mut Batch, local: IpAddr, from: Addr) -> bool {
        let Segment { header, len, .. } = self.segment;
        let segment = &into.room()[self.start..self.start + header + len];
        if len == 0 || !is_intact(self.from, local, segment) {
            return false;
        }
        into.pull(self.start + header, len, from);
        true
    }
}
