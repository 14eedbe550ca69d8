//! The bytes of a connection, carried in the frames of another.

mod control;
mod frame;
mod keepalive;

use std::{
    fmt,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use gost_core::{
    error::{Error, Phase, Why},
    stream::{RawStream, Stream},
};
use gost_ws::{Close, Decoder, End, Role};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use self::{
    control::Control,
    frame::{Frame, MASKED, SLICES, total},
    keepalive::{Clock, Due},
};
use crate::entropy;

pub use keepalive::Keepalive;

/// A byte stream over a connection that speaks WebSocket.
///
/// Reading takes the frames out of the reader's own buffer, and every write is one binary frame;
/// nothing is buffered here. A write that was accepted in part has begun a frame of the whole
/// length: what is written next fills it.
///
/// Pings are answered when somebody reads. The end of our direction is passed to the stream below
/// without a close frame, because a peer that has received one may send nothing more; the close
/// frame goes when the peer has ended, too.
pub struct WsStream {
    inner: Box<dyn Stream>,
    decoder: Decoder,
    role: Role,
    half_close: bool,
    /// The most payload in a frame that we send.
    max_frame: usize,
    /// The frame that was begun and is not yet sent whole.
    frame: Option<Frame>,
    control: Control,
    clock: Option<Clock>,
    incoming: Incoming,
    /// A writer waits for the stream below; nobody else must poll it for writing.
    writer_waits: bool,
    /// Our direction has ended.
    shut: bool,
}

/// The state of the peer's direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Incoming {
    Open,
    /// The stream below has ended.
    Ended,
    /// The peer has sent a close frame.
    Closed,
    /// The end was told as an error.
    Failed,
}

impl WsStream {
    /// Speaks WebSocket over a connection whose handshake is done.
    pub fn new(inner: Box<dyn Stream>, role: Role) -> Self {
        Self {
            inner,
            decoder: Decoder::new(role),
            role,
            half_close: true,
            max_frame: usize::MAX,
            frame: None,
            control: Control::default(),
            clock: None,
            incoming: Incoming::Open,
            writer_waits: false,
            shut: false,
        }
    }

    /// Sends frames with so much payload at most; 0 for any.
    #[must_use]
    pub const fn with_max_frame(mut self, bytes: usize) -> Self {
        self.max_frame = if bytes == 0 { usize::MAX } else { bytes };
        self
    }

    /// Sends pings when the peer is silent.
    #[must_use]
    pub fn with_keepalive(mut self, keepalive: Option<Keepalive>) -> Self {
        self.clock = keepalive.map(Clock::new);
        self
    }

    /// Says whether the end of our direction may be passed on alone. It must not where something
    /// on the way takes the end of one direction as the end of both.
    #[must_use]
    pub const fn with_half_close(mut self, half_close: bool) -> Self {
        self.half_close = half_close;
        self
    }

    fn key(&self) -> Option<[u8; 4]> {
        (self.role == Role::Client).then(entropy::key)
    }

    /// Sends control frames that wait, as far as that can be done between frames.
    fn poll_control(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.frame.is_some() || self.shut || self.control.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let key = self.key();
        ready!(self.control.poll_send(cx, &mut *self.inner, key))?;
        if self.control.has_closed() {
            // After a close frame nothing may follow: the end of our direction can.
            ready!(Pin::new(&mut self.inner).poll_shutdown(cx))?;
            self.shut = true;
        }
        Poll::Ready(Ok(()))
    }

    /// The same on behalf of a reader, whom it does not hold up.
    fn send_control(&mut self, cx: &mut Context<'_>) {
        if self.writer_waits {
            return;
        }
        if let Poll::Ready(Err(error)) = self.poll_control(cx) {
            // The writer will meet it; who reads may still find something.
            tracing::debug!("no answer to a control frame: {error}");
            self.control.clear();
        }
    }

    /// What the decoder has found beside the payload.
    fn take_events(&mut self, cx: &mut Context<'_>) {
        self.decoder.take_pong();
        if let Some(payload) = self.decoder.take_ping() {
            self.control.pong(payload);
        }
        match self.decoder.end() {
            Some(End::Closed(close)) if self.incoming == Incoming::Open => {
                self.control.close(close.code, "");
                self.incoming = Incoming::Closed;
            }
            Some(End::Violated(violation)) if self.incoming == Incoming::Open => {
                let close = violation.close();
                self.control.close(close.code, &close.reason);
                self.incoming = Incoming::Closed;
            }
            _ => {}
        }
        self.send_control(cx);
    }

    /// What a reader learns after the last payload.
    fn ended(&mut self) -> io::Result<()> {
        if self.incoming == Incoming::Failed {
            return Ok(());
        }
        let error = match self.decoder.end() {
            Some(End::Violated(violation)) => Error::bad_input(format!("WebSocket: {violation}")),
            Some(End::Closed(close)) if !close.is_orderly() => {
                let code = close.code.unwrap_or_default();
                let reason: String = close.reason.chars().filter(|c| !c.is_control()).collect();
                Error::new(
                    Why::Reset,
                    format!("WebSocket: closed with code {code} {reason}"),
                )
            }
            _ => return Ok(()),
        };
        self.incoming = Incoming::Failed;
        Err(error.phase(Phase::Relay).into())
    }

    /// Nothing is to be read: asks the clock.
    fn poll_clock(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.shut {
            return Ok(());
        }
        let Some(clock) = &mut self.clock else {
            return Ok(());
        };
        while let Poll::Ready(due) = clock.poll(cx) {
            match due {
                Due::Ping => self.control.ping(),
                // It was not asked yet: the peer takes no data, which is a matter of the writer.
                Due::Lost if self.control.has_ping() => {}
                Due::Lost => {
                    self.incoming = Incoming::Failed;
                    let lost = "WebSocket: the peer does not answer pings";
                    return Err(Error::new(Why::TimedOut, lost).phase(Phase::Relay).into());
                }
            }
        }
        self.send_control(cx);
        Ok(())
    }

    /// Writes a part of a frame: the one that was begun, or a new one.
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let closed = self.control.has_closed() || self.incoming == Incoming::Closed || self.shut;
        // A frame that was begun is sent whole: the close frame waits for its end.
        if closed && self.frame.is_none() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let length = total(bufs);
        if length == 0 {
            return Poll::Ready(Ok(0));
        }
        loop {
            if self.frame.is_none() {
                ready!(self.poll_control(cx))?;
            }
            let mut frame = self.frame.unwrap_or_else(|| {
                let most = match self.role {
                    Role::Client => self.max_frame.min(MASKED),
                    Role::Server => self.max_frame,
                };
                Frame::new(length.min(most), self.key())
            });
            let written = ready!(frame.poll_write(cx, &mut *self.inner, bufs))?;
            self.frame = (!frame.is_sent()).then_some(frame);
            // Only of the header, perhaps.
            if written > 0 {
                return Poll::Ready(Ok(written));
            }
        }
    }

    fn poll_flushed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_control(cx))?;
        if self.shut {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    /// Ends our direction.
    fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.half_close || self.incoming == Incoming::Ended {
            // Nothing follows in either direction that a close frame could cut off.
            self.control.close(Some(Close::NORMAL), "");
        }
        ready!(self.poll_control(cx))?;
        if !self.shut {
            ready!(Pin::new(&mut self.inner).poll_shutdown(cx))?;
            self.shut = true;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for WsStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        this.send_control(cx);
        loop {
            if this.incoming != Incoming::Open {
                return Poll::Ready(this.ended());
            }
            let start = buf.filled().len();
            let Poll::Ready(read) = Pin::new(&mut this.inner).poll_read(cx, buf) else {
                this.poll_clock(cx)?;
                return Poll::Pending;
            };
            read?;
            let filled = &mut buf.filled_mut()[start..];
            if filled.is_empty() {
                if !this.decoder.is_between_frames() {
                    this.incoming = Incoming::Failed;
                    let cut = Error::new(Why::Closed, "WebSocket: ended in the middle of a frame");
                    return Poll::Ready(Err(cut.phase(Phase::Relay).into()));
                }
                this.incoming = Incoming::Ended;
                continue;
            }
            let payload = this.decoder.decode(filled);
            buf.set_filled(start + payload);
            if let Some(clock) = &mut this.clock {
                clock.hear(payload > 0);
            }
            this.take_events(cx);
            if payload > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for WsStream {
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
        let this = self.get_mut();
        let bufs = &bufs[..bufs.len().min(SLICES)];
        let written = this.poll_frame(cx, bufs);
        this.writer_waits = written.is_pending();
        written
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = this.poll_flushed(cx);
        this.writer_waits = flushed.is_pending();
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let ended = this.poll_ended(cx);
        this.writer_waits = ended.is_pending();
        ended
    }
}

impl Stream for WsStream {
    fn into_raw(self: Box<Self>) -> Result<RawStream, Box<dyn Stream>> {
        Err(self)
    }

    fn abort(self: Box<Self>) {
        self.inner.abort();
    }

    fn half_close(&self) -> bool {
        self.half_close && self.inner.half_close()
    }
}

impl fmt::Debug for WsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WsStream")
            .field("role", &self.role)
            .field("incoming", &self.incoming)
            .finish_non_exhaustive()
    }
}
