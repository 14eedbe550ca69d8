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
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead as _, AsyncWrite as _, BufReader, ReadBuf},
    time::Instant,
};

use super::unread::{Frames, Unread};

/// Read at once: headers are read one by one.
const BUFFER: usize = 16 << 10;

/// A connection that notes what was heard of the peer, and is not read while too much is unread.
pub(super) struct Io {
    inner: BufReader<Box<dyn Stream>>,
    signs: Arc<Signs>,
    frames: Frames,
    unread: Arc<Unread>,
}

/// What was heard of the peer.
#[derive(Default)]
pub(super) struct Signs {
    /// Something.
    pub(super) heard: AtomicBool,
    /// The end of the connection.
    pub(super) ended: AtomicBool,
    /// It takes no bytes, since when.
    pub(super) blocked: Mutex<Option<Instant>>,
}

impl Io {
    pub(super) fn new(inner: Box<dyn Stream>, signs: Arc<Signs>, unread: Arc<Unread>) -> Self {
        Self {
            inner: BufReader::with_capacity(BUFFER, inner),
            signs,
            frames: Frames::default(),
            unread,
        }
    }
}

impl AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        // Not within a frame: all that is counted can be read by those who are to make room.
        if this.frames.at_border() && !this.unread.has_room(cx) {
            return Poll::Pending;
        }
        let mut buf = ReadBuf::new(buf);
        ready!(Pin::new(&mut this.inner).poll_read(cx, &mut buf))?;
        this.frames.follow(buf.filled(), &this.unread);
        let sign = if buf.filled().is_empty() {
            &this.signs.ended
        } else {
            &this.signs.heard
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
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        let mut blocked = self.signs.blocked.lock();
        if written.is_pending() {
            blocked.get_or_insert_with(Instant::now);
        } else {
            *blocked = None;
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
