//! One end of a conversation in HTTP: its stream, and what was read from it but not yet used.

use std::{future::poll_fn, io, mem::MaybeUninit, pin::Pin, task::ready};

use bytes::{Bytes, BytesMut};
use gost_core::{
    conn::{Conn, Io, Meta},
    error::Result,
    stream::{Prefixed, Stream},
};
use tokio::{
    io::{AsyncRead, AsyncWriteExt, ReadBuf},
    time::{Duration, timeout},
};

use crate::head::{HeadError, RequestScan, ResponseScan};

/// How much is read at once while a head is expected.
const HEAD_READ: usize = 4096;

/// A stream and what was read from it but not yet used.
pub(crate) struct Peer {
    pub(crate) stream: Box<dyn Stream>,
    pub(crate) buf: BytesMut,
}

impl Peer {
    pub(crate) fn new(stream: Box<dyn Stream>) -> Self {
        Self {
            stream,
            buf: BytesMut::new(),
        }
    }

    /// Waits for bytes and returns how many came; 0 at the end of the stream.
    pub(crate) async fn fill(&mut self) -> io::Result<usize> {
        fill(&mut self.stream, &mut self.buf).await
    }

    /// Writes all of it.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).await?;
        Ok(self.stream.flush().await?)
    }

    /// Ends a stream that owes nothing.
    pub(crate) async fn close(mut self) {
        // Being late is as good an end as any.
        let _ = timeout(LINGER, self.stream.shutdown()).await;
    }

    /// Gives memory back that a wait does not need.
    pub(crate) fn rest(&mut self) {
        if self.buf.is_empty() {
            self.buf = BytesMut::new();
        }
    }

    /// The stream, with what was read of it in front.
    pub(crate) fn into_stream(self) -> Box<dyn Stream> {
        // A copy, because the buffer may be much larger than what is left in it.
        Prefixed::new(Bytes::copy_from_slice(&self.buf), self.stream)
    }

    /// The connection, with what was read of it in front.
    pub(crate) fn into_conn(self, meta: Box<Meta>) -> Conn {
        Conn {
            io: Io::Stream(self.into_stream()),
            meta,
        }
    }

    /// Ends the stream after an answer that the client has not yet taken. What it still sends is
    /// thrown away for a moment: closing over unread bytes would reset the connection, and the
    /// answer would be lost.
    pub(crate) async fn finish(mut self) {
        let linger = async {
            if self.stream.shutdown().await.is_err() {
                return;
            }
            let mut thrown = 0;
            while thrown < LINGER_BYTES {
                self.buf.clear();
                match self.fill().await {
                    Ok(0) | Err(_) => return,
                    Ok(n) => thrown += n,
                }
            }
        };
        // Being late is as good an end as any.
        let _ = timeout(LINGER, linger).await;
    }
}

/// How long and how much a client may go on after it was refused.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 256 * 1024;

/// Reads into a buffer of the stack and from there appends to `buf`: who waits holds no memory.
pub(crate) async fn fill(
    read: &mut (impl AsyncRead + Unpin + ?Sized),
    buf: &mut BytesMut,
) -> io::Result<usize> {
    poll_fn(|cx| {
        let mut space = [const { MaybeUninit::uninit() }; HEAD_READ];
        let mut space = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut *read).poll_read(cx, &mut space))?;
        buf.extend_from_slice(space.filled());
        io::Result::Ok(space.filled().len()).into()
    })
    .await
}

/// Why there is no head.
#[derive(Debug)]
pub(crate) enum NoHead {
    /// The stream ended; true when it did so in the middle of one.
    Closed(bool),
    /// The stream failed.
    Failed(io::Error),
    /// What came is none.
    Bad(HeadError),
}

/// Reads the rest of a request's head, the start of which may be in `buf` already; returns its
/// length.
pub(crate) async fn request_head(peer: &mut Peer) -> Result<usize, NoHead> {
    let mut scan = RequestScan::default();
    loop {
        // Some clients send an empty line behind a body: RFC 9112, section 2.2.
        while peer.buf.starts_with(b"\r\n") {
            let _ = peer.buf.split_to(2);
        }
        if !matches!(&peer.buf[..], b"" | b"\r")
            && let Some(end) = scan.find(&peer.buf).map_err(NoHead::Bad)?
        {
            return Ok(end);
        }
        more(&mut peer.stream, &mut peer.buf).await?;
    }
}

/// Reads the rest of a response's head, the start of which may be in `buf` already; returns its
/// length.
pub(crate) async fn response_head(
    read: &mut (impl AsyncRead + Unpin + ?Sized),
    buf: &mut BytesMut,
) -> Result<usize, NoHead> {
    let mut scan = ResponseScan::default();
    loop {
        if let Some(end) = scan.find(buf).map_err(NoHead::Bad)? {
            return Ok(end);
        }
        more(read, buf).await?;
    }
}

async fn more(
    read: &mut (impl AsyncRead + Unpin + ?Sized),
    buf: &mut BytesMut,
) -> Result<(), NoHead> {
    match fill(read, buf).await {
        Ok(0) => Err(NoHead::Closed(!buf.is_empty())),
        Ok(_) => Ok(()),
        Err(error) => Err(NoHead::Failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn what_follows_a_head_stays() {
        let (mut near, far) = tokio::io::duplex(64);
        let mut peer = Peer::new(Box::new(far));
        near.write_all(b"\r\n\r\nGET / HTTP/1.1\r\n\r\nbody")
            .await
            .unwrap();
        let end = request_head(&mut peer).await.unwrap();
        assert_eq!(&peer.buf.split_to(end)[..], b"GET / HTTP/1.1\r\n\r\n");
        let mut stream = peer.into_stream();
        let mut body = [0; 4];
        stream.read_exact(&mut body).await.unwrap();
        assert_eq!(&body, b"body");
    }

    #[tokio::test]
    async fn the_end_of_a_stream_is_told_apart() {
        for (sent, midway) in [(&b""[..], false), (b"\r\n", false), (b"GET /", true)] {
            let (mut near, far) = tokio::io::duplex(64);
            near.write_all(sent).await.unwrap();
            drop(near);
            let mut peer = Peer::new(Box::new(far));
            assert!(matches!(request_head(&mut peer).await, Err(NoHead::Closed(m)) if m == midway));
        }
    }
}
