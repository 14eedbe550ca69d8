//! What the task of a session shares with those who hold its streams.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use gost_core::{
    conn::{Conn, Meta},
    error::{Error, Phase, Result, Why},
};
use gost_smux::Side;
use parking_lot::{Mutex, MutexGuard};
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::{MAX_STREAMS, YamuxSettings, driver::Driver, unread::Unread};
use crate::{
    options::{MuxSettings, RECEIVE_STALL},
    smux::Accepting,
};

/// A peer that lets new streams wait for so long is stalled.
const OPEN_STALL: Duration = Duration::from_millis(500);

/// A session, for its driver, its streams and its owner.
pub(super) struct Shared {
    state: Mutex<State>,
    /// Held while the connection moves bytes, until its end is known: when it ends all streams
    /// are cut before their holders can know why.
    pub(super) moving: Mutex<()>,
    /// What nobody has read yet.
    pub(super) unread: Arc<Unread>,
    /// What is known of the connection, and so of each stream.
    pub(super) meta: Meta,
    most: usize,
    backlog: usize,
    /// Wakes those who wait for the end.
    ended: Notify,
}

/// All that changes.
pub(super) struct State {
    /// Streams to be opened.
    requests: VecDeque<Request>,
    /// Streams that wait to be accepted.
    accepted: VecDeque<Conn>,
    accepting: Accepting,
    /// The driver, until somebody wakes it.
    driver: Option<Waker>,
    /// Handles that can open or accept streams.
    owners: usize,
    /// Streams that somebody holds or waits for.
    streams: usize,
    /// No stream since then.
    empty: Option<Instant>,
    /// How long it may be without.
    idle: Option<Duration>,
    /// There was a stream, so that somebody may not be told why the session ends.
    pub(super) used: bool,
    /// Why the session ended.
    end: Option<Error>,
}

/// Somebody waits for a stream.
pub(super) struct Request {
    pub(super) answer: oneshot::Sender<Conn>,
    pub(super) slot: Slot,
    since: Instant,
}

/// A stream, as far as the session counts it.
pub(super) struct Slot(pub(super) Arc<Shared>);

/// One that can open or accept streams. The session ends with its last handle and stream.
pub(crate) struct Handle(Arc<Shared>);

impl Handle {
    /// Starts a session over a connection, with a task of its own.
    pub(crate) fn start(
        conn: Conn,
        side: Side,
        accepting: Accepting,
        settings: &MuxSettings,
        yamux: &YamuxSettings,
    ) -> Result<Self> {
        let (io, meta) = conn.into_stream()?;
        let now = Instant::now();
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                requests: VecDeque::new(),
                accepted: VecDeque::new(),
                accepting,
                driver: None,
                owners: 1,
                streams: 0,
                empty: Some(now),
                idle: settings.idle,
                used: false,
                end: None,
            }),
            moving: Mutex::new(()),
            unread: Arc::new(Unread::new(yamux.unread)),
            meta: *meta,
            most: settings.max_accepted.min(MAX_STREAMS),
            backlog: yamux.backlog,
            ended: Notify::new(),
        });
        tokio::spawn(Driver::new(io, side, yamux, shared.clone()).run());
        Ok(Self(shared))
    }

    /// What is known of the connection.
    pub(crate) fn meta(&self) -> &Meta {
        &self.0.meta
    }

    /// True for another handle of the same session.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Opens a stream, unless there are `most` of them.
    pub(crate) async fn open(&self, most: usize) -> Result<Option<Conn>> {
        let (answer, opened) = oneshot::channel();
        {
            let mut state = self.0.lock();
            if let Some(end) = &state.end {
                return Err(end.clone());
            }
            if state.streams >= most.min(MAX_STREAMS) {
                return Ok(None);
            }
            let request = Request {
                answer,
                slot: self.0.take_slot(&mut state),
                since: Instant::now(),
            };
            state.requests.push_back(request);
            Shared::kick(state);
        }
        // The driver is gone only when the session has ended.
        opened.await.map(Some).map_err(|_| self.0.end_error())
    }

    /// The next stream that the peer opened. One may wait at a time.
    pub(crate) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Result<Conn>> {
        let mut state = self.0.lock();
        if let Some(conn) = state.accepted.pop_front() {
            return Poll::Ready(Ok(conn));
        }
        if let Some(end) = &state.end {
            return Poll::Ready(Err(end.clone()));
        }
        state.accepting = Accepting::Waiting(cx.waker().clone());
        Poll::Pending
    }

    /// Closes the streams that wait to be accepted, and all further ones.
    pub(crate) fn refuse(&self) {
        let mut state = self.0.lock();
        state.accepting = Accepting::No;
        let refused = std::mem::take(&mut state.accepted);
        Shared::kick(state);
        drop(refused);
    }

    /// Ends the session when it had no stream for so long.
    pub(crate) fn set_idle_timeout(&self, idle: Option<Duration>) {
        let mut state = self.0.lock();
        state.idle = idle;
        // The driver keeps the time.
        Shared::kick(state);
    }

    /// The streams that are held, of both sides.
    pub(crate) fn streams(&self) -> usize {
        self.0.lock().streams
    }

    /// True once no stream can be opened any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.lock().end.is_some()
    }

    /// True while a new stream would get nowhere: the peer accepts none, or we do not read.
    pub(crate) fn is_stalled(&self) -> bool {
        let full = self.0.unread.full_since();
        if full.is_some_and(|at| at.elapsed() >= RECEIVE_STALL) {
            return true;
        }
        let state = self.0.lock();
        let first = state.requests.front();
        first.is_some_and(|request| request.since.elapsed() >= OPEN_STALL)
    }

    /// Waits for the end of the session and says why it ended.
    pub(crate) async fn closed(&self) -> Error {
        loop {
            let mut ended = std::pin::pin!(self.0.ended.notified());
            // Before looking, so that an end in between is not missed.
            ended.as_mut().enable();
            if let Some(end) = self.0.lock().end.clone() {
                return end;
            }
            ended.await;
        }
    }
}

impl Clone for Handle {
    fn clone(&self) -> Self {
        self.0.lock().owners += 1;
        Self(self.0.clone())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.owners -= 1;
        Shared::kick(state);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.streams -= 1;
        if state.streams == 0 {
            state.empty = Some(Instant::now());
            Shared::kick(state);
        }
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    fn take_slot(self: &Arc<Self>, state: &mut State) -> Slot {
        state.streams += 1;
        state.empty = None;
        state.used = true;
        Slot(self.clone())
    }

    /// A place for a stream that the peer opened; `None` when it is not wanted.
    pub(super) fn admit(self: &Arc<Self>) -> Option<Slot> {
        let mut state = self.lock();
        if matches!(state.accepting, Accepting::No) {
            return None;
        }
        if state.streams >= self.most || state.accepted.len() >= self.backlog {
            tracing::warn!(peer = %self.meta.peer, "mux: too many streams, one was closed");
            return None;
        }
        Some(self.take_slot(&mut state))
    }

    /// Hands a stream to whoever accepts.
    pub(super) fn deliver(&self, conn: Conn) {
        let mut state = self.lock();
        let refused = match std::mem::replace(&mut state.accepting, Accepting::Yes) {
            Accepting::No => {
                state.accepting = Accepting::No;
                Some(conn)
            }
            Accepting::Yes => {
                state.accepted.push_back(conn);
                None
            }
            Accepting::Waiting(waker) => {
                state.accepted.push_back(conn);
                waker.wake();
                None
            }
        };
        drop(state);
        drop(refused);
    }

    /// Ends the session: nobody is to wait for it any more.
    pub(super) fn end(&self, why: Error) {
        let mut state = self.lock();
        let waiter = std::mem::replace(&mut state.accepting, Accepting::No);
        let gone = (
            std::mem::take(&mut state.requests),
            std::mem::take(&mut state.accepted),
        );
        state.end.get_or_insert(why);
        drop(state);
        drop(gone);
        if let Accepting::Waiting(waker) = waiter {
            waker.wake();
        }
        self.ended.notify_waiters();
    }

    /// Why the session ended.
    pub(super) fn end_error(&self) -> Error {
        let end = self.lock().end.clone();
        end.unwrap_or_else(|| self.error(Why::Reset, "connection was lost"))
    }

    /// Lets the driver go on.
    fn kick(mut state: MutexGuard<'_, State>) {
        let driver = state.driver.take();
        drop(state);
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    pub(super) fn error(&self, why: Why, what: impl std::fmt::Display) -> Error {
        let what = format!("mux session with {}: {what}", self.meta.peer);
        Error::new(why, what).phase(Phase::Relay)
    }
}

impl State {
    /// Where the driver is to be woken.
    pub(super) fn wait_for_work(&mut self, driver: &Waker) {
        match &mut self.driver {
            Some(waker) => waker.clone_from(driver),
            None => self.driver = Some(driver.clone()),
        }
    }

    /// The next stream to be opened.
    pub(super) fn next_request(&mut self) -> Option<Request> {
        self.requests.pop_front()
    }

    /// It can't be opened yet.
    pub(super) fn put_back(&mut self, request: Request) {
        self.requests.push_front(request);
    }

    /// Why the session ended, if it has.
    pub(super) fn end(&self) -> Option<&Error> {
        self.end.as_ref()
    }

    /// True when nobody can use the session any more.
    pub(super) fn is_unused(&self) -> bool {
        self.owners == 0 && self.streams == 0
    }

    /// When the session ends unless a stream comes.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.empty?.checked_add(self.idle?)
    }
}
