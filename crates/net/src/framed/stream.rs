//! Datagrams in a byte stream.

use std::{
    cell::RefCell,
    fmt,
    io::{self, ErrorKind},
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use gost_core::{
    addr::Addr,
    error::{Error, Phase},
    packet::{Batch, MIN_ROOM, Packet, RawPacket},
    stream::Stream,
};
use gost_relay::udp;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use super::address::{from_wire, to_wire};
use crate::udp::Drops;

/// How many bytes of frames one write takes at most, but for the frame that goes beyond.
const WRITE: usize = 64 * 1024;

/// A conversation whose datagrams are frames of a byte stream.
///
/// Each batch is one write, as far as the stream takes it. A frame that does not follow the format
/// ends the conversation with an error, because nothing says where the next one begins. When
/// dropped, the stream is shut down as far as that needs no waiting.
pub struct Framed {
    stream: Box<dyn Stream>,
    format: Format,
    /// The beginning of a frame that has not arrived in whole.
    rest: Vec<u8>,
    /// Bytes that are still to be written.
    owed: Vec<u8>,
    /// Written, but perhaps not sent on by the stream.
    unflushed: bool,
    broken: bool,
    last: Addr,
    drops: Drops,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// Length and payload.
    Plain,
    /// Length, `ff`, address and payload.
    Addressed,
}

impl Framed {
    /// Datagrams with one peer, without addresses: each is a length of two bytes, big endian, and
    /// its payload. Used by relay for UDP targets and forwarding.
    pub fn connected(stream: Box<dyn Stream>) -> Self {
        Self::new(stream, Format::Plain)
    }

    /// Datagrams with addresses: the length in the place of RSV in the header of SOCKS5 UDP, FRAG
    /// `ff`. Used by relay's bind and association, by the UDP tunnel of SOCKS5 and over HTTP.
    ///
    /// The format has no empty datagrams: they are dropped.
    pub fn addressed(stream: Box<dyn Stream>) -> Self {
        Self::new(stream, Format::Addressed)
    }

    fn new(stream: Box<dyn Stream>, format: Format) -> Self {
        Self {
            stream,
            format,
            rest: Vec::new(),
            owed: Vec::new(),
            unflushed: false,
            broken: false,
            last: Addr::Any,
            drops: Drops::new("udp over a stream"),
        }
    }

    /// How many datagrams could not be put into a frame, and were dropped.
    pub fn dropped(&self) -> u64 {
        self.drops.total()
    }

    /// Makes datagrams of the `filled` first bytes of the room, and keeps what is left of them.
    fn unpack(&mut self, into: &mut Batch, mut filled: usize) -> Result<(), Error> {
        // Headers that were passed leave a gap, which each datagram closes.
        let mut gap = 0;
        loop {
            let bytes = &into.room()[gap..filled];
            let (addr, header, len) = match self.format {
                Format::Plain => match udp::decode_frame(bytes) {
                    None => break,
                    Some((payload, used)) => (Addr::Any, used - payload.len(), payload.len()),
                },
                Format::Addressed => match udp::decode_tunnel(bytes) {
                    Ok(None) => break,
                    Ok(Some(datagram)) => {
                        let addr = from_wire(datagram.address, &self.last);
                        let len = datagram.payload.len();
                        (addr, datagram.len - len, len)
                    }
                    Err(e) => {
                        return Err(Error::bad_input("a broken frame of datagrams")
                            .phase(Phase::Relay)
                            .caused_by(e));
                    }
                },
            };
            if self.last != addr {
                self.last.clone_from(&addr);
            }
            gap += header;
            into.pull(gap, len, addr);
            filled -= len;
        }
        self.rest.clear();
        self.rest.extend_from_slice(&into.room()[gap..filled]);
        if self.rest.is_empty() {
            self.rest = Vec::new();
        }
        Ok(())
    }

    /// Puts datagrams from the front of `from` into frames, up to what one write takes.
    fn pack(&mut self, from: &mut Batch, frames: &mut Vec<u8>) {
        let mut packed = 0;
        let mut dropped = 0;
        for (payload, addr) in from.iter() {
            if frames.len() >= WRITE {
                break;
            }
            let done = match self.format {
                Format::Plain => udp::encode_frame(payload, frames).is_ok(),
                Format::Addressed => to_wire(addr)
                    .is_some_and(|addr| udp::encode_tunnel(addr, payload, frames).is_ok()),
            };
            dropped += usize::from(!done);
            packed += 1;
        }
        from.advance(packed);
        self.drops.add(dropped, "frames can't carry them");
    }

    /// Writes and flushes what is owed.
    fn poll_owed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.owed.is_empty() {
            let n = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.owed))?;
            if n == 0 {
                return Poll::Ready(Err(ErrorKind::WriteZero.into()));
            }
            self.owed.drain(..n);
        }
        self.owed = Vec::new();
        if self.unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes frames; what the stream does not take is owed.
    fn write(&mut self, cx: &mut Context<'_>, frames: &[u8]) -> io::Result<()> {
        let mut written = 0;
        self.unflushed = true;
        while written < frames.len() {
            match Pin::new(&mut self.stream).poll_write(cx, &frames[written..]) {
                Poll::Ready(Ok(0)) => return Err(ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(n)) => written += n,
                Poll::Ready(Err(e)) => return Err(e),
                Poll::Pending => break,
            }
        }
        self.owed = frames[written..].to_vec();
        Ok(())
    }

    fn poll_frames(&mut self, cx: &mut Context<'_>, from: &mut Batch) -> Poll<io::Result<()>> {
        thread_local! {
            static FRAMES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        loop {
            ready!(self.poll_owed(cx))?;
            if from.is_empty() {
                return Poll::Ready(Ok(()));
            }
            // Taken, not borrowed: the stream may be such a conversation's carrier itself.
            let mut frames = FRAMES.take();
            self.pack(from, &mut frames);
            let written = self.write(cx, &frames);
            frames.clear();
            FRAMES.set(frames);
            written?;
        }
    }

    fn poll_unpacked(&mut self, cx: &mut Context<'_>, into: &mut Batch) -> Poll<io::Result<()>> {
        let before = into.len();
        while into.len() == before {
            let kept = self.rest.len();
            let room = into.room();
            if room.len() < MIN_ROOM {
                return Poll::Ready(Err(ErrorKind::InvalidInput.into()));
            }
            let mut buffer = ReadBuf::new(&mut room[kept..]);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
            let n = buffer.filled().len();
            if n == 0 {
                return Poll::Ready(match kept {
                    0 => Ok(()),
                    _ => Err(ErrorKind::UnexpectedEof.into()),
                });
            }
            room[..kept].copy_from_slice(&self.rest);
            self.unpack(into, kept + n)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl Packet for Framed {
    fn poll_recv(&mut self, cx: &mut Context<'_>, into: &mut Batch) -> Poll<io::Result<()>> {
        if self.broken {
            return Poll::Ready(Ok(()));
        }
        let received = ready!(self.poll_unpacked(cx, into));
        self.broken |= received.is_err();
        Poll::Ready(received)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, from: &mut Batch) -> Poll<io::Result<()>> {
        let sent = ready!(self.poll_frames(cx, from));
        self.broken |= sent.is_err();
        Poll::Ready(sent)
    }

    fn into_raw(self: Box<Self>) -> Result<RawPacket, Box<dyn Packet>> {
        Err(self)
    }
}

impl Drop for Framed {
    fn drop(&mut self) {
        if !self.broken && self.owed.is_empty() {
            // Nobody is left who could wait for it.
            let mut cx = Context::from_waker(Waker::noop());
            let _ = Pin::new(&mut self.stream).poll_shutdown(&mut cx);
        }
    }
}

impl fmt::Debug for Framed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Framed")
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}
