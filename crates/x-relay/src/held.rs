//! The delayed header: a message that waits for the first payload.
//!
//! A client's request and a server's answer travel with the first payload in one write. When
//! there is none for [`HOLD`], they are sent alone, so that protocols in which the other side
//! speaks first work. Neither side ever waits for the other.

use std::{
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use gost_core::stream::{RawStream, Stream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

use crate::answer::Question;

/// How long a message waits for payload to travel with.
pub(crate) const HOLD: Duration = Duration::from_millis(5);

/// How many slices of payload travel with a message.
const SLICES: usize = 7;

/// How much is copied behind a message when the stream below writes one slice at a time.
const JOINED: usize = 16 * 1024;

/// A stream that owes a message in front of its payload, and may be owed one in front of the
/// other side's. Once both are done with it is but a pointer to the stream below.
pub(crate) struct Held {
    inner: Box<dyn Stream>,
    owed: Option<Box<Owed>>,
    due: Option<Box<Question>>,
}

/// A message that has still to be sent, at least in part.
struct Owed {
    message: Vec<u8>,
    sent: usize,
    hold: Hold,
}

/// The wait for payload. It begins with the first read: payload that was there before then needs
/// no timer.
enum Hold {
    For(Duration),
    Running(Pin<Box<Sleep>>),
    Over,
}

impl Held {
    /// Owes `message` to the other side, and holds it for so long; not at all when that is zero.
    pub(crate) fn new(inner: Box<dyn Stream>, message: Vec<u8>, hold: Duration) -> Self {
        let hold = if hold.is_zero() {
            Hold::Over
        } else {
            Hold::For(hold)
        };
        let owed = Owed {
            message,
            sent: 0,
            hold,
        };
        Self {
            inner,
            owed: Some(Box::new(owed)),
            due: None,
        }
    }

    /// Owes nothing, but the other side does.
    pub(crate) fn awaiting(inner: Box<dyn Stream>, due: Question) -> Self {
        Self {
            inner,
            owed: None,
            due: Some(Box::new(due)),
        }
    }

    /// Expects an answer in front of the other side's payload.
    #[must_use]
    pub(crate) fn with_answer_due(mut self, due: Question) -> Self {
        self.due = Some(Box::new(due));
        self
    }

    /// Sends the message once it was held for long enough.
    fn poll_hold(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(owed) = &mut self.owed else {
            return Ok(());
        };
        if let Hold::For(time) = owed.hold {
            owed.hold = Hold::Running(Box::pin(tokio::time::sleep(time)));
        }
        if let Hold::Running(sleep) = &mut owed.hold {
            if sleep.as_mut().poll(cx).is_pending() {
                return Ok(());
            }
            owed.hold = Hold::Over;
        }
        match self.poll_alone(cx) {
            Poll::Ready(result) => result,
            // Whatever comes next sends the rest.
            Poll::Pending => Ok(()),
        }
    }

    /// Sends what is left of the message, without payload.
    fn poll_alone(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(owed) = &mut self.owed {
            let rest = &owed.message[owed.sent..];
            if rest.is_empty() {
                ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
                self.owed = None;
                break;
            }
            match ready!(Pin::new(&mut self.inner).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => owed.sent += n,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Sends what is left of the message and payload behind it, in one write where that takes all.
    /// Says how much of the payload was written.
    fn poll_with(
        &mut self,
        cx: &mut Context<'_>,
        payload: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        while let Some(owed) = &mut self.owed {
            let rest = &owed.message[owed.sent..];
            if rest.is_empty() {
                self.owed = None;
                break;
            }
            let inner = Pin::new(&mut self.inner);
            let n = if inner.is_write_vectored() {
                let mut slices = [IoSlice::new(rest); SLICES + 1];
                let count = payload.len().min(SLICES);
                slices[1..=count].copy_from_slice(&payload[..count]);
                ready!(inner.poll_write_vectored(cx, &slices[..=count]))
            } else {
                ready!(inner.poll_write(cx, &join(rest, payload)))
            }?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let Some(written) = n.checked_sub(rest.len()) else {
                owed.sent += n;
                continue;
            };
            self.owed = None;
            if written > 0 {
                return Poll::Ready(Ok(written));
            }
        }
        Pin::new(&mut self.inner).poll_write_vectored(cx, payload)
    }

    /// Reads on, behind the answer. The answer is read together with the payload and cut off, so
    /// that it costs no read of its own.
    fn poll_answer(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let start = buf.filled().len();
        while let Some(due) = &mut self.due {
            if let Err(error) = ready!(Pin::new(&mut self.inner).poll_read(cx, buf)) {
                return Poll::Ready(Err(due.broken(error).into()));
            }
            let len = buf.filled().len() - start;
            if len == 0 {
                // A server that holds its answer says nothing when its target does not either.
                let in_order = due.is_silent() && self.owed.is_none();
                return Poll::Ready(if in_order {
                    Ok(())
                } else {
                    Err(due.closed().into())
                });
            }
            let fed = due.feed(&buf.filled()[start..]);
            let used = match fed {
                Ok(used) => used.unwrap_or(len),
                Err(error) => {
                    buf.set_filled(start);
                    return Poll::Ready(Err(error.into()));
                }
            };
            if matches!(fed, Ok(Some(_))) {
                self.due = None;
            }
            buf.filled_mut()[start..].copy_within(used.., 0);
            buf.set_filled(start + len - used);
            if used < len {
                return Poll::Ready(Ok(()));
            }
        }
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }

    /// What to say of a write that failed: the refusal, if one has come.
    fn write_error(&mut self, cx: &mut Context<'_>, error: io::Error) -> io::Error {
        if self.due.is_none() {
            return error;
        }
        let mut space = [0; 512];
        let mut buf = ReadBuf::new(&mut space);
        if let Poll::Ready(Err(reason)) = self.poll_answer(cx, &mut buf) {
            return reason;
        }
        match &self.due {
            Some(due) => due.broken(error).into(),
            None => error,
        }
    }
}

/// The message and the front of the payload in one piece.
fn join(message: &[u8], payload: &[IoSlice<'_>]) -> Vec<u8> {
    let mut joined = message.to_vec();
    for slice in payload {
        let room = JOINED.saturating_sub(joined.len());
        joined.extend_from_slice(&slice[..slice.len().min(room)]);
    }
    joined
}

impl AsyncRead for Held {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.owed.is_some()
            && let Err(error) = self.poll_hold(cx)
        {
            return Poll::Ready(Err(self.write_error(cx, error)));
        }
        if self.due.is_some() {
            return self.poll_answer(cx, buf);
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        if self.owed.is_some() && buf.filled().len() == before {
            // Nobody reads on after the end, and so nobody would see the hold end. Should the
            // message not go now, it goes with the payload or the shutdown.
            let _ = self.poll_alone(cx)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Held {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.owed.is_some() && bufs.iter().all(|buf| buf.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        let result = ready!(self.poll_with(cx, bufs));
        Poll::Ready(result.map_err(|e| self.write_error(cx, e)))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let sent = ready!(self.poll_alone(cx));
        sent.map_err(|e| self.write_error(cx, e))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let sent = ready!(self.poll_alone(cx));
        sent.map_err(|e| self.write_error(cx, e))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl Stream for Held {
    fn into_raw(self: Box<Self>) -> Result<RawStream, Box<dyn Stream>> {
        if self.owed.is_some() || self.due.is_some() {
            return Err(self);
        }
        // Nothing is left to do here: even when the stream below gives itself back.
        self.inner.into_raw()
    }

    fn abort(self: Box<Self>) {
        self.inner.abort();
    }

    fn half_close(&self) -> bool {
        self.inner.half_close()
    }
}

#[cfg(test)]
#[path = "held_tests.rs"]
mod tests;
