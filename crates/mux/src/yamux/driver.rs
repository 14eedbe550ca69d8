//! The task of a session: it lets the connection move its bytes, opens and accepts streams, and
//! keeps the time.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
    time::Duration,
};

use gost_core::{
    conn::Conn,
    error::{Error, Phase, Why},
    stream::Stream,
};
use gost_smux::Side;
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use yamux::{Connection, ConnectionError, FrameDecodeError, Mode};

use super::{
    YamuxSettings,
    io::{Io, Signs},
    state::Shared,
    stream::YamuxStream,
};
use crate::options::WRITE_STALL;

/// How long what is left may take to be sent when a session ends.
const LINGER: Duration = Duration::from_secs(10);

/// How long the peer may take to answer a ping.
const ANSWER: Duration = Duration::from_secs(10);

/// The connection sends no ping sooner than this after the last answer.
const SHORTEST: Duration = Duration::from_millis(10_100);

/// Streams that are opened or accepted in one poll before others get their turn.
const BURST: usize = 64;

pub(super) struct Driver {
    connection: Connection<Io>,
    shared: Arc<Shared>,
    signs: Arc<Signs>,
    /// Time between two looks at whether the peer lives.
    period: Option<Duration>,
    next_look: Option<Instant>,
    /// Nothing was heard in the last period.
    silent: bool,
    sleep: Pin<Box<Sleep>>,
    /// Ends the session however the task ends: nobody is to wait for a driver that is gone.
    ending: Ending,
}

struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end(self.0.error(Why::Reset, "connection was lost"));
    }
}

impl Driver {
    pub(super) fn new(
        io: Box<dyn Stream>,
        side: Side,
        settings: &YamuxSettings,
        shared: Arc<Shared>,
    ) -> Self {
        let signs = Arc::new(Signs::default());
        let mode = match side {
            Side::Client => Mode::Client,
            Side::Server => Mode::Server,
        };
        let now = Instant::now();
        let period = settings.keepalive.map(|interval| interval.max(SHORTEST));
        Self {
            connection: Connection::new(
                Io::new(io, signs.clone(), shared.unread.clone()),
                settings.config(),
                mode,
            ),
            ending: Ending(shared.clone()),
            shared,
            signs,
            period,
            next_look: period.and_then(|period| now.checked_add(period)),
            silent: false,
            sleep: Box::pin(sleep_until(now)),
        }
    }

    /// Drives the session to its end, and closes the connection.
    pub(super) async fn run(mut self) {
        let end = poll_fn(|cx| self.poll(cx)).await;
        let peer = &self.shared.meta.peer;
        let used = self.shared.lock().used;
        match end.why() {
            // Whoever waits for the first stream says what became of it.
            _ if !used => {}
            Why::Closed => tracing::debug!(%peer, "mux session closed"),
            Why::Reset => tracing::debug!(%peer, "mux session lost: {end}"),
            _ => tracing::warn!(%peer, "mux session failed: {end}"),
        }
        self.ending.0.end(end);
        let closing = poll_fn(|cx| self.connection.poll_close(cx));
        // The peer may be gone.
        let _ = timeout(LINGER, closing).await;
    }

    /// Ready with why the session ended.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        self.shared.lock().wait_for_work(cx.waker());
        for _ in 0..BURST {
            if let Err(error) = self.open(cx) {
                return Poll::Ready(self.failed(error));
            }
            match self.poll_move(cx) {
                Poll::Ready(Ok(stream)) => self.accept(stream, cx),
                Poll::Ready(Err(end)) => return Poll::Ready(end),
                Poll::Pending => return self.poll_time(cx),
            }
        }
        cx.waker().wake_by_ref();
        self.poll_time(cx)
    }

    /// Moves bytes, until the peer opens a stream or nothing is left to be done.
    fn poll_move(&mut self, cx: &mut Context<'_>) -> Poll<Result<yamux::Stream, Error>> {
        let moving = self.shared.moving.lock();
        let error = match ready!(self.connection.poll_next_inbound(cx)) {
            Some(Ok(stream)) => return Poll::Ready(Ok(stream)),
            Some(Err(error)) => error,
            None => ConnectionError::Closed,
        };
        let end = self.failed(error);
        self.shared.end(end.clone());
        drop(moving);
        Poll::Ready(Err(end))
    }

    /// Opens the streams that somebody waits for, as far as the peer has accepted earlier ones.
    fn open(&mut self, cx: &mut Context<'_>) -> Result<(), ConnectionError> {
        loop {
            let Some(request) = self.shared.lock().next_request() else {
                return Ok(());
            };
            if request.answer.is_closed() {
                continue;
            }
            match self.connection.poll_new_outbound(cx)? {
                Poll::Pending => {
                    self.shared.lock().put_back(request);
                    return Ok(());
                }
                Poll::Ready(stream) => {
                    let stream = YamuxStream::new(stream, request.slot, cx);
                    let conn = Conn::stream(stream, self.shared.meta.clone());
                    // Whoever gave up meanwhile leaves a stream that is closed again.
                    let _ = request.answer.send(conn);
                }
            }
        }
    }

    fn accept(&self, stream: yamux::Stream, cx: &mut Context<'_>) {
        // One that is not wanted is reset when it is dropped.
        let Some(slot) = self.shared.admit() else {
            self.shared.unread.close(stream.id().val());
            return;
        };
        let stream = YamuxStream::new(stream, slot, cx);
        self.shared
            .deliver(Conn::stream(stream, self.shared.meta.clone()));
    }

    /// Does what is due, and sets the clock for what comes next.
    fn poll_time(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        let now = Instant::now();
        let deadline = {
            let state = self.shared.lock();
            let deadline = state.deadline();
            if state.is_unused() || deadline.is_some_and(|at| at <= now) {
                return Poll::Ready(self.shared.error(Why::Closed, "session closed"));
            }
            deadline
        };
        if self.next_look.is_some_and(|at| at <= now) {
            // Who is not listened to is not missed.
            let heard =
                self.signs.heard.swap(false, Ordering::Relaxed) || self.shared.unread.is_full();
            if self.silent && !heard {
                let late = self.shared.error(Why::TimedOut, "keep-alive timed out");
                return Poll::Ready(late);
            }
            self.silent = !heard;
            let wait = if heard { self.period } else { Some(ANSWER) };
            self.next_look = wait.and_then(|wait| now.checked_add(wait));
            // The connection sends a ping whenever it is polled and one is due.
            cx.waker().wake_by_ref();
        }
        let blocked = *self.signs.blocked.lock();
        let stalls = blocked.and_then(|since| since.checked_add(WRITE_STALL));
        if stalls.is_some_and(|at| at <= now) {
            let late = self.shared.error(Why::TimedOut, "the peer takes no data");
            return Poll::Ready(late);
        }
        let deadlines = [deadline, self.next_look, stalls];
        if let Some(next) = deadlines.into_iter().flatten().min() {
            self.sleep.as_mut().reset(next);
            if self.sleep.as_mut().poll(cx).is_ready() {
                cx.waker().wake_by_ref();
            }
        }
        Poll::Pending
    }

    fn failed(&self, error: ConnectionError) -> Error {
        match error {
            ConnectionError::Io(error) | ConnectionError::Decode(FrameDecodeError::Io(error)) => {
                Error::from(error)
                    .phase(Phase::Relay)
                    .context(format!("mux session with {}", self.shared.meta.peer))
            }
            ConnectionError::Closed if self.signs.ended.load(Ordering::Relaxed) => {
                self.shared.error(Why::Reset, "connection was lost")
            }
            ConnectionError::Closed => self.shared.error(Why::Closed, "closed by the peer"),
            ConnectionError::NoMoreStreamIds | ConnectionError::TooManyStreams => {
                self.shared.error(Why::Limited, error)
            }
            // What does not follow the protocol.
            _ => self.shared.error(Why::BadInput, error),
        }
    }
}
