//! The connection below a session.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use futures_util::io::{AsyncRead, AsyncWrite};
use gost_core::stream::Stream;
use tokio::io::{AsyncRead as _, AsyncWrite as _, BufReader, ReadBuf};

/// Read at once: headers are read one by one.
const BUFFER: usize = 16 << 10;

/// A connection that notes what was heard of the peer.
pub(super) struct Io {
    inner: BufReader<Box<dyn Stream>>,
    signs: Arc<Signs>,
}

/// What was heard of the peer.
#[derive(Default)]
pub(super) struct Signs {
    /// Something.
    pub(super) heard: AtomicBool,
    /// The end of the connection.
    pub(super) ended: AtomicBool,
}

impl Io {
    pub(super) fn new(inner: Box<dyn Stream>, signs: Arc<Signs>) -> Self {
        Self {
            inner: BufReader::with_capacity(BUFFER, inner),
            signs,
        }
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(buf);
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut buf))?;
        let sign = if buf.filled().is_empty() {
            &self.signs.ended
        } else {
            &self.signs.heard
        };
        sign.store(true, Ordering::Relaxed);
        Poll::Ready(Ok(buf.filled().len()))
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
