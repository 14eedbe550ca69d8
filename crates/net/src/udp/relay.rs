//! The copy for datagrams.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use gost_core::{
    error::{Error, Phase, Side},
    meter::{Allowance, Direction, Meter},
    packet::{Batch, Packet},
};
use tokio::time::{Instant, Sleep};

use super::{
    arena::lease,
    filter::{Check, Filtered},
};

/// How often one poll serves both directions before it lets others work.
const ROUNDS: usize = 16;

/// How a relay is to be made.
#[derive(Clone, Default)]
pub struct RelayOptions {
    /// End when nothing has moved for so long.
    pub idle: Option<Duration>,
    /// Counts and limits the payload: what is above the limit is dropped.
    pub meter: Meter,
    /// Asked about the addresses on the far side, in both directions.
    pub check: Option<Check>,
}

/// How much has gone one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Datagrams.
    pub packets: u64,
    /// Bytes of payload.
    pub bytes: u64,
    /// Datagrams dropped because of the limit.
    pub dropped: u64,
}

/// What a relay has done.
#[derive(Debug)]
pub struct Outcome {
    /// From the client.
    pub input: Tally,
    /// To the client.
    pub output: Tally,
    /// Why it ended, when neither idle nor in order. The side says which end failed: the client or
    /// the target.
    pub error: Option<Error>,
}

/// Moves datagrams between a client and what was opened for it, until either side says that the
/// conversation is over, or it is idle.
///
/// It moves them in a batch of the thread, and keeps one of its own only while a side can't take
/// it: an idle conversation holds none.
#[must_use = "a relay does nothing unless polled"]
pub struct Relay {
    ends: [Box<dyn Packet>; 2],
    /// By direction, what could not be sent yet.
    held: [Option<Box<Batch>>; 2],
    tally: [Tally; 2],
    meter: Meter,
    idle: Option<Idle>,
}

struct Idle {
    after: Duration,
    last: Instant,
    timer: Pin<Box<Sleep>>,
}

const DIRECTIONS: [Direction; 2] = [Direction::In, Direction::Out];

/// What came of one attempt to move datagrams.
enum Step {
    Moved,
    Waits,
    Over,
}

/// Begins to relay.
pub fn relay(client: Box<dyn Packet>, upstream: Box<dyn Packet>, options: RelayOptions) -> Relay {
    let upstream = match options.check {
        Some(check) => Box::new(Filtered::new(upstream, check)),
        None => upstream,
    };
    Relay {
        ends: [client, upstream],
        held: [None, None],
        tally: [Tally::default(); 2],
        meter: options.meter,
        idle: options.idle.map(|after| Idle {
            after,
            last: Instant::now(),
            timer: Box::pin(tokio::time::sleep(after)),
        }),
    }
}

/// Drops what exceeds the limit of a meter, and says how many datagrams that were. What is left is
/// counted by whoever moves it.
///
/// The first datagram beyond the allowance still passes: the meter takes it off what comes next,
/// and a datagram longer than any allowance can pass at all.
pub(crate) fn police(meter: &Meter, direction: Direction, batch: &mut Batch) -> usize {
    if meter.is_none() || batch.is_empty() {
        return 0;
    }
    let total = batch.bytes();
    let mut allowed = match meter.allow(direction, total) {
        Allowance::Bytes(n) if n >= total => return 0,
        Allowance::Bytes(n) => n,
        Allowance::After(_) | Allowance::Over => 0,
    };
    batch.retain(|payload, _| {
        let pass = allowed > 0;
        allowed = allowed.saturating_sub(payload.len());
        pass
    })
}

impl Relay {
    /// Moves one batch from `ends[way]` to the other end.
    fn step(&mut self, way: usize, cx: &mut Context<'_>) -> Result<Step, (usize, io::Error)> {
        let other = 1 - way;
        if let Some(held) = &mut self.held[way] {
            match self.ends[other].poll_send(cx, held) {
                Poll::Ready(sent) => sent.map_err(|e| (other, e))?,
                Poll::Pending => return Ok(Step::Waits),
            }
            self.held[way] = None;
        }
        let mut batch = lease();
        match self.ends[way].poll_recv(cx, &mut batch) {
            Poll::Ready(received) => received.map_err(|e| (way, e))?,
            Poll::Pending => return Ok(Step::Waits),
        }
        if batch.is_empty() {
            return Ok(Step::Over);
        }
        let dropped = police(&self.meter, DIRECTIONS[way], &mut batch);
        let (tally, bytes) = (&mut self.tally[way], batch.bytes());
        self.meter.count(DIRECTIONS[way], bytes);
        tally.packets += batch.len() as u64;
        tally.bytes += bytes as u64;
        tally.dropped += dropped as u64;
        match self.ends[other].poll_send(cx, &mut batch) {
            Poll::Ready(sent) => sent.map_err(|e| (other, e))?,
            // Also when the batch is empty: the other end has some of it still to send.
            Poll::Pending => self.held[way] = Some(Box::new(batch.take())),
        }
        Ok(Step::Moved)
    }

    fn outcome(&mut self, failed: Option<(usize, io::Error)>) -> Outcome {
        Outcome {
            input: self.tally[0],
            output: self.tally[1],
            error: failed.map(|(end, error)| {
                let error = Error::from(error).phase(Phase::Relay);
                match (error.at_side(), end) {
                    (Side::Us, 0) => error.side(Side::Client),
                    (Side::Us, _) => error.side(Side::Target),
                    _ => error,
                }
            }),
        }
    }
}

impl Future for Relay {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let this = self.get_mut();
        let mut moved = false;
        let mut rounds = 0;
        let waits = loop {
            let mut waits = true;
            for way in 0..2 {
                match this.step(way, cx) {
                    Ok(Step::Moved) => waits = false,
                    Ok(Step::Waits) => {}
                    Ok(Step::Over) => return Poll::Ready(this.outcome(None)),
                    Err(failed) => return Poll::Ready(this.outcome(Some(failed))),
                }
            }
            moved |= !waits;
            rounds += 1;
            if waits || rounds == ROUNDS {
                break waits;
            }
        };
        if !waits {
            cx.waker().wake_by_ref();
        }
        if let Some(idle) = &mut this.idle {
            if moved {
                idle.last = Instant::now();
            }
            while idle.timer.as_mut().poll(cx).is_ready() {
                // The timer is not set anew for each datagram, but when it goes off too early.
                let end = idle.last + idle.after;
                if end <= Instant::now() {
                    return Poll::Ready(this.outcome(None));
                }
                idle.timer.as_mut().reset(end);
            }
        }
        Poll::Pending
    }
}
