//! One direction of a copy.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use gost_core::{
    buffer::{Buffer, Demand, LARGE, USUAL},
    meter::{self, Allowance, Meter},
};
use tokio::{io::ReadBuf, time::Sleep};

use super::{End, pipe::Pipe};

/// Work done in one poll before others get their turn.
const BURST: usize = 1024 * 1024;

/// How much a direction carries before the ends are asked for their sockets: most connections
/// never carry as much, and so never own a pipe.
const SPLICE_AFTER: u64 = 256 * 1024;

/// Which end failed, and how.
pub(super) struct Failed {
    pub(super) at_client: bool,
    /// It took no more bytes; it may still have some to give.
    pub(super) writing: bool,
    pub(super) error: io::Error,
}

impl Failed {
    /// Whether the end had closed in order before it took no more. Linux tells so by `EPIPE`; the
    /// reads after any other error end as if in order, too.
    pub(super) fn ended_in_order(&self) -> bool {
        self.error.kind() == io::ErrorKind::BrokenPipe
    }
}

pub(super) struct Direction {
    way: meter::Direction,
    stage: Stage,
    moved: u64,
    /// Ask for the sockets when this much has moved.
    ask_at: u64,
    /// The far side may hold bytes back until it is flushed.
    unflushed: bool,
    /// The end of the source is not passed on: it may stand for a reset.
    mute: bool,
    held: Held,
    demand: Demand,
    pause: Option<Pin<Box<Sleep>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// The source has ended; what is held has still to go, and then the end itself.
    Ending,
    Done,
}

/// Bytes that the far side could not take yet.
enum Held {
    Nothing,
    Bytes(Rest),
    Pipe(Pipe),
}

struct Rest {
    buffer: Buffer,
    start: usize,
    end: usize,
}

impl Direction {
    pub(super) const fn new(way: meter::Direction) -> Self {
        Self {
            way,
            stage: Stage::Open,
            moved: 0,
            ask_at: SPLICE_AFTER,
            unflushed: false,
            mute: false,
            held: Held::Nothing,
            demand: Demand::new(),
            pause: None,
        }
    }

    pub(super) const fn moved(&self) -> u64 {
        self.moved
    }

    pub(super) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// The far side has yet to take some bytes.
    pub(super) const fn is_holding(&self) -> bool {
        !matches!(self.held, Held::Nothing)
    }

    /// Passes bytes on, but not the end behind them.
    pub(super) fn mute_end(&mut self) {
        self.mute = true;
    }

    /// Moves what can be moved. Ready only when the direction has failed.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut End,
        to: &mut End,
        meter: &Meter,
    ) -> Poll<Result<(), Failed>> {
        if self.stage == Stage::Done {
            return Poll::Pending;
        }
        let at_source = self.way == meter::Direction::In;
        match self.poll_move(cx, from, to, meter) {
            Poll::Ready(Err((at_from, error))) => Poll::Ready(Err(Failed {
                at_client: at_from == at_source,
                writing: !at_from,
                error,
            })),
            Poll::Ready(Ok(())) => {
                self.stage = Stage::Done;
                Poll::Pending
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// Ready with `Ok` once the direction has ended in order; an error says whether the source
    /// failed.
    fn poll_move(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut End,
        to: &mut End,
        meter: &Meter,
    ) -> Poll<Result<(), (bool, io::Error)>> {
        let from_client = self.way == meter::Direction::In;
        let mut work = 0;
        loop {
            ready!(self.poll_held(cx, to, meter)).map_err(|e| (false, e))?;
            if self.stage == Stage::Ending && self.mute {
                return Poll::Ready(Ok(()));
            }
            if self.stage == Stage::Ending {
                return poll_end(cx, to).map_err(|e| (false, e));
            }
            if work >= BURST {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let Poll::Ready(allowed) = self.poll_allowed(cx, from, to, meter) else {
                ready!(self.poll_flush(cx, to))?;
                return Poll::Pending;
            };
            let allowed = allowed.ok_or_else(|| (from_client, meter::used_up().into()))?;
            if self.moved >= self.ask_at {
                from.peel();
                to.peel();
                self.ask_at = self.moved + SPLICE_AFTER;
            }
            let n = if from.raw().is_some() && to.raw().is_some() {
                ready!(self.poll_splice(cx, from, to, allowed, meter))
            } else {
                ready!(self.poll_read(cx, from, to, allowed, meter))
            }?;
            if n == 0 {
                self.stage = Stage::Ending;
            }
            work += n;
        }
    }

    /// One read and, as far as the far side takes it, the write of what was read.
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut End,
        to: &mut End,
        allowed: usize,
        meter: &Meter,
    ) -> Poll<Result<usize, (bool, io::Error)>> {
        let large = self.demand.is_large();
        let mut buffer = Buffer::take(large);
        let most = allowed.min(if large { LARGE } else { USUAL });
        let mut read = ReadBuf::new(&mut buffer[..most]);
        let source = from.stream().map_err(|e| (true, e))?;
        let Poll::Ready(result) = source.poll_read(cx, &mut read) else {
            // The source is dry.
            ready!(self.poll_flush(cx, to))?;
            return Poll::Pending;
        };
        result.map_err(|e| (true, e))?;
        let n = read.filled().len();
        self.demand.note(n);
        if n > 0 {
            self.count_read(n, from, meter);
            self.held = Held::Bytes(Rest {
                buffer,
                start: 0,
                end: n,
            });
        }
        Poll::Ready(Ok(n))
    }

    /// Sends what the far side holds back: nobody knows when there will be more.
    fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut End,
    ) -> Poll<Result<(), (bool, io::Error)>> {
        if self.unflushed {
            let flushed = to.stream().map(|to| to.poll_flush(cx));
            ready!(flushed.map_err(|e| (false, e))?).map_err(|e| (false, e))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Fills the pipe from the source.
    fn poll_splice(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut End,
        to: &mut End,
        allowed: usize,
        meter: &Meter,
    ) -> Poll<Result<usize, (bool, io::Error)>> {
        let Some(source) = from.raw() else {
            return Poll::Pending;
        };
        // No pipe to be had means out of descriptors: copying works without.
        let Ok(mut pipe) = Pipe::take() else {
            return self.poll_read(cx, from, to, allowed, meter);
        };
        let n = ready!(pipe.poll_fill(cx, &source.socket, allowed)).map_err(|e| (true, e))?;
        if n > 0 {
            self.count_read(n, from, meter);
            self.held = Held::Pipe(pipe);
        }
        Poll::Ready(Ok(n))
    }

    /// Writes what is held; ready when nothing is.
    fn poll_held(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut End,
        meter: &Meter,
    ) -> Poll<io::Result<()>> {
        loop {
            let n = match &mut self.held {
                Held::Nothing => return Poll::Ready(Ok(())),
                Held::Bytes(rest) => {
                    let bytes = &rest.buffer[rest.start..rest.end];
                    let n = ready!(to.stream()?.poll_write(cx, bytes))?;
                    if n == 0 {
                        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                    }
                    rest.start += n;
                    self.unflushed = true;
                    if rest.start == rest.end {
                        self.held = Held::Nothing;
                    }
                    n
                }
                Held::Pipe(pipe) => {
                    let Some(peeled) = to.raw() else {
                        return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
                    };
                    let n = ready!(pipe.poll_drain(cx, &peeled.socket))?;
                    if pipe.fill() == 0 {
                        self.held = Held::Nothing;
                    }
                    n
                }
            };
            self.count_written(n, to, meter);
        }
    }

    /// How much may be read now, by every meter that counts this direction; `None` for nothing any
    /// more.
    fn poll_allowed(
        &mut self,
        cx: &mut Context<'_>,
        from: &End,
        to: &End,
        meter: &Meter,
    ) -> Poll<Option<usize>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        let mut allowed = BURST;
        let mut wait = Duration::ZERO;
        let sockets = [from.raw().map(|p| &p.meter), to.raw().map(|p| &p.meter)];
        for meter in sockets.into_iter().flatten().chain([meter]) {
            match meter.allow(self.way, allowed) {
                Allowance::Bytes(n) => allowed = allowed.min(n.max(1)),
                Allowance::After(time) => wait = wait.max(time),
                Allowance::Over => return Poll::Ready(None),
            }
        }
        if wait.is_zero() {
            return Poll::Ready(Some(allowed));
        }
        let mut pause = Box::pin(tokio::time::sleep(wait));
        // Once polled the timer is registered; a wait that is over at once is asked again.
        if pause.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        self.pause = Some(pause);
        Poll::Pending
    }

    /// Counts bytes that came from a client's socket.
    fn count_read(&mut self, n: usize, from: &End, meter: &Meter) {
        if self.way == meter::Direction::In {
            meter.count(self.way, n);
        }
        if let Some(peeled) = from.raw() {
            peeled.meter.count(self.way, n);
        }
    }

    /// Counts bytes that reached the far side.
    fn count_written(&mut self, n: usize, to: &End, meter: &Meter) {
        self.moved = self.moved.wrapping_add(n as u64);
        if self.way == meter::Direction::Out {
            meter.count(self.way, n);
        }
        if let Some(peeled) = to.raw() {
            peeled.meter.count(self.way, n);
        }
    }
}

/// Passes the end of the direction on, where the far side can be told.
fn poll_end(cx: &mut Context<'_>, to: &mut End) -> Poll<io::Result<()>> {
    if !to.half_close() {
        // Telling it would end the other direction too; it is told when both are over.
        return Poll::Ready(Ok(()));
    }
    match ready!(to.stream()?.poll_shutdown(cx)) {
        // The far side is gone already: nobody is left to be told.
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
        result => Poll::Ready(result),
    }
}
