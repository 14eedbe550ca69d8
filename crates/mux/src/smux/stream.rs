//! One stream of a session.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use gost_core::stream::{RawStream, Stream};
use gost_smux::{StreamError, StreamId};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::coop,
};

use super::state::{Shared, State};

/// A stream. Its bytes go through the buffers of the session: it has none of its own.
///
/// There is no half-close: once the peer has ended its direction writes fail, and once ours is
/// ended the peer's do. Nor is there a reset: to the peer an abort looks like an end.
pub(super) struct MuxStream {
    shared: Arc<Shared>,
    id: StreamId,
    /// The reader has seen the end.
    ended: bool,
}

impl MuxStream {
    pub(super) fn new(shared: Arc<Shared>, id: StreamId) -> Self {
        Self {
            shared,
            id,
            ended: false,
        }
    }

    fn io_error(&self, state: &State, error: StreamError) -> io::Error {
        let kind = match error {
            StreamError::Session(_) => return state.end_error(&self.shared.meta).into(),
            StreamError::PeerFinished | StreamError::Finished => io::ErrorKind::BrokenPipe,
            StreamError::PeerConsumed => io::ErrorKind::InvalidData,
            StreamError::Unknown => io::ErrorKind::NotConnected,
            StreamError::Blocked => io::ErrorKind::WouldBlock,
        };
        io::Error::new(kind, error)
    }
}

impl AsyncRead for MuxStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let coop = ready!(coop::poll_proceed(cx));
        let had_room = buf.remaining() > 0;
        let mut state = this.shared.lock();
        match state.session.read(this.id, buf) {
            Ok(0) => {
                this.ended |= had_room;
            }
            Ok(_) => {
                state.note_unread();
                Shared::kick(state);
            }
            Err(StreamError::Blocked) => {
                state.wait_to_read(this.id, cx.waker());
                return Poll::Pending;
            }
            Err(error) => return Poll::Ready(Err(this.io_error(&state, error))),
        }
        coop.made_progress();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for MuxStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let coop = ready!(coop::poll_proceed(cx));
        let mut state = self.shared.lock();
        if state.session.has_had_its_share(self.id) {
            drop(state);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let mut written = 0;
        for buf in bufs {
            match state.session.write(self.id, buf) {
                Ok(n) => {
                    written += n;
                    if n < buf.len() {
                        break;
                    }
                }
                Err(_) if written > 0 => break,
                Err(StreamError::Blocked) => {
                    state.wait_to_write(self.id, cx.waker());
                    // It may have passed on a turn.
                    Shared::kick(state);
                    return Poll::Pending;
                }
                Err(error) => return Poll::Ready(Err(self.io_error(&state, error))),
            }
        }
        Shared::kick(state);
        coop.made_progress();
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// The task of the session writes as soon as it can, there is nothing to hurry.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.shared.lock();
        if let Err(error) = state.session.finish(self.id) {
            // A peer that ended the stream awaits nothing more.
            if !self.ended {
                return Poll::Ready(Err(self.io_error(&state, error)));
            }
        }
        Shared::kick(state);
        Poll::Ready(Ok(()))
    }
}

impl Stream for MuxStream {
    fn into_raw(self: Box<Self>) -> Result<RawStream, Box<dyn Stream>> {
        Err(self)
    }

    fn abort(self: Box<Self>) {}

    fn half_close(&self) -> bool {
        false
    }
}

impl Drop for MuxStream {
    fn drop(&mut self) {
        self.shared.release(self.id);
    }
}
