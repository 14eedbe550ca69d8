//! Large reads below a reader that makes small ones.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use gost_core::stream::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much one read takes: what 64 KiB become in four records, of which each costs some 30 bytes
/// more. Less would leave an end of the last to a read of its own.
const SIZE: usize = 65 * 1024;

/// More buffers than this are given back to the allocator.
const KEPT: usize = 4;

thread_local! {
    /// The buffers of a thread: a connection has one only while it holds bytes.
    static POOL: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// A stream that is read in large pieces, into a buffer that it has only while there are bytes in
/// it.
///
/// The TLS library reads 4 KiB at a time, five times for each record, and every such read would
/// be a system call.
pub(crate) struct ReadAhead {
    inner: Box<dyn Stream>,
    held: Option<Held>,
}

struct Held {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl ReadAhead {
    pub(crate) fn new(inner: Box<dyn Stream>) -> Self {
        Self { inner, held: None }
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

fn take() -> Box<[u8]> {
    POOL.with_borrow_mut(Vec::pop)
        .unwrap_or_else(|| vec![0; SIZE].into_boxed_slice())
}

fn give_back(buffer: Box<[u8]>) {
    POOL.with_borrow_mut(|pool| {
        if pool.len() < KEPT {
            pool.push(buffer);
        }
    });
}

impl AsyncRead for ReadAhead {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut held = match self.held.take() {
            Some(held) => held,
            None if buf.remaining() >= SIZE => {
                return Pin::new(&mut self.inner).poll_read(cx, buf);
            }
            None => {
                let mut buffer = take();
                let mut read = ReadBuf::new(&mut buffer);
                let result = Pin::new(&mut self.inner).poll_read(cx, &mut read);
                let end = read.filled().len();
                if end == 0 || !matches!(result, Poll::Ready(Ok(()))) {
                    give_back(buffer);
                    return result;
                }
                Held {
                    buffer,
                    start: 0,
                    end,
                }
            }
        };
        let n = buf.remaining().min(held.end - held.start);
        buf.put_slice(&held.buffer[held.start..held.start + n]);
        held.start += n;
        if held.start == held.end {
            give_back(held.buffer);
        } else {
            self.held = Some(held);
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
