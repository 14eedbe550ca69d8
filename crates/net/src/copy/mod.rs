//! The copy: one small future that moves the bytes of a connection, both ways.
//!
//! It reads into a buffer of the thread, and keeps that only while the far side can't take the
//! bytes: an idle connection holds none. Once a direction has carried a good deal, it asks both
//! ends for their sockets and goes on with `splice(2)`, which copies nothing.

mod buffer;
mod direction;
#[cfg(target_os = "linux")]
mod pipe;

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use gost_core::{
    error::{Error, Phase, Side, Why},
    meter::{self, Meter},
    stream::{Prefixed, RawStream, Socket, Stream},
};
use tokio::time::{Instant, Sleep};

use self::direction::Direction;
use crate::Metered;

/// How a copy is to be made.
#[derive(Clone, Debug, Default)]
pub struct CopyOptions {
    /// End when nothing has moved for so long.
    pub idle: Option<Duration>,
    /// Counts and limits the payload.
    pub meter: Meter,
}

/// After one direction has ended, how long the other may be silent.
///
/// Without such a wait a peer that never closes would keep the connection for ever.
const HALF_CLOSED_IDLE: Duration = Duration::from_mins(2);

/// The same when one end can't be told that its direction is over, and so can't know.
const DEAF_IDLE: Duration = Duration::from_secs(5);

/// What a copy has done.
#[derive(Debug)]
pub struct Outcome {
    /// Bytes from the client.
    pub input: u64,
    /// Bytes to the client.
    pub output: u64,
    /// Why it ended, when not in order. The side says which end failed: the client or the target.
    pub error: Option<Error>,
}

/// Moves bytes between a client and what was opened for it until both directions have ended.
///
/// The end of one direction is passed on as a half-close where the other end has one; a reset is
/// passed on as an abort.
pub fn copy(client: Box<dyn Stream>, upstream: Box<dyn Stream>, options: CopyOptions) -> Copy {
    let idle = options.idle.map(|every| Box::new(Watch::new(every)));
    Copy {
        client: End::Stream(client),
        upstream: End::Stream(upstream),
        input: Direction::new(meter::Direction::In),
        output: Direction::new(meter::Direction::Out),
        watch: idle,
        meter: options.meter,
    }
}

/// The future of [`copy`].
pub struct Copy {
    client: End,
    upstream: End,
    input: Direction,
    output: Direction,
    watch: Option<Box<Watch>>,
    meter: Meter,
}

/// One end of a copy.
enum End {
    /// With its wrappers.
    Stream(Box<dyn Stream>),
    /// Peeled to the socket.
    Raw(Box<Peeled>),
    /// Given up.
    Gone,
}

struct Peeled {
    socket: Socket,
    meter: Meter,
}

impl End {
    fn stream(&mut self) -> io::Result<Pin<&mut dyn Stream>> {
        match self {
            Self::Stream(stream) => Ok(Pin::new(&mut **stream)),
            Self::Raw(peeled) => Ok(Pin::new(&mut peeled.socket)),
            Self::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    const fn raw(&self) -> Option<&Peeled> {
        match self {
            Self::Raw(peeled) => Some(peeled),
            Self::Stream(_) | Self::Gone => None,
        }
    }

    /// Asks for the socket. Bytes read ahead go back in front until they are gone.
    fn peel(&mut self) {
        *self = match std::mem::replace(self, Self::Gone) {
            Self::Stream(stream) => match stream.into_raw() {
                Ok(RawStream {
                    socket,
                    ahead,
                    meter,
                }) if ahead.is_empty() => Self::Raw(Box::new(Peeled { socket, meter })),
                Ok(RawStream {
                    socket,
                    ahead,
                    meter,
                }) => Self::Stream(Prefixed::new(ahead, Metered::wrap(Box::new(socket), meter))),
                Err(stream) => Self::Stream(stream),
            },
            other => other,
        };
    }

    fn half_close(&self) -> bool {
        match self {
            Self::Stream(stream) => stream.half_close(),
            Self::Raw(_) => true,
            Self::Gone => false,
        }
    }

    fn abort(&mut self) {
        match std::mem::replace(self, Self::Gone) {
            Self::Stream(stream) => stream.abort(),
            Self::Raw(peeled) => Box::new(peeled.socket).abort(),
            Self::Gone => {}
        }
    }
}

/// Ends a copy in which nothing moves.
struct Watch {
    every: Duration,
    /// What had moved when the wait began.
    seen: u64,
    sleep: Pin<Box<Sleep>>,
}

impl Watch {
    fn new(every: Duration) -> Self {
        Self {
            every,
            seen: 0,
            sleep: Box::pin(tokio::time::sleep(every)),
        }
    }

    /// True once a whole period has passed in which nothing moved.
    fn poll_idle(&mut self, cx: &mut Context<'_>, moved: u64) -> bool {
        while self.sleep.as_mut().poll(cx).is_ready() {
            if self.seen == moved {
                return true;
            }
            self.seen = moved;
            self.sleep.as_mut().reset(Instant::now() + self.every);
        }
        false
    }
}

impl Copy {
    fn moved(&self) -> u64 {
        self.input.moved().wrapping_add(self.output.moved())
    }

    /// What is to happen when a direction has failed: the other end learns of it as an error.
    fn fail(&mut self, failed: direction::Failed) -> Outcome {
        let side = if failed.at_client {
            Side::Client
        } else {
            Side::Target
        };
        if failed.at_client {
            self.upstream.abort();
        } else {
            self.client.abort();
        }
        let mut error = Error::from(failed.error).phase(Phase::Relay);
        if error.at_side() == Side::Us {
            error = error.side(side);
        }
        self.outcome(Some(error))
    }

    /// Tells both ends that it is over: those that were not told when their direction ended.
    ///
    /// The end is only queued where it can't be written at once: whoever owns the session below
    /// sends it.
    fn close(&mut self, cx: &mut Context<'_>) {
        let ends = [
            (&mut self.client, self.output.is_done()),
            (&mut self.upstream, self.input.is_done()),
        ];
        for (end, over) in ends {
            let told = over && end.half_close();
            if !told && let Ok(stream) = end.stream() {
                let _ = stream.poll_shutdown(cx);
            }
        }
    }

    fn outcome(&self, error: Option<Error>) -> Outcome {
        Outcome {
            input: self.input.moved(),
            output: self.output.moved(),
            error,
        }
    }

    /// Once one direction has ended, bounds the silence of the other.
    fn watch_half_closed(&mut self) {
        let (far, ended) = if self.input.is_done() {
            (&self.upstream, true)
        } else {
            (&self.client, self.output.is_done())
        };
        if !ended {
            return;
        }
        let bound = if far.half_close() {
            HALF_CLOSED_IDLE
        } else {
            DEAF_IDLE
        };
        if self.watch.as_ref().is_none_or(|watch| watch.every > bound) {
            let mut watch = Watch::new(bound);
            watch.seen = self.moved();
            self.watch = Some(Box::new(watch));
        }
    }
}

impl Future for Copy {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let this = self.get_mut();
        let was_open = !this.input.is_done() && !this.output.is_done();
        if let Poll::Ready(Err(failed)) =
            this.input
                .poll(cx, &mut this.client, &mut this.upstream, &this.meter)
        {
            return Poll::Ready(this.fail(failed));
        }
        if let Poll::Ready(Err(failed)) =
            this.output
                .poll(cx, &mut this.upstream, &mut this.client, &this.meter)
        {
            return Poll::Ready(this.fail(failed));
        }
        if this.input.is_done() && this.output.is_done() {
            this.close(cx);
            return Poll::Ready(this.outcome(None));
        }
        if was_open {
            this.watch_half_closed();
        }
        let moved = this.moved();
        if let Some(watch) = &mut this.watch
            && watch.poll_idle(cx, moved)
        {
            this.close(cx);
            let half_closed = this.input.is_done() || this.output.is_done();
            let idle = Error::new(Why::TimedOut, "idle for too long").phase(Phase::Relay);
            return Poll::Ready(this.outcome((!half_closed).then_some(idle)));
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests;
