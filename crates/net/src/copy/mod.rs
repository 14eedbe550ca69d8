//! The copy: one small future that moves the bytes of a connection, both ways.
//!
//! It reads into a buffer of the thread, and keeps that only while the far side can't take the
//! bytes: an idle connection holds none. Once a direction has carried a good deal, it asks both
//! ends for their sockets and goes on with `splice(2)`, which copies nothing.

mod direction;
mod pace;
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

use self::{
    direction::{Direction, Failed},
    pace::Pace,
};
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
    let is_deaf = !client.half_close() || !upstream.half_close();
    Copy {
        pace: is_deaf.then(|| Box::new(Pace::new())),
        client: End::Stream(client),
        upstream: End::Stream(upstream),
        input: Direction::new(meter::Direction::In),
        output: Direction::new(meter::Direction::Out),
        watch: idle,
        failed: None,
        ending: None,
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
    /// Kept where an end can't be told that its direction is over, and so can't know.
    pace: Option<Box<Pace>>,
    /// The end that takes no more bytes, while what it still has to give is passed on.
    failed: Option<Box<Failed>>,
    ending: Option<Box<Ending>>,
    meter: Meter,
}

/// A copy that is over but for an end that is yet to be told.
struct Ending {
    outcome: Outcome,
    late: Pin<Box<Sleep>>,
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
                }) => Self::Stream(Prefixed::new(
                    ahead,
                    Metered::put_back(Box::new(socket), meter),
                )),
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

    /// Waits anew, and for another time.
    fn wait(&mut self, every: Duration) {
        self.every = every;
        self.sleep.as_mut().reset(Instant::now() + every);
    }

    /// True once a whole period has passed in which nothing moved.
    fn poll_idle(&mut self, cx: &mut Context<'_>, moved: u64) -> bool {
        while self.sleep.as_mut().poll(cx).is_ready() {
            if self.seen == moved {
                return true;
            }
            self.seen = moved;
            self.wait(self.every);
        }
        false
    }
}

impl Copy {
    fn moved(&self) -> u64 {
        self.input.moved().wrapping_add(self.output.moved())
    }

    /// What is to happen when an end has failed: the other learns of it as an error.
    fn fail(&mut self, failed: Failed) -> Outcome {
        if failed.at_client {
            self.upstream.abort();
        } else {
            self.client.abort();
        }
        self.failure(failed)
    }

    fn failure(&self, failed: Failed) -> Outcome {
        let mut error = Error::from(failed.error).phase(Phase::Relay);
        if error.at_side() == Side::Us {
            error = error.side(if failed.at_client {
                Side::Client
            } else {
                Side::Target
            });
        }
        self.outcome(Some(error))
    }

    /// A direction has failed. An end that takes no more may still have said something, as a
    /// server does that refuses a request before it has read all of it: that is passed on first.
    fn poll_failed(&mut self, cx: &mut Context<'_>, failed: Failed) -> Poll<Outcome> {
        if !failed.writing || self.last_words(&failed).is_done() {
            return Poll::Ready(self.fail(failed));
        }
        if !failed.ended_in_order() {
            self.input.mute_end();
            self.output.mute_end();
        }
        self.bound_silence(pace::LONGEST);
        self.poll_last_words(cx, Box::new(failed))
    }

    /// The direction from the end that failed.
    const fn last_words(&self, failed: &Failed) -> &Direction {
        if failed.at_client {
            &self.input
        } else {
            &self.output
        }
    }

    fn poll_last_words(&mut self, cx: &mut Context<'_>, failed: Box<Failed>) -> Poll<Outcome> {
        let (input, output) = (&mut self.input, &mut self.output);
        let polled = if failed.at_client {
            input.poll(cx, &mut self.client, &mut self.upstream, &self.meter)
        } else {
            output.poll(cx, &mut self.upstream, &mut self.client, &self.meter)
        };
        let is_done = self.last_words(&failed).is_done();
        if is_done && failed.ended_in_order() {
            // The other end was told.
            let outcome = self.failure(*failed);
            return self.poll_end(cx, outcome);
        }
        if is_done || polled.is_ready() || self.poll_silent(cx) {
            return Poll::Ready(self.fail(*failed));
        }
        self.failed = Some(failed);
        Poll::Pending
    }

    fn poll_silent(&mut self, cx: &mut Context<'_>) -> bool {
        let moved = self.moved();
        let Some(watch) = &mut self.watch else {
            return false;
        };
        while watch.poll_idle(cx, moved) {
            // Bytes that one end is slow to take are no silence of the other.
            if !self.input.is_holding() && !self.output.is_holding() || watch.every >= pace::LONGEST
            {
                return true;
            }
            watch.wait(pace::LONGEST);
        }
        false
    }

    /// Ends the copy once both ends know that it is over, or are too slow to be told.
    fn poll_end(&mut self, cx: &mut Context<'_>, outcome: Outcome) -> Poll<Outcome> {
        if self.tell_end(cx) {
            return Poll::Ready(outcome);
        }
        let late = Box::pin(tokio::time::sleep(pace::LONGEST));
        self.poll_ending(cx, Box::new(Ending { outcome, late }))
    }

    fn poll_ending(&mut self, cx: &mut Context<'_>, mut ending: Box<Ending>) -> Poll<Outcome> {
        if self.tell_end(cx) || ending.late.as_mut().poll(cx).is_ready() {
            return Poll::Ready(ending.outcome);
        }
        self.ending = Some(ending);
        Poll::Pending
    }

    /// Tells both ends that it is over: those that were not told when their direction ended. True
    /// once they know, or can't be told.
    fn tell_end(&mut self, cx: &mut Context<'_>) -> bool {
        let ends = [
            (&mut self.client, self.output.is_done()),
            (&mut self.upstream, self.input.is_done()),
        ];
        let mut all_know = true;
        for (end, over) in ends {
            let told = over && end.half_close();
            if !told && let Ok(stream) = end.stream() {
                all_know &= stream.poll_shutdown(cx).is_ready();
            }
        }
        all_know
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
        let client_ended = self.input.is_done();
        if !client_ended && !self.output.is_done() {
            return;
        }
        let far = if client_ended {
            &self.upstream
        } else {
            &self.client
        };
        let bound = match &self.pace {
            Some(pace) if !far.half_close() => pace.patience(client_ended),
            _ => HALF_CLOSED_IDLE,
        };
        self.bound_silence(bound);
    }

    /// Ends the copy when nothing has moved for so long, or sooner if that was asked for.
    fn bound_silence(&mut self, bound: Duration) {
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
        if let Some(ending) = this.ending.take() {
            return this.poll_ending(cx, ending);
        }
        if let Some(failed) = this.failed.take() {
            return this.poll_last_words(cx, failed);
        }
        let was_open = !this.input.is_done() && !this.output.is_done();
        if let Poll::Ready(Err(failed)) =
            this.input
                .poll(cx, &mut this.client, &mut this.upstream, &this.meter)
        {
            return this.poll_failed(cx, failed);
        }
        if let Poll::Ready(Err(failed)) =
            this.output
                .poll(cx, &mut this.upstream, &mut this.client, &this.meter)
        {
            return this.poll_failed(cx, failed);
        }
        if this.input.is_done() && this.output.is_done() {
            let outcome = this.outcome(None);
            return this.poll_end(cx, outcome);
        }
        if let Some(pace) = &mut this.pace {
            pace.note(this.input.moved(), this.output.moved());
        }
        if was_open {
            this.watch_half_closed();
        }
        if this.poll_silent(cx) {
            let half_closed = this.input.is_done() || this.output.is_done();
            let idle = Error::new(Why::TimedOut, "idle for too long").phase(Phase::Relay);
            let outcome = this.outcome((!half_closed).then_some(idle));
            return this.poll_end(cx, outcome);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests;
