//! A socket whose bytes are counted and limited.

use std::{
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use gost_core::{
    meter::{Allowance, Direction, Meter},
    stream::{RawStream, Stream},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

/// A client's stream with a meter at it. It gives the meter away with the socket, so that the
/// bytes can move in the kernel and still be counted.
pub struct Metered {
    inner: Box<dyn Stream>,
    meter: Meter,
    read_pause: Option<Pin<Box<Sleep>>>,
    write_pause: Option<Pin<Box<Sleep>>>,
}

impl Metered {
    /// `inner` under a meter; `inner` itself when the meter counts nothing.
    pub fn wrap(inner: Box<dyn Stream>, meter: Meter) -> Box<dyn Stream> {
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
) -> Poll<usize> {
    loop {
        if let Some(sleep) = pause {
            ready!(sleep.as_mut().poll(cx));
            *pause = None;
        }
        match meter.allow(direction, want) {
            Allowance::Bytes(n) => return Poll::Ready(n.clamp(1, want.max(1))),
            Allowance::After(wait) => *pause = Some(Box::pin(tokio::time::sleep(wait))),
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
        ));
        let room = buf.initialize_unfilled_to(allowed.min(buf.remaining()));
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
        ));
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
        ));
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
            Err(inner) => Err(Self::wrap(inner, meter)),
        }
    }

    fn abort(self: Box<Self>) {
        self.inner.abort();
    }

    fn half_close(&self) -> bool {
        self.inner.half_close()
    }
}
