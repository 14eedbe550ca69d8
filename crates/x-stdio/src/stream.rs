//! Standard input and output as one stream.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use gost_core::stream::{RawStream, Stream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf, Stdin, Stdout},
    sync::oneshot,
};

/// Reads from standard input, writes to standard output.
#[derive(Debug)]
pub(crate) struct Stdio {
    input: Stdin,
    /// Gone once our direction has been shut down. The descriptor itself stays open until the
    /// process ends, which is soon: this connection is all there is.
    output: Option<Stdout>,
    _alive: oneshot::Sender<()>,
}

impl Stdio {
    /// The two as one; `alive` is dropped with it.
    pub(crate) fn new(alive: oneshot::Sender<()>) -> Self {
        Self {
            input: tokio::io::stdin(),
            output: Some(tokio::io::stdout()),
            _alive: alive,
        }
    }
}

impl AsyncRead for Stdio {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stdio {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.output {
            Some(output) => Pin::new(output).poll_write(cx, buf),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.output {
            Some(output) => Pin::new(output).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(output) = &mut self.output {
            ready!(Pin::new(output).poll_flush(cx))?;
            self.output = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl Stream for Stdio {
    fn into_raw(self: Box<Self>) -> Result<RawStream, Box<dyn Stream>> {
        Err(self)
    }

    fn abort(self: Box<Self>) {}

    fn half_close(&self) -> bool {
        true
    }
}
