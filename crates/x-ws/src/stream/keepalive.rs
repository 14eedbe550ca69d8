//! When to ask for a sign of life, and when to give up.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep};

/// How a client keeps a connection alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// A ping is sent so often, but not while data comes.
    pub every: Duration,
    /// End the connection when a ping was followed by as much silence.
    pub strict: bool,
}

/// What is due.
pub(super) enum Due {
    /// A ping.
    Ping,
    /// The end: nothing has come since the last one.
    Lost,
}

/// The clock of one connection.
pub(super) struct Clock {
    how: Keepalive,
    sleep: Pin<Box<Sleep>>,
    /// Something has come since the clock last went off.
    heard: bool,
    /// The same, and it was data.
    busy: bool,
    /// A ping was sent, and nothing has come since.
    asked: bool,
}

impl Clock {
    pub(super) fn new(how: Keepalive) -> Self {
        Self {
            how,
            sleep: Box::pin(tokio::time::sleep(how.every)),
            heard: false,
            busy: false,
            asked: false,
        }
    }

    /// Something has come: data, or an answer to a ping.
    pub(super) const fn hear(&mut self, data: bool) {
        self.heard = true;
        self.busy |= data;
    }

    /// To be asked when there is nothing to read: what was not read yet is no silence.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Due> {
        while self.sleep.as_mut().poll(cx).is_ready() {
            self.sleep.as_mut().reset(Instant::now() + self.how.every);
            let heard = std::mem::take(&mut self.heard);
            if self.asked && !heard && self.how.strict {
                return Poll::Ready(Due::Lost);
            }
            self.asked = !std::mem::take(&mut self.busy);
            if self.asked {
                return Poll::Ready(Due::Ping);
            }
        }
        Poll::Pending
    }
}
