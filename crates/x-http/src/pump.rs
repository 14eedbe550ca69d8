//! Moving the body of a message from one end to the other.

use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::{
    body::{Body, BodyError},
    peer::fill,
    record::Tap,
};

/// How much is read at once.
const CHUNK: usize = 16 * 1024;

/// Why a body did not arrive whole.
#[derive(Debug, Error)]
pub(crate) enum PumpError {
    /// The sender failed.
    #[error("read: {0}")]
    Read(#[source] io::Error),
    /// The receiver failed.
    #[error("write: {0}")]
    Write(#[source] io::Error),
    /// It is not what it should be, or was cut off.
    #[error(transparent)]
    Body(#[from] BodyError),
}

/// Moves a body as it is, what is in `buf` first. What follows the body stays in `buf`. `moved`
/// counts the bytes.
///
/// It reads into a buffer of the stack and writes from there: only what the receiver does not take
/// at once is kept.
pub(crate) async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    buf: &mut BytesMut,
    to: &mut (impl AsyncWrite + Unpin),
    body: &mut Body,
    moved: &AtomicU64,
    tap: &mut Tap,
) -> Result<(), PumpError> {
    // So many bytes at the front of `buf` belong to the body.
    let mut ours = body.take(buf)?;
    poll_fn(|cx| poll_pump(cx, from, buf, to, body, (moved, tap), &mut ours)).await
}

fn poll_pump(
    cx: &mut Context<'_>,
    from: &mut (impl AsyncRead + Unpin),
    buf: &mut BytesMut,
    to: &mut (impl AsyncWrite + Unpin),
    body: &mut Body,
    (moved, tap): (&AtomicU64, &mut Tap),
    ours: &mut usize,
) -> Poll<Result<(), PumpError>> {
    loop {
        while *ours > 0 {
            let n = ready!(Pin::new(&mut *to).poll_write(cx, &buf[..*ours]))
                .and_then(not_zero)
                .map_err(PumpError::Write)?;
            tap.take(&buf[..n]);
            buf.advance(n);
            *ours -= n;
            moved.fetch_add(n as u64, Relaxed);
        }
        if body.is_done() {
            return Pin::new(to).poll_flush(cx).map_err(PumpError::Write);
        }
        let mut space = [const { MaybeUninit::uninit() }; CHUNK];
        let mut space = ReadBuf::uninit(&mut space);
        match Pin::new(&mut *from).poll_read(cx, &mut space) {
            Poll::Ready(read) => read.map_err(PumpError::Read)?,
            Poll::Pending => {
                // Nobody knows when more comes: the receiver gets what there is.
                if let Poll::Ready(Err(error)) = Pin::new(to).poll_flush(cx) {
                    return Poll::Ready(Err(PumpError::Write(error)));
                }
                return Poll::Pending;
            }
        }
        let bytes = space.filled();
        if bytes.is_empty() {
            body.end()?;
            continue;
        }
        let taken = body.take(bytes)?;
        let written = match Pin::new(&mut *to).poll_write(cx, &bytes[..taken]) {
            Poll::Ready(written) => written.map_err(PumpError::Write)?,
            Poll::Pending => 0,
        };
        moved.fetch_add(written as u64, Relaxed);
        tap.take(&bytes[..written]);
        if written == 0 || written < bytes.len() {
            buf.extend_from_slice(&bytes[written..]);
        }
        *ours = taken - written;
    }
}

fn not_zero(n: usize) -> io::Result<usize> {
    if n == 0 {
        return Err(io::ErrorKind::WriteZero.into());
    }
    Ok(n)
}

/// Moves what is in the chunks of a body, for a client that can't read chunks.
pub(crate) async fn unchunk(
    from: &mut (impl AsyncRead + Unpin),
    buf: &mut BytesMut,
    to: &mut (impl AsyncWrite + Unpin),
    body: &mut Body,
    moved: &AtomicU64,
    tap: &mut Tap,
) -> Result<(), PumpError> {
    tap.unchunked();
    while !body.is_done() {
        if buf.is_empty() {
            to.flush().await.map_err(PumpError::Write)?;
            if fill(from, buf).await.map_err(PumpError::Read)? == 0 {
                body.end()?;
            }
            continue;
        }
        let piece = body.next_piece(buf)?;
        let bytes = buf.split_to(piece.len);
        if piece.payload {
            to.write_all(&bytes).await.map_err(PumpError::Write)?;
            moved.fetch_add(piece.len as u64, Relaxed);
            tap.take(&bytes);
        }
    }
    to.flush().await.map_err(PumpError::Write)
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::body::Framing;

    #[tokio::test]
    async fn a_body_passes_whole_through_narrow_pipes_and_what_follows_stays() {
        let text: Vec<u8> = (0..100_000u32).map(|n| (n % 251) as u8).collect();
        for (framing, wire) in [
            (Framing::Length(text.len() as u64), text.clone()),
            (
                Framing::Chunked,
                [
                    format!("{:x}\r\n", text.len()).as_bytes(),
                    &text,
                    b"\r\n0\r\nA: b\r\n\r\n",
                ]
                .concat(),
            ),
        ] {
            let (mut source, mut from) = tokio::io::duplex(1000);
            let (mut to, mut sink) = tokio::io::duplex(77);
            let sent = [&wire[..], b"NEXT"].concat();
            let sending = tokio::spawn(async move {
                source.write_all(&sent[3..]).await.unwrap();
                source
            });
            let receiving = tokio::spawn(async move {
                let mut all = Vec::new();
                sink.read_to_end(&mut all).await.unwrap();
                all
            });
            let mut buf = BytesMut::from(&wire[..3]);
            let mut body = Body::new(framing);
            let moved = AtomicU64::new(0);
            pump(
                &mut from,
                &mut buf,
                &mut to,
                &mut body,
                &moved,
                &mut Tap::default(),
            )
            .await
            .unwrap();
            drop(to);
            assert!(receiving.await.unwrap() == wire);
            assert_eq!(moved.load(Relaxed), wire.len() as u64);
            let mut rest = buf.to_vec();
            drop(sending.await.unwrap());
            from.read_to_end(&mut rest).await.unwrap();
            assert_eq!(rest, b"NEXT");
        }
    }

    #[tokio::test]
    async fn chunks_are_taken_off() {
        let (mut source, mut from) = tokio::io::duplex(1000);
        let (mut to, mut sink) = tokio::io::duplex(1000);
        source
            .write_all(b"lo\r\n6\r\n world\r\n0\r\nA: b\r\n\r\nNEXT")
            .await
            .unwrap();
        let mut buf = BytesMut::from(&b"5\r\nhel"[..]);
        let mut body = Body::new(Framing::Chunked);
        let (moved, mut tap) = (AtomicU64::new(0), Tap::default());
        unchunk(&mut from, &mut buf, &mut to, &mut body, &moved, &mut tap)
            .await
            .unwrap();
        drop(to);
        let mut all = String::new();
        sink.read_to_string(&mut all).await.unwrap();
        assert_eq!((&*all, &buf[..]), ("hello world", &b"NEXT"[..]));
    }

    #[tokio::test]
    async fn a_body_that_is_cut_off_is_an_error() {
        let (mut source, mut from) = tokio::io::duplex(100);
        let (mut to, _sink) = tokio::io::duplex(100);
        source.write_all(b"abc").await.unwrap();
        drop(source);
        let mut body = Body::new(Framing::Length(4));
        let result = pump(
            &mut from,
            &mut BytesMut::new(),
            &mut to,
            &mut body,
            &AtomicU64::new(0),
            &mut Tap::default(),
        )
        .await;
        assert!(matches!(result, Err(PumpError::Body(BodyError::Truncated))));
    }
}
