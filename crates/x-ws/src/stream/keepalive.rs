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
    /// Silence after which a ping is sent.
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
    /// A ping was sent, and nothing has come since.
    asked: bool,
}

impl Clock {
    pub(super) fn new(how: Keepalive) -> Self {
        Self {
            how,
            sleep: Box::pin(tokio::time::sleep(how.every)),
            heard: false,
            asked: false,
        }
    }

    pub(super) const fn hear(&mut self) {
        self.heard = true;
    }

    /// To be asked when there is nothing to read: what was not read yet is no silence.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Due> {
        while self.sleep.as_mut().poll(cx).is_ready() {
            self.sleep.as_mut().reset(Instant::now() + self.how.every);
            if std::mem::take(&mut self.heard) {
                self.asked = false;
            } else if !self.asked {
                self.asked = true;
                return Poll::Ready(Due::Ping);
            } else if self.how.strict {
                return Poll::Ready(Due::Lost);
            } else {
                return Poll::Ready(Due::Ping);
            }
        }
        Poll::Pending
    }
}
