//! A UDP socket and the system calls on it: many datagrams at a time.

use std::{
    cell::RefCell,
    fmt,
    io::{self, ErrorKind, IoSlice, IoSliceMut},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket as StdSocket},
    os::fd::AsRawFd as _,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use gost_core::{
    addr::Addr,
    packet::{Batch, MIN_ROOM},
};
use nix::{
    errno::Errno,
    sys::socket::{
        ControlMessage, MsgFlags, MultiHeaders, SockaddrStorage, sendmmsg, sendmsg, setsockopt,
        sockopt,
    },
};
use quinn_udp::{RecvMeta, UdpSocketState};
use tokio::{io::Interest, net::UdpSocket};

use super::{
    arena::{MOST, STRIDE},
    drops::Drops,
};

/// The most bytes that one segmented send takes: the longest packet less the headers of IPv6.
const MOST_SEGMENTED: usize = 65_487;

/// The most datagrams that one segmented send takes (`UDP_MAX_SEGMENTS` of older kernels).
const MOST_SEGMENTS: usize = 64;

/// Below this length a refused segmented send is not about the length: the device can't do it.
const LEAST_SEGMENT: usize = 1_200;

/// How often one poll tries a socket that says it takes datagrams and does not.
const TRIES: usize = 3;

/// A UDP socket that many may send on at once.
pub(crate) struct Port {
    socket: UdpSocket,
    /// An IPv6 socket, which takes IPv4 addresses only in their mapped form.
    v6: bool,
    /// The longest datagrams that are sent segmented.
    longest_segment: AtomicUsize,
    drops: Drops,
}

/// Where datagrams are sent.
#[derive(Clone, Copy)]
pub(crate) enum To {
    /// To the peer that the socket is connected to.
    Peer,
    /// All to one address.
    One(SocketAddr),
    /// Each to its own address, which must be an IP address.
    Each,
}

/// The receiver, which is the same for all sockets. `quinn-udp` would set each socket up for QUIC,
/// that is, forbid fragments and ask for marks that nobody reads: so it gets one to itself.
fn receiver() -> io::Result<&'static UdpSocketState> {
    static RECEIVER: OnceLock<UdpSocketState> = OnceLock::new();
    if let Some(receiver) = RECEIVER.get() {
        return Ok(receiver);
    }
    let socket = StdSocket::bind((Ipv4Addr::LOCALHOST, 0))
        .or_else(|_| StdSocket::bind((Ipv6Addr::LOCALHOST, 0)))?;
    let made = UdpSocketState::new((&socket).into())?;
    Ok(RECEIVER.get_or_init(|| made))
}

impl Port {
    pub(crate) fn new(socket: UdpSocket) -> io::Result<Self> {
        receiver()?;
        let local = socket.local_addr()?;
        // A kernel without it delivers the datagrams one by one.
        let _ = setsockopt(&socket, sockopt::UdpGroSegment, &true);
        Ok(Self {
            v6: local.is_ipv6(),
            longest_segment: AtomicUsize::new(MOST_SEGMENTED),
            drops: Drops::new(format!("udp {local}")),
            socket,
        })
    }

    pub(crate) fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    pub(crate) fn drops(&self) -> &Drops {
        &self.drops
    }

    /// Waits for datagrams and appends them to `into`. `expect` is how many to ask for; it follows
    /// what comes, so that a quiet socket does not pay for a busy one.
    pub(crate) fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        into: &mut Batch,
        expect: &mut u8,
    ) -> Poll<io::Result<()>> {
        let Some(spare) = into.room().len().checked_sub(MIN_ROOM) else {
            return Poll::Ready(Err(ErrorKind::InvalidInput.into()));
        };
        // Asked for two, a socket that gives one is known to be empty.
        let places = (spare / STRIDE + 1)
            .min(usize::from(*expect).max(2))
            .min(MOST);
        let mut metas = [RecvMeta::default(); MOST];
        let count = {
            let mut parts = into.room().chunks_mut(STRIDE);
            let mut buffers: [IoSliceMut<'_>; MOST] =
                std::array::from_fn(|_| IoSliceMut::new(parts.next().unwrap_or_default()));
            ready!(self.poll_fill(cx, &mut buffers[..places], &mut metas))?
        };
        *expect = if count == places {
            (places * 2).min(MOST) as u8
        } else {
            (places / 2).max(count + 1) as u8
        };
        // Whatever is taken moves the room on, and so closer to the next place.
        let mut taken = 0;
        for (place, meta) in metas[..count].iter().enumerate() {
            let (addr, gap) = (address(meta.addr), place * STRIDE - taken);
            // Several datagrams are as long as the first, but for the last.
            let size = meta.stride.clamp(1, meta.len.max(1));
            let mut left = meta.len;
            while left > size {
                into.pull(gap, size, addr.clone());
                left -= size;
            }
            into.pull(gap, left, addr);
            taken += meta.len;
        }
        Poll::Ready(Ok(()))
    }

    /// Receives into `buffers`, at least one datagram, or several of one length from one peer, in
    /// each.
    fn poll_fill(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let receiver = receiver()?;
        loop {
            ready!(self.socket.poll_recv_ready(cx))?;
            let mut count = 0;
            let result = self.socket.try_io(Interest::READABLE, || {
                count = receiver.recv((&self.socket).into(), buffers, metas)?;
                // A socket that gives less than was asked for is empty, which saves a call that
                // would only say so. What comes in between shows up as new readiness.
                if count < buffers.len() {
                    Err(ErrorKind::WouldBlock.into())
                } else {
                    Ok(())
                }
            });
            match result {
                _ if count > 0 => return Poll::Ready(Ok(count)),
                Err(e) if is_final(&e) => return Poll::Ready(Err(e)),
                // Empty, or an ICMP message about something sent earlier, which ends nothing.
                Ok(()) | Err(_) => {}
            }
        }
    }

    /// Sends from the front of `from` until nothing is left. What can't be sent is dropped and
    /// counted. Only one waiting sender is woken: several have to share a waker.
    pub(crate) fn poll_send(
        &self,
        cx: &mut Context<'_>,
        from: &mut Batch,
        to: To,
    ) -> Poll<io::Result<()>> {
        // Sockets nearly always take a datagram: ask the socket itself first.
        if self.send(from, to) {
            return Poll::Ready(Ok(()));
        }
        for _ in 0..TRIES {
            ready!(self.socket.poll_send_ready(cx))?;
            let sent = self.socket.try_io(Interest::WRITABLE, || {
                if self.send(from, to) {
                    Ok(())
                } else {
                    Err(ErrorKind::WouldBlock.into())
                }
            });
            if sent.is_ok() {
                return Poll::Ready(Ok(()));
            }
        }
        // After an ICMP error a socket calls itself ready for ever: let others work meanwhile.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Sends without waiting. True when nothing is left.
    pub(crate) fn send(&self, from: &mut Batch, to: To) -> bool {
        while !from.is_empty() {
            match self.send_some(from, to) {
                Ok(n) => from.advance(n),
                Err(Errno::EAGAIN) => return false,
                Err(errno) => {
                    self.drops.add(1, errno.desc());
                    from.advance(1);
                }
            }
        }
        true
    }

    /// Sends some datagrams from the front with one system call, and says how many.
    fn send_some(&self, from: &Batch, to: To) -> nix::Result<usize> {
        let Some((first, _)) = from.front() else {
            return Ok(0);
        };
        let size = first.len();
        if size > 0 && size <= self.longest_segment.load(Relaxed) {
            let n = from.run(MOST_SEGMENTS.min(MOST_SEGMENTED / size));
            if n > 1 {
                match self.send_segmented(from, n, size as u16, to) {
                    // The datagrams are sent one by one instead.
                    Err(Errno::EINVAL | Errno::EIO | Errno::EMSGSIZE) => {
                        let longest = if size > LEAST_SEGMENT { size - 1 } else { 0 };
                        self.longest_segment.fetch_min(longest, Relaxed);
                    }
                    other => return other,
                }
            }
        }
        again(|| self.send_each(from, to))
    }

    fn send_segmented(&self, from: &Batch, n: usize, size: u16, to: To) -> nix::Result<usize> {
        let to = self.destination(from.front().map(|(_, addr)| addr), to)?;
        let bytes = [IoSlice::new(from.run_bytes(n))];
        let segments = [ControlMessage::UdpGsoSegments(&size)];
        again(|| {
            let fd = self.socket.as_raw_fd();
            sendmsg(fd, &bytes, &segments, MsgFlags::empty(), to.as_ref()).map(|_| n)
        })
    }

    fn send_each(&self, from: &Batch, to: To) -> nix::Result<usize> {
        thread_local! {
            static HEADERS: RefCell<MultiHeaders<SockaddrStorage>> =
                RefCell::new(MultiHeaders::preallocate(MOST, None));
        }
        let mut parts: [[IoSlice<'_>; 1]; MOST] = std::array::from_fn(|_| [IoSlice::new(&[])]);
        let mut addrs: [Option<SockaddrStorage>; MOST] = [None; MOST];
        let mut n = 0;
        for (payload, addr) in from.iter().take(MOST) {
            addrs[n] = match self.destination(Some(addr), to) {
                Ok(addr) => addr,
                // The datagrams before this one go first; then it fails by itself.
                Err(_) if n > 0 => break,
                Err(errno) => return Err(errno),
            };
            parts[n] = [IoSlice::new(payload)];
            n += 1;
        }
        HEADERS.with_borrow_mut(|headers| {
            let fd = self.socket.as_raw_fd();
            let (parts, none): (_, [ControlMessage<'_>; 0]) = (&parts[..n], []);
            sendmmsg(fd, headers, parts, &addrs[..n], none, MsgFlags::empty()).map(Iterator::count)
        })
    }

    /// The destination of a datagram in the form that the socket takes; none for the peer.
    fn destination(&self, addr: Option<&Addr>, to: To) -> nix::Result<Option<SockaddrStorage>> {
        let addr = match to {
            To::Peer => return Ok(None),
            To::One(addr) => addr,
            To::Each => addr.and_then(Addr::ip).ok_or(Errno::EDESTADDRREQ)?,
        };
        let canonical = addr.ip().to_canonical();
        let fitting = match (self.v6, addr, canonical) {
            (true, SocketAddr::V6(_), _) => addr,
            (true, SocketAddr::V4(v4), _) => {
                SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port())
            }
            (false, _, IpAddr::V4(_)) => SocketAddr::new(canonical, addr.port()),
            (false, _, IpAddr::V6(_)) => return Err(Errno::EAFNOSUPPORT),
        };
        Ok(Some(fitting.into()))
    }
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Port").field(&self.socket).finish()
    }
}

/// Sends once more when an earlier datagram's ICMP error was in the way.
fn again(mut send: impl FnMut() -> nix::Result<usize>) -> nix::Result<usize> {
    match send() {
        Err(Errno::ECONNREFUSED | Errno::EHOSTUNREACH | Errno::ENETUNREACH | Errno::EINTR) => {
            send()
        }
        other => other,
    }
}

/// True for an error that a socket does not get over.
fn is_final(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(Errno::EBADF | Errno::ENOTSOCK | Errno::EINVAL | Errno::EFAULT | Errno::ENOTCONN)
    )
}

/// The address of a peer, IPv4 as IPv4. That of a link keeps its scope: nothing else leads back.
fn address(addr: SocketAddr) -> Addr {
    match addr {
        SocketAddr::V6(v6) if v6.ip().to_ipv4_mapped().is_none() => {
            Addr::Ip(SocketAddrV6::new(*v6.ip(), v6.port(), 0, v6.scope_id()).into())
        }
        addr => addr.into(),
    }
}
