//! A stream inside TLS.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use gost_core::{
    conn::TlsFacts,
    stream::{RawStream, Stream},
};
use rustls::{ClientConnection, CommonState, ServerConnection};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio_rustls::TlsStream;

use crate::{error, read_ahead::ReadAhead};

/// The alert `unrecognized_name`, RFC 6066 section 3.
pub(crate) const UNRECOGNIZED_NAME: u8 = 112;

/// What the handshake of a client has found out.
pub(crate) fn client_facts(session: &ClientConnection) -> TlsFacts {
    TlsFacts {
        alpn: alpn(session),
        ..TlsFacts::default()
    }
}

/// What the handshake of a server has found out.
pub(crate) fn server_facts(session: &ServerConnection) -> TlsFacts {
    let certificate = session.peer_certificates().and_then(<[_]>::first);
    TlsFacts {
        server_name: session.server_name().map(str::to_owned),
        alpn: alpn(session),
        client_certificate: certificate.map(|der| Bytes::copy_from_slice(der)),
    }
}

fn alpn(session: &CommonState) -> Option<String> {
    let name = session.alpn_protocol()?;
    Some(String::from_utf8_lossy(name).into_owned())
}

/// Tells a client that greeted us why it is not served. It need not be there to hear it.
pub(crate) async fn alert(io: &mut ReadAhead, code: u8) {
    // A record of two bytes: a fatal alert. RFC 8446, sections 5.1 and 6.
    let record = [21, 3, 3, 0, 2, 2, code];
    if io.write_all(&record).await.is_ok() {
        let _ = io.shutdown().await;
    }
}

/// A stream inside TLS.
///
/// The end of a direction is a `close_notify` and the end of the direction below: either end may
/// go on sending after the other has ended.
pub(crate) struct Tls {
    inner: TlsStream<ReadAhead>,
    /// An error that is told when everything before it has been read.
    failed: Option<io::Error>,
}

impl Tls {
    pub(crate) fn new(inner: TlsStream<ReadAhead>) -> Self {
        Self {
            inner,
            failed: None,
        }
    }

    /// Says what an error of the library means.
    fn explain(&self, error: io::Error) -> io::Error {
        let peer = match &self.inner {
            TlsStream::Client(_) => "server",
            TlsStream::Server(_) => "client",
        };
        error::relay(error, peer).into()
    }
}

impl AsyncRead for Tls {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        loop {
            let known = buf.filled().len();
            let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
            match polled {
                Poll::Ready(Ok(())) if buf.filled().len() > known => {
                    // A record holds 16 KiB at most: takes those too that were read with it.
                    let more = self.failed.is_some() || self.inner.get_ref().0.holds_bytes();
                    if buf.remaining() == 0 || !more {
                        return Poll::Ready(Ok(()));
                    }
                }
                // What could be read before comes first, which may be there still.
                Poll::Ready(Err(error)) if self.failed.is_none() => {
                    self.failed = Some(self.explain(error));
                }
                _ if buf.filled().len() > before => return Poll::Ready(Ok(())),
                end => {
                    return match self.failed.take() {
                        Some(error) => Poll::Ready(Err(error)),
                        None => end,
                    };
                }
            }
        }
    }
}

impl AsyncWrite for Tls {
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
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl Stream for Tls {
    fn into_raw(self: Box<Self>) -> Result<RawStream, Box<dyn Stream>> {
        Err(self)
    }

    fn abort(self: Box<Self>) {
        match self.inner {
            TlsStream::Client(stream) => stream.into_inner().0.abort(),
            TlsStream::Server(stream) => stream.into_inner().0.abort(),
        }
    }

    fn half_close(&self) -> bool {
        self.inner.get_ref().0.half_close()
    }
}
