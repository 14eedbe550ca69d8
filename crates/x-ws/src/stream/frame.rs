//! Sending a frame, which may take several writes.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use gost_core::{
    buffer::{Buffer, LARGE, USUAL},
    stream::Stream,
};
use gost_ws::{Header, HeaderBytes, MAX_HEADER, Mask};

/// How many slices of a vectored write are passed on.
pub(super) const SLICES: usize = 8;

/// The most payload of a frame that is masked: what a buffer takes.
pub(super) const MASKED: usize = LARGE;

const _: () = assert!(MAX_HEADER < 1024, "a buffer has room for a header");

/// A frame on its way.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    header: HeaderBytes,
    /// Bytes of the header that were sent.
    sent: u8,
    /// Bytes of the payload that were not.
    left: u64,
    mask: Option<Mask>,
}

impl Frame {
    /// The frame of so much payload.
    pub(super) fn new(payload: usize, key: Option<[u8; 4]>) -> Self {
        let payload = payload as u64;
        Self {
            header: Header::data(payload, key).encode(),
            sent: 0,
            left: payload,
            mask: key.map(Mask::new),
        }
    }

    pub(super) const fn is_sent(&self) -> bool {
        self.left == 0
    }

    /// Writes once; returns how much of the payload was taken, which may be none of it.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        inner: &mut dyn Stream,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let header = &self.header[usize::from(self.sent)..];
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let written = if self.mask.is_none() && inner.is_write_vectored() {
            let mut slices = [IoSlice::new(&[]); 1 + SLICES];
            slices[0] = IoSlice::new(header);
            let count = 1 + cut(&mut slices[1..], bufs, most);
            Pin::new(inner).poll_write_vectored(cx, &slices[..count])
        } else {
            // What is masked is copied: no connection needs a room of its own for that.
            let mut room = Buffer::take(most.min(total(bufs)) > USUAL);
            let length = fill(&mut room, header, self.mask, bufs, most);
            Pin::new(inner).poll_write(cx, &room[..length])
        };
        let written = ready!(written)?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        let of_header = written.min(header.len());
        self.sent += of_header as u8;
        let of_payload = written - of_header;
        self.left -= of_payload as u64;
        if let Some(mask) = &mut self.mask {
            mask.advance(of_payload);
        }
        Poll::Ready(Ok(of_payload))
    }
}

pub(super) fn total(bufs: &[IoSlice<'_>]) -> usize {
    bufs.iter().map(|buf| buf.len()).sum()
}

/// Copies a header and payload, masked if need be, into `room`; returns how much.
fn fill(
    room: &mut [u8],
    header: &[u8],
    mut mask: Option<Mask>,
    bufs: &[IoSlice<'_>],
    most: usize,
) -> usize {
    room[..header.len()].copy_from_slice(header);
    let end = room.len().min(header.len().saturating_add(most));
    let mut at = header.len();
    for buf in bufs {
        let some = buf.len().min(end - at);
        match &mut mask {
            Some(mask) => mask.apply_to(&buf[..some], &mut room[at..at + some]),
            None => room[at..at + some].copy_from_slice(&buf[..some]),
        }
        at += some;
    }
    at
}

/// Fills `slices` with the first `most` bytes of `bufs`; returns how many were needed.
fn cut<'a>(slices: &mut [IoSlice<'a>], bufs: &'a [IoSlice<'_>], mut most: usize) -> usize {
    let mut count = 0;
    let bufs = bufs.iter().filter(|buf| !buf.is_empty());
    for (slice, buf) in slices.iter_mut().zip(bufs) {
        if most == 0 {
            break;
        }
        let some = buf.len().min(most);
        *slice = IoSlice::new(&buf[..some]);
        most -= some;
        count += 1;
    }
    count
}
