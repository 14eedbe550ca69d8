//! Byte streams, and how to get down to their sockets.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, DuplexStream, ReadBuf},
    net::{TcpStream, UnixStream},
};

use crate::{
    error::{Error, Result, Side, Why},
    meter::Meter,
};

/// A byte stream between us and somebody.
///
/// `poll_shutdown` ends our direction in order, [`abort`](Self::abort) ends both as an error. A
/// plain drop promises neither: whoever ends a stream calls one.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// Peels the wrappers off and hands over the socket, so that bytes can move in the kernel.
    ///
    /// A wrapper that changes bytes, or that still owes some in either direction, gives itself
    /// back; the copy asks again later.
    fn into_raw(self: Box<Self>) -> Result<RawStream, Box<dyn Stream>>;

    /// Ends both directions as an error: RST, `RESET_STREAM`.
    fn abort(self: Box<Self>);

    /// True when shutting down ends our direction only, and the other one goes on.
    fn half_close(&self) -> bool;
}

/// What is left of a stream without its wrappers.
#[derive(Debug)]
pub struct RawStream {
    /// The socket.
    pub socket: Socket,
    /// Bytes that were read from it already; they come first.
    pub ahead: Bytes,
    /// What counts and limits the bytes of the socket.
    pub meter: Meter,
}

/// A socket of the system that carries a byte stream.
#[derive(Debug)]
pub enum Socket {
    /// TCP.
    Tcp(TcpStream),
    /// A Unix socket.
    Unix(UnixStream),
}

macro_rules! on_socket {
    ($self:expr, $socket:ident => $do:expr) => {
        match $self {
            Socket::Tcp($socket) => $do,
            Socket::Unix($socket) => $do,
        }
    };
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        on_socket!(self.get_mut(), s => Pin::new(s).poll_read(cx, buf))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        on_socket!(self.get_mut(), s => Pin::new(s).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_socket!(self.get_mut(), s => Pin::new(s).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_socket!(self.get_mut(), s => Pin::new(s).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_socket!(self.get_mut(), s => Pin::new(s).poll_shutdown(cx))
    }
}

impl Stream for Socket {
    fn into_raw(self: Box<Self>) -> Result<RawStream, Box<dyn Stream>> {
        Ok(RawStream {
            socket: *self,
            ahead: Bytes::new(),
            meter: Meter::default(),
        })
    }

    fn abort(self: Box<Self>) {
        // Lingering for no time makes the close a reset; a Unix socket knows no resets. That it
        // fails means the connection is gone already.
        if let Self::Tcp(socket) = *self {
            let _ = socket.set_zero_linger();
        }
    }

    fn half_close(&self) -> bool {
        true
    }
}

impl Stream for TcpStream {
    fn into_raw(self: Box<Self>) -> Result<RawStream, Box<dyn Stream>> {
        Box::new(Socket::Tcp(*self)).into_raw()
    }

    fn abort(self: Box<Self>) {
        Box::new(Socket::Tcp(*self)).abort();
    }

    fn half_close(&self) -> bool {
        true
    }
}

impl Stream for UnixStream {
    fn into_raw(self: Box<Self>) -> Result<RawStream, Box<dyn Stream>> {
        Box::new(Socket::Unix(*self)).into_raw()
    }

    fn abort(self: Box<Self>) {}

    fn half_close(&self) -> bool {
        true
    }
}

/// Two ends in memory, for tests and for components that talk to each other inside the process.
impl Stream for DuplexStream {
    fn into_raw(self: Box<Self>) -> Result<RawStream, Box<dyn Stream>> {
        Err(self)
    }

    fn abort(self: Box<Self>) {}

    fn half_close(&self) -> bool {
        true
    }
}

/// A stream with bytes in front of it: those that somebody read past what was theirs.
#[derive(Debug)]
pub struct Prefixed<S> {
    ahead: Bytes,
    inner: S,
}

impl Prefixed<Box<dyn Stream>> {
    /// `stream` with `ahead` in front; the stream itself when there is nothing to put there.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(ahead: Bytes, stream: Box<dyn Stream>) -> Box<dyn Stream> {
        if ahead.is_empty() {
            stream
        } else {
            Box::new(Self {
                ahead,
                inner: stream,
            })
        }
    }
}

impl AsyncRead for Prefixed<Box<dyn Stream>> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.inner).poll_read(cx, buf);
        }
        let n = self.ahead.len().min(buf.remaining());
        buf.put_slice(&self.ahead[..n]);
        self.ahead.advance(n);
        if self.ahead.is_empty() {
            // An empty remainder would keep its buffer for as long as the connection lives.
            self.ahead = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Prefixed<Box<dyn Stream>> {
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

impl Stream for Prefixed<Box<dyn Stream>> {
    fn into_raw(self: Box<Self>) -> Result<RawStream, Box<dyn Stream>> {
        let Self { ahead, inner } = *self;
        match inner.into_raw() {
            Ok(mut raw) if raw.ahead.is_empty() => {
                raw.ahead = ahead;
                Ok(raw)
            }
            Ok(mut raw) => {
                let mut both = BytesMut::with_capacity(ahead.len() + raw.ahead.len());
                both.extend_from_slice(&ahead);
                both.extend_from_slice(&raw.ahead);
                raw.ahead = both.freeze();
                Ok(raw)
            }
            Err(inner) => Err(Self::new(ahead, inner)),
        }
    }

    fn abort(self: Box<Self>) {
        self.inner.abort();
    }

    fn half_close(&self) -> bool {
        self.inner.half_close()
    }
}

/// Reads some more of a request into `buffer`; the end of the stream is an error here.
///
/// The decoder that is fed from the buffer bounds how much is ever asked for.
pub async fn read_more(
    stream: &mut (impl AsyncRead + Unpin + ?Sized),
    buffer: &mut BytesMut,
) -> Result<()> {
    buffer.reserve(256);
    if stream.read_buf(buffer).await? == 0 {
        let what = if buffer.is_empty() {
            "closed before a request"
        } else {
            "closed in the middle of a request"
        };
        return Err(Error::new(Why::Closed, what).side(Side::Client));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn a_prefix_comes_first() {
        let (mut near, far) = tokio::io::duplex(64);
        let mut stream = Prefixed::new(Bytes::from_static(b"ab"), Box::new(far));
        near.write_all(b"cd").await.unwrap();
        near.shutdown().await.unwrap();
        let mut all = String::new();
        stream.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "abcd");
    }

    #[tokio::test]
    async fn a_prefix_survives_being_peeled_off() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let inner = Prefixed::new(Bytes::from_static(b"b"), Box::new(client));
        let raw = Prefixed::new(Bytes::from_static(b"a"), inner)
            .into_raw()
            .ok()
            .unwrap();
        assert_eq!(&raw.ahead[..], b"ab");
    }
}
