//! A session as a stream of bytes.

use std::{
    cell::RefCell,
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use gost_core::stream::{RawStream, Stream};
use gost_kcp::snappy::{CHUNK, Compressor, Decompressor};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::coop,
    time::Instant,
};

use crate::link::Link;

/// How much is decompressed ahead of who reads.
const AHEAD: usize = CHUNK;

/// The bytes of a session. KCP has no end of a stream: the other end learns from what it carries,
/// or from silence.
#[derive(Debug)]
pub(crate) struct KcpStream {
    link: Arc<Link>,
    snappy: Option<Box<Snappy>>,
    finished: bool,
}

#[derive(Debug, Default)]
struct Snappy {
    begun: bool,
    input: Decompressor,
    /// Data that was decompressed, and how much of it was read.
    data: Vec<u8>,
    read: usize,
}

/// What a thread needs to write.
#[derive(Default)]
struct Bench {
    compressor: Compressor,
    plain: Vec<u8>,
    packed: Vec<u8>,
}

thread_local! {
    static BENCH: RefCell<Bench> = RefCell::default();
}

impl KcpStream {
    pub(crate) fn new(link: Arc<Link>, compress: bool) -> Self {
        Self {
            link,
            snappy: compress.then(Box::default),
            finished: false,
        }
    }

    /// The session, for who wants to know how it is.
    pub(crate) const fn link(&self) -> &Arc<Link> {
        &self.link
    }
}

impl AsyncRead for KcpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.finished || buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let coop = ready!(coop::poll_proceed(cx));
        let before = buf.remaining();
        if let Some(snappy) = &mut this.snappy {
            snappy.read(buf);
        }
        if buf.remaining() > 0 {
            let mut state = this.link.lock();
            while buf.remaining() > 0 && !state.session.peek().is_empty() {
                let bytes = state.session.peek();
                let length = if let Some(snappy) = &mut this.snappy {
                    if let Err(error) = snappy.input.decompress(bytes, &mut snappy.data) {
                        return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
                    }
                    bytes.len()
                } else {
                    let length = bytes.len().min(buf.remaining());
                    buf.put_slice(&bytes[..length]);
                    length
                };
                state.session.consume(length);
                if let Some(snappy) = &mut this.snappy
                    && snappy.data.len() >= AHEAD.min(buf.remaining())
                {
                    snappy.read(buf);
                }
            }
            if let Some(snappy) = &mut this.snappy {
                snappy.read(buf);
            }
            if buf.remaining() == before {
                if let Some(error) = &state.error {
                    return Poll::Ready(Err(error.clone().into()));
                }
                state.wait_to_read(cx);
                this.link.unlock(state);
                return Poll::Pending;
            }
            this.link.unlock(state);
        }
        coop.made_progress();
        Poll::Ready(Ok(()))
    }
}

impl Snappy {
    /// Gives away what was decompressed.
    fn read(&mut self, buf: &mut ReadBuf<'_>) {
        let length = (self.data.len() - self.read).min(buf.remaining());
        buf.put_slice(&self.data[self.read..self.read + length]);
        self.read += length;
        if self.read == self.data.len() {
            self.read = 0;
            self.data.clear();
            // Sessions that rest keep no buffers.
            self.data.shrink_to(0);
        }
    }
}

impl AsyncWrite for KcpStream {
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
        let coop = ready!(coop::poll_proceed(cx));
        let mut state = this.link.lock();
        if let Some(error) = &state.error {
            return Poll::Ready(Err(error.clone().into()));
        }
        let mut most = state.session.writable().min(CHUNK);
        if most == 0 {
            state.wait_to_write(cx);
            this.link.unlock(state);
            return Poll::Pending;
        }
        let mut written = 0;
        if let Some(snappy) = &mut this.snappy {
            // Only this stream writes, so there will still be room.
            drop(state);
            written = BENCH.with_borrow_mut(|bench| {
                bench.pack(snappy, bufs, most);
                let mut state = this.link.lock();
                state.session.write(&bench.packed);
                this.link.unlock(state);
                bench.plain.len()
            });
        } else {
            for buf in bufs {
                let length = buf.len().min(most);
                state.session.write(&buf[..length]);
                written += length;
                most -= length;
            }
            this.link.unlock(state);
        }
        coop.made_progress();
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// The task of the socket sends as soon as it can.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The peer can't be told, nor will it say anything: there is nothing left to read.
        self.get_mut().finished = true;
        Poll::Ready(Ok(()))
    }
}

impl Bench {
    /// Compresses up to `most` bytes, all as one chunk.
    fn pack(&mut self, snappy: &mut Snappy, bufs: &[IoSlice<'_>], most: usize) {
        self.plain.clear();
        self.packed.clear();
        for buf in bufs {
            let length = buf.len().min(most - self.plain.len());
            self.plain.extend_from_slice(&buf[..length]);
        }
        if !std::mem::replace(&mut snappy.begun, true) {
            self.packed.extend_from_slice(Compressor::start());
        }
        self.compressor.compress(&self.plain, &mut self.packed);
    }
}

impl Stream for KcpStream {
    fn into_raw(self: Box<Self>) -> Result<RawStream, Box<dyn Stream>> {
        Err(self)
    }

    fn abort(self: Box<Self>) {}

    fn half_close(&self) -> bool {
        false
    }
}

impl Drop for KcpStream {
    fn drop(&mut self) {
        let mut state = self.link.lock();
        state.left = Some(Instant::now());
        self.link.unlock(state);
    }
}
