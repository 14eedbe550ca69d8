//! One stream of a session.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use futures_util::io::{AsyncRead as _, AsyncWrite as _};
use gost_core::{
    error::{Error, Why},
    stream::{RawStream, Stream},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::coop,
};

use super::state::Slot;

/// A stream.
///
/// The protocol has a half-close, but the original makes no use of it: who ends its direction
/// there reads no more. So there is none here: once the peer has ended its direction, and what it
/// sent was read, writes fail.
pub(super) struct YamuxStream {
    stream: yamux::Stream,
    slot: Slot,
    /// The reader has seen the end.
    ended: bool,
    /// Our direction was ended.
    finished: bool,
    writer: Option<Waker>,
}

impl YamuxStream {
    /// Tells the peer at once of the stream.
    pub(super) fn new(mut stream: yamux::Stream, slot: Slot, cx: &mut Context<'_>) -> Self {
        slot.0.unread.open(stream.id().val());
        // There is room: nothing was sent over it before. If the session has just ended, the first
        // who uses the stream will see.
        let _ = Pin::new(&mut stream).poll_write(cx, &[]);
        Self {
            stream,
            slot,
            ended: false,
            finished: false,
            writer: None,
        }
    }

    /// Why nothing more can be read or written: the session has ended, or the peer has reset the
    /// stream.
    fn cut(&self) -> io::Error {
        self.session_end().map_or_else(
            || io::Error::new(io::ErrorKind::ConnectionReset, "stream was reset"),
            io::Error::from,
        )
    }

    /// Why the end of what can be read is not the end of what the peer wanted to send.
    fn cut_short(&self) -> Option<io::Error> {
        if self.ended || !self.stream.is_closed() {
            // It was ended in order, our direction is still open.
            return None;
        }
        match self.session_end() {
            // A peer that closes the session says so behind all ends of streams.
            Some(end) if end.why() == Why::Closed => None,
            None if self.finished => None,
            _ => Some(self.cut()),
        }
    }

    fn session_end(&self) -> Option<Error> {
        let shared = &self.slot.0;
        // If it is just ending: until that is known.
        drop(shared.moving.lock());
        shared.lock().end().cloned()
    }
}

impl AsyncRead for YamuxStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let coop = ready!(coop::poll_proceed(cx));
        let read = Pin::new(&mut this.stream).poll_read(cx, buf.initialize_unfilled());
        let Ok(length) = ready!(read) else {
            return Poll::Ready(Err(this.cut()));
        };
        coop.made_progress();
        if length > 0 {
            buf.advance(length);
            let unread = &this.slot.0.unread;
            unread.read(this.stream.id().val(), length);
            return Poll::Ready(Ok(()));
        }
        if let Some(error) = this.cut_short() {
            return Poll::Ready(Err(error));
        }
        this.ended = true;
        if let Some(writer) = this.writer.take() {
            writer.wake();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for YamuxStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.ended || this.finished {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let coop = ready!(coop::poll_proceed(cx));
        match Pin::new(&mut this.stream).poll_write(cx, buf) {
            Poll::Pending => {
                this.writer = Some(cx.waker().clone());
                Poll::Pending
            }
            Poll::Ready(written) => {
                coop.made_progress();
                Poll::Ready(written.map_err(|_| this.cut()))
            }
        }
    }

    /// The task of the session writes as soon as it can, there is nothing to hurry.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.finished {
            let closed = ready!(Pin::new(&mut this.stream).poll_close(cx));
            // A peer that ended the stream awaits nothing more.
            if closed.is_err() && !this.ended {
                return Poll::Ready(Err(this.cut()));
            }
            this.finished = true;
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for YamuxStream {
    fn drop(&mut self) {
        self.slot.0.unread.close(self.stream.id().val());
    }
}

impl Stream for YamuxStream {
    fn into_raw(self: Box<Self>) -> Result<RawStream, Box<dyn Stream>> {
        Err(self)
    }

    /// A stream that is dropped before its end is reset.
    fn abort(self: Box<Self>) {}

    fn half_close(&self) -> bool {
        false
    }
}
