//! The task of a session: it moves the bytes between the connection and the state machine, keeps
//! the time, and wakes those who wait on streams.

use std::{
    future::{Future, poll_fn},
    io::{self, IoSlice},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::{Buf, BytesMut};
use gost_core::{
    error::{Error, Phase, Why},
    stream::Stream,
};
use gost_smux::{Outgoing, SessionError};
use tokio::{
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{Instant, Sleep, sleep_until, timeout},
};

use super::{
    arena,
    state::{Shared, State},
};
use crate::options::WRITE_STALL;

/// Bytes moved in one poll before others get their turn.
const BURST: usize = 1 << 20;

/// When nobody uses the session any more: how long the rest may take to be sent, and then the
/// peer to close the connection.
const LINGER: Duration = Duration::from_secs(10);

/// Moves the bytes of one session.
pub(super) struct Driver {
    io: Box<dyn Stream>,
    shared: Arc<Shared>,
    outgoing: Outgoing,
    /// Something was written, and not flushed since.
    unflushed: bool,
    /// Bytes were written since the shared state was last told.
    progress: bool,
    /// What was received while the receive buffer was full.
    rest: BytesMut,
    /// The receive buffer is full.
    paused: bool,
    /// Many streams wait to be accepted.
    crowded: bool,
    timer: Timer,
    woken: Vec<Waker>,
    /// Ends the session however the task ends: nobody is to wait for a driver that is gone.
    ending: Ending,
}

/// Why the driver stops.
enum End {
    /// Nobody uses the session.
    Unused,
    /// The connection ended, or failed.
    Lost(Option<io::Error>),
    /// The session failed: a violation of the protocol, a deadline.
    Failed(SessionError),
}

impl Driver {
    pub(super) fn new(io: Box<dyn Stream>, shared: Arc<Shared>) -> Self {
        Self {
            io,
            ending: Ending(shared.clone()),
            shared,
            outgoing: Outgoing::new(),
            unflushed: false,
            progress: false,
            rest: BytesMut::new(),
            paused: false,
            crowded: false,
            timer: Timer::default(),
            woken: Vec::new(),
        }
    }

    /// Drives the session to its end, and closes the connection.
    pub(super) async fn run(mut self) {
        let end = poll_fn(|cx| self.poll(cx)).await;
        let peer = &self.shared.meta.peer.clone();
        // Whoever waits for the first stream says what became of it.
        let used = self.shared.lock().used;
        match end {
            End::Unused => {
                self.ending.close();
                if used {
                    tracing::debug!(%peer, "mux session closed");
                }
                if timeout(LINGER, self.close()).await.is_err() {
                    tracing::debug!(%peer, "mux: the peer did not close the connection");
                }
            }
            End::Lost(error) => {
                let cause = error.map(|e| Error::from(e).phase(Phase::Relay));
                match &cause {
                    Some(cause) if used => tracing::debug!(%peer, "mux session lost: {cause}"),
                    None if used => tracing::debug!(%peer, "mux session ended by the peer"),
                    _ => {}
                }
                self.ending.lose(cause);
                // The peer may be gone.
                let _ = timeout(LINGER, self.io.shutdown()).await;
            }
            End::Failed(error) => {
                if used {
                    tracing::warn!(%peer, "mux session failed: {error}");
                }
                self.ending.lose(None);
                self.io.abort();
            }
        }
    }

    /// Sends what is left, ends our direction, and waits for the peer to end its own: a connection
    /// that is closed while there is something to read in it is reset, and takes with it what the
    /// peer has not read yet.
    async fn close(&mut self) {
        let sent = poll_fn(|cx| self.poll_send(cx)).await;
        if sent.is_err() || self.io.shutdown().await.is_err() {
            return;
        }
        let mut arena = arena::take();
        while let Ok(1..) = self.io.read_buf(&mut arena).await {
            arena.clear();
        }
        arena.clear();
        arena::put(arena);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let mut moved = 0;
        self.shared.lock().wait_for_work(cx.waker());
        loop {
            match self.poll_send(cx) {
                Poll::Ready(Err(end)) => return Poll::Ready(end),
                Poll::Ready(Ok(())) | Poll::Pending => {}
            }
            match self.poll_receive(cx) {
                Poll::Ready(Err(end)) => return Poll::Ready(end),
                Poll::Ready(Ok(received)) => moved += received,
                Poll::Pending => break,
            }
            if moved >= BURST || self.crowded {
                cx.waker().wake_by_ref();
                break;
            }
        }
        self.poll_time(cx)
    }

    /// Writes until nothing is left to be written, or the connection takes no more.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        loop {
            let mut state = self.shared.lock();
            if std::mem::take(&mut self.progress) {
                state.blocked = None;
            }
            state.session.set_time(Instant::now().into_std());
            let more = state.session.transmit(&mut self.outgoing);
            state.take_events(&mut self.woken);
            let failed = state.session.error().filter(|e| *e != SessionError::Closed);
            drop(state);
            self.wake();
            if let Some(error) = failed {
                return Poll::Ready(Err(End::Failed(error)));
            }
            if !more {
                break;
            }
            match self.poll_write(cx) {
                Poll::Ready(Ok(n)) => {
                    self.outgoing.advance(n);
                    self.progress = true;
                    self.unflushed = true;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(End::Lost(Some(error)))),
                Poll::Pending => {
                    let mut state = self.shared.lock();
                    state.blocked.get_or_insert_with(Instant::now);
                    return Poll::Pending;
                }
            }
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.io).poll_flush(cx)).map_err(|e| End::Lost(Some(e)))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let io = Pin::new(&mut self.io);
        let written = if io.is_write_vectored() {
            let mut slices = [IoSlice::new(&[]); 3];
            let count = self.outgoing.chunks_vectored(&mut slices);
            ready!(io.poll_write_vectored(cx, &slices[..count]))?
        } else {
            ready!(io.poll_write(cx, self.outgoing.chunk()))?
        };
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        Poll::Ready(Ok(written))
    }

    /// Reads once. Ready with the number of bytes that were received.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, End>> {
        if self.paused && !self.take_rest()? {
            return Poll::Pending;
        }
        let mut arena = arena::take();
        let read = pin!(self.io.read_buf(&mut arena)).poll(cx);
        match read {
            Poll::Pending => {
                arena::put(arena);
                Poll::Pending
            }
            Poll::Ready(Ok(0)) => Poll::Ready(Err(End::Lost(None))),
            Poll::Ready(Err(error)) => Poll::Ready(Err(End::Lost(Some(error)))),
            Poll::Ready(Ok(received)) => {
                self.take_in(&mut arena)?;
                if arena.is_empty() {
                    arena::put(arena);
                } else {
                    self.rest = arena;
                }
                Poll::Ready(Ok(received))
            }
        }
    }

    /// Hands over what had to wait; true when reading can go on.
    fn take_rest(&mut self) -> Result<bool, End> {
        let mut rest = std::mem::take(&mut self.rest);
        self.take_in(&mut rest)?;
        let wait = !rest.is_empty() || self.paused;
        self.rest = rest;
        Ok(!wait)
    }

    /// Hands received bytes to the session and wakes the readers.
    fn take_in(&mut self, input: &mut BytesMut) -> Result<(), End> {
        let mut state = self.shared.lock();
        state.session.set_time(Instant::now().into_std());
        let taken = state.session.receive(input);
        state.note_unread();
        self.paused = !state.session.wants_read();
        state.set_paused(self.paused);
        self.crowded = state.is_crowded();
        state.take_events(&mut self.woken);
        drop(state);
        self.wake();
        taken.map_err(|error| match error {
            SessionError::Closed => End::Unused,
            error => End::Failed(error),
        })
    }

    /// Does what is due, and sets the clock for what comes next.
    fn poll_time(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            let mut state = self.shared.lock();
            if state.is_unused() || state.session.error() == Some(SessionError::Closed) {
                return Poll::Ready(End::Unused);
            }
            let Some(next) = next_deadline(&state) else {
                return Poll::Pending;
            };
            if !self.timer.is_over(next, cx) {
                return Poll::Pending;
            }
            let now = Instant::now();
            state.session.on_timeout(now.into_std());
            let late = |at: Option<Instant>| at.is_some_and(|at| at <= now);
            if late(state.idle_deadline()) {
                state.session.close();
            }
            if late(write_deadline(&state)) {
                return Poll::Ready(End::Lost(Some(io::Error::from(Error::new(
                    Why::TimedOut,
                    "the peer takes no data",
                )))));
            }
            // A sign of life may be due.
            drop(state);
            if let Poll::Ready(Err(end)) = self.poll_send(cx) {
                return Poll::Ready(end);
            }
        }
    }

    fn wake(&mut self) {
        for waker in self.woken.drain(..) {
            waker.wake();
        }
    }
}

struct Ending(Arc<Shared>);

impl Ending {
    /// No stream can be opened any more; what is queued is still to be sent.
    fn close(&self) {
        self.0.lock().session.close();
        self.tell();
    }

    fn lose(&self, cause: Option<Error>) {
        self.0.lock().lose(cause);
        self.tell();
    }

    /// Wakes everybody.
    fn tell(&self) {
        let mut woken = Vec::new();
        self.0.lock().take_events(&mut woken);
        woken.into_iter().for_each(Waker::wake);
        self.0.tell_ended();
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.lose(None);
    }
}

fn next_deadline(state: &State) -> Option<Instant> {
    [
        state.session.next_timeout().map(Instant::from_std),
        state.idle_deadline(),
        write_deadline(state),
    ]
    .into_iter()
    .flatten()
    .min()
}

fn write_deadline(state: &State) -> Option<Instant> {
    state
        .blocked
        .and_then(|since| since.checked_add(WRITE_STALL))
}

/// One timer for all deadlines of a session. It is moved only when it has to go off earlier.
#[derive(Default)]
struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    /// True when `at` is over; otherwise `cx` is woken then, or earlier.
    fn is_over(&mut self, at: Instant, cx: &mut Context<'_>) -> bool {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(at)));
        loop {
            if sleep.deadline() > at {
                sleep.as_mut().reset(at);
            }
            if sleep.as_mut().poll(cx).is_pending() {
                return false;
            }
            if sleep.deadline() >= at {
                return true;
            }
            sleep.as_mut().reset(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smux::stream::MuxStream;

    #[test]
    fn what_stays_of_a_session_and_a_stream_is_small() {
        fn size_of_future<F: Future>(_: impl FnOnce(Driver) -> F) -> usize {
            size_of::<F>()
        }
        let session = size_of_future(Driver::run) + size_of::<Shared>();
        assert!(session <= 2048, "{session}");
        assert!(size_of::<MuxStream>() <= 16, "{}", size_of::<MuxStream>());
    }
}
