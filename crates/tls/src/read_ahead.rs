//! Large reads below a reader that makes small ones.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use gost_core::{
    buffer::{Buffer, Demand},
    stream::Stream,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that is read in large pieces, into a buffer that it has only while there are bytes in
/// it.
///
/// The TLS library reads 4 KiB at a time, five times for each record, and every such read would
/// be a system call.
pub(crate) struct ReadAhead {
    inner: Box<dyn Stream>,
    held: Option<Held>,
    demand: Demand,
}

struct Held {
    buffer: Buffer,
    start: usize,
    end: usize,
}

impl ReadAhead {
    pub(crate) fn new(inner: Box<dyn Stream>) -> Self {
        Self {
            inner,
            held: None,
            demand: Demand::new(),
        }
    }

    /// True while bytes that were read are not yet taken.
    pub(crate) fn holds_bytes(&self) -> bool {
        self.held.is_some()
    }

    /// Ends both directions as an error.
    pub(crate) fn abort(self) {
        self.inner.abort();
    }

    /// As for what is below.
    pub(crate) fn half_close(&self) -> bool {
        self.inner.half_close()
    }
}

impl AsyncRead for ReadAhead {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let mut held = if let Some(held) = this.held.take() {
            held
        } else {
            let mut buffer = Buffer::take(this.demand.is_large());
            let mut read = ReadBuf::new(&mut buffer);
            ready!(Pin::new(&mut this.inner).poll_read(cx, &mut read))?;
            let end = read.filled().len();
            this.demand.note(end);
            Held {
                buffer,
                start: 0,
                end,
            }
        };
        let n = buf.remaining().min(held.end - held.start);
        buf.put_slice(&held.buffer[held.start..held.start + n]);
        held.start += n;
        if held.start < held.end {
            this.held = Some(held);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ReadAhead {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
