//! Connections whose bytes are counted and limited.

use std::{
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use gost_core::{
    conn::{Conn, Io},
    meter::{self, Allowance, Direction, Meter},
    packet::{Batch, Packet, RawPacket},
    stream::{RawStream, Stream},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

use crate::udp::police;

/// How many batches that a limit drops are read before others get their turn.
const ROUNDS: usize = 16;

/// A client's connection under a meter, of which it gets one of its own.
#[must_use]
pub fn metered(conn: Conn, meter: &Meter) -> Conn {
    if meter.is_none() {
        return conn;
    }
    let io = match conn.io {
        Io::Stream(stream) => Io::Stream(Metered::wrap(stream, meter)),
        Io::Packet(packet) => Io::Packet(Box::new(MeteredPacket {
            inner: packet,
            meter: meter.of_one(),
        })),
        other => other,
    };
    Conn {
        io,
        meta: conn.meta,
    }
}

/// A client's stream with a meter at it. It gives the meter away with the socket, so that the
/// bytes can move in the kernel and still be counted.
pub struct Metered {
    inner: Box<dyn Stream>,
    meter: Meter,
    read_pause: Option<Pin<Box<Sleep>>>,
    write_pause: Option<Pin<Box<Sleep>>>,
}

impl Metered {
    /// `inner` under a meter, of which it gets one of its own; `inner` itself when the meter counts
    /// nothing.
    pub fn wrap(inner: Box<dyn Stream>, meter: &Meter) -> Box<dyn Stream> {
        Self::put_back(inner, meter.of_one())
    }

    /// `inner` under the meter that it has had before.
    pub(crate) fn put_back(inner: Box<dyn Stream>, meter: Meter) -> Box<dyn Stream> {
        if meter.is_none() {
            return inner;
        }
        Box::new(Self {
            inner,
            meter,
            read_pause: None,
            write_pause: None,
        })
    }
}

/// How much may move now; waits while nothing may.
fn poll_allowed(
    meter: &Meter,
    direction: Direction,
    want: usize,
    pause: &mut Option<Pin<Box<Sleep>>>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    loop {
        if let Some(sleep) = pause {
            ready!(sleep.as_mut().poll(cx));
            *pause = None;
        }
        match meter.allow(direction, want) {
            Allowance::Bytes(n) => return Poll::Ready(Ok(n.clamp(1, want.max(1)))),
            Allowance::After(wait) => *pause = Some(Box::pin(tokio::time::sleep(wait))),
            Allowance::Over => return Poll::Ready(Err(meter::used_up().into())),
        }
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let allowed = ready!(poll_allowed(
            &this.meter,
            Direction::In,
            buf.remaining(),
            &mut this.read_pause,
            cx
        ))?;
        if allowed >= buf.remaining() {
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
            this.meter.count(Direction::In, buf.filled().len() - before);
            return Poll::Ready(Ok(()));
        }
        let room = buf.initialize_unfilled_to(allowed);
        let mut part = ReadBuf::new(room);
        ready!(Pin::new(&mut this.inner).poll_read(cx, &mut part))?;
        let n = part.filled().len();
        buf.advance(n);
        this.meter.count(Direction::In, n);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let allowed = ready!(poll_allowed(
            &this.meter,
            Direction::Out,
            buf.len(),
            &mut this.write_pause,
            cx
        ))?;
        let n = ready!(Pin::new(&mut this.inner).poll_write(cx, &buf[..allowed.min(buf.len())]))?;
        this.meter.count(Direction::Out, n);
        Poll::Ready(Ok(n))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let want: usize = bufs.iter().map(|b| b.len()).sum();
        let allowed = ready!(poll_allowed(
            &this.meter,
            Direction::Out,
            want,
            &mut this.write_pause,
            cx
        ))?;
        let n = if allowed >= want {
            ready!(Pin::new(&mut this.inner).poll_write_vectored(cx, bufs))?
        } else {
            let first = bufs.iter().find(|b| !b.is_empty()).map_or(&[][..], |b| b);
            ready!(Pin::new(&mut this.inner).poll_write(cx, &first[..allowed.min(first.len())]))?
        };
        this.meter.count(Direction::Out, n);
        Poll::Ready(Ok(n))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

impl Stream for Metered {
    fn into_raw(self: Box<Self>) -> Result<RawStream, Box<dyn Stream>> {
        let Self { inner, meter, .. } = *self;
        match inner.into_raw() {
            Ok(mut raw) => {
                raw.meter = raw.meter.and(meter);
                Ok(raw)
            }
            Err(inner) => Err(Self::put_back(inner, meter)),
        }
    }

    fn abort(self: Box<Self>) {
        self.inner.abort();
    }

    fn half_close(&self) -> bool {
        self.inner.half_close()
    }
}

/// Datagrams of a client under a meter: what is above the limit is dropped.
struct MeteredPacket {
    inner: Box<dyn Packet>,
    meter: Meter,
}

impl MeteredPacket {
    fn check_over(&self, direction: Direction) -> io::Result<()> {
        match self.meter.allow(direction, 1) {
            Allowance::Over => Err(meter::used_up().into()),
            Allowance::Bytes(_) | Allowance::After(_) => Ok(()),
        }
    }
}

impl Packet for MeteredPacket {
    fn poll_recv(&mut self, cx: &mut Context<'_>, into: &mut Batch) -> Poll<io::Result<()>> {
        for _ in 0..ROUNDS {
            ready!(self.inner.poll_recv(cx, into))?;
            if into.is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.check_over(Direction::In)?;
            police(&self.meter, Direction::In, into);
            self.meter.count(Direction::In, into.bytes());
            // An empty batch would mean the end.
            if !into.is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, from: &mut Batch) -> Poll<io::Result<()>> {
        if from.is_empty() {
            return self.inner.poll_send(cx, from);
        }
        self.check_over(Direction::Out)?;
        police(&self.meter, Direction::Out, from);
        // Those that have to wait are counted when they go.
        let before = from.bytes();
        let sent = self.inner.poll_send(cx, from);
        self.meter.count(Direction::Out, before - from.bytes());
        sent
    }

    fn into_raw(self: Box<Self>) -> Result<RawPacket, Box<dyn Packet>> {
        Err(self)
    }
}

#[cfg(test)]
mod tests;
