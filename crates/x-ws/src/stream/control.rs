//! Control frames that wait for their turn.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use gost_core::stream::Stream;
use gost_ws::{Close, Opcode, encode_control};

/// What is to be sent between data frames. Of several pongs only the last one counts, so that no
/// flood of pings can grow it.
#[derive(Default)]
pub(super) struct Control {
    ping: bool,
    pong: Option<Vec<u8>>,
    close: Option<Vec<u8>>,
    /// The close frame was encoded; nothing may follow.
    closing: bool,
    /// The frame on its way.
    out: Vec<u8>,
    sent: usize,
    unflushed: bool,
}

impl Control {
    pub(super) const fn is_empty(&self) -> bool {
        !self.ping
            && self.pong.is_none()
            && self.close.is_none()
            && self.out.is_empty()
            && !self.unflushed
            && !self.closing
    }

    pub(super) fn ping(&mut self) {
        self.ping = true;
    }

    /// True when a ping still waits to be sent.
    pub(super) const fn has_ping(&self) -> bool {
        self.ping || !self.out.is_empty()
    }

    pub(super) fn pong(&mut self, payload: Vec<u8>) {
        self.pong = Some(payload);
    }

    /// Only the first close counts.
    pub(super) fn close(&mut self, code: Option<u16>, reason: &str) {
        if self.close.is_none() && !self.closing {
            let reason = reason.to_owned();
            self.close = Some(Close { code, reason }.encode());
        }
    }

    /// Forgets all: nobody is there to be told.
    pub(super) fn clear(&mut self) {
        *self = Self {
            closing: self.closing,
            ..Self::default()
        };
    }

    /// True when a close frame was begun.
    pub(super) const fn has_closed(&self) -> bool {
        self.closing
    }

    /// Sends and flushes what waits. To be called between data frames only.
    pub(super) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        inner: &mut dyn Stream,
        key: Option<[u8; 4]>,
    ) -> Poll<io::Result<()>> {
        loop {
            while self.sent < self.out.len() {
                let rest = &self.out[self.sent..];
                let n = ready!(Pin::new(&mut *inner).poll_write(cx, rest))?;
                if n == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.sent += n;
                self.unflushed = true;
            }
            // The memory goes, too: an idle connection needs none.
            self.out = Vec::new();
            self.sent = 0;
            if !self.encode_next(key) {
                break;
            }
        }
        if self.unflushed {
            ready!(Pin::new(inner).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn encode_next(&mut self, key: Option<[u8; 4]>) -> bool {
        let (opcode, payload) = if self.closing {
            return false;
        } else if let Some(payload) = self.pong.take() {
            (Opcode::Pong, payload)
        } else if let Some(payload) = self.close.take() {
            self.closing = true;
            (Opcode::Close, payload)
        } else if std::mem::take(&mut self.ping) {
            (Opcode::Ping, Vec::new())
        } else {
            return false;
        };
        encode_control(&mut self.out, opcode, &payload, key);
        true
    }
}
