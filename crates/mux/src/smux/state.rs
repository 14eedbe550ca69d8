//! What the task of a session shares with those who hold its streams.

use std::{
    collections::HashMap,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use gost_core::{
    conn::{Conn, Meta},
    error::{Error, Phase, Result, Why},
};
use gost_smux::{Event, Session, SessionError, Side, StreamId};
use parking_lot::{Mutex, MutexGuard};
use tokio::{sync::Notify, time::Instant};

use super::{driver::Driver, stream::MuxStream};
use crate::options::{MuxSettings, RECEIVE_STALL};

/// A session whose connection takes nothing for so long is stalled. Longer than it takes to hear
/// from a peer far away.
const SEND_STALL: Duration = Duration::from_millis(500);

/// A session, for its driver, its streams and its owner.
pub(crate) struct Shared {
    state: Mutex<State>,
    /// What is known of the connection, and so of each stream.
    pub(super) meta: Meta,
    max_accepted: usize,
    /// Wakes those who wait for the end.
    ended: Notify,
}

/// All that changes.
pub(super) struct State {
    pub(super) session: Session,
    /// One entry for each stream that somebody holds.
    streams: HashMap<StreamId, Wakers>,
    /// The driver, until somebody wakes it.
    driver: Option<Waker>,
    accepting: Accepting,
    /// Handles that can open or accept streams.
    owners: usize,
    /// The connection takes no bytes, since when: there is no use in waking the driver for more.
    pub(super) blocked: Option<Instant>,
    /// The driver does not read, because there is too much unread.
    paused: bool,
    /// The receive buffer was full then, and has not been half empty since.
    full: Option<Instant>,
    /// No stream since then.
    empty: Option<Instant>,
    /// How long it may be without.
    idle: Option<Duration>,
    /// There was a stream, so that somebody may not be told why the session ends.
    pub(super) used: bool,
    /// What the connection said when it ended.
    cause: Option<Error>,
}

/// Whether streams that the peer opens are wanted.
pub(crate) enum Accepting {
    /// No: they are closed at once.
    No,
    /// Yes, but nobody waits for one just now.
    Yes,
    /// Somebody waits.
    Waiting(Waker),
}

/// Who waits on a stream.
#[derive(Default)]
struct Wakers {
    read: Option<Waker>,
    write: Option<Waker>,
}

/// One that can open or accept streams. The session ends with its last handle and stream.
pub(crate) struct Handle(Arc<Shared>);

impl Handle {
    /// Starts a session over a connection, with a task of its own.
    pub(crate) fn start(
        conn: Conn,
        side: Side,
        accepting: Accepting,
        settings: &MuxSettings,
    ) -> Result<Self> {
        let (handle, driver) = Self::new(conn, side, accepting, settings)?;
        tokio::spawn(driver.run());
        Ok(handle)
    }

    /// A session over a connection, and what has to drive it.
    pub(super) fn new(
        conn: Conn,
        side: Side,
        accepting: Accepting,
        settings: &MuxSettings,
    ) -> Result<(Self, Driver)> {
        let (io, meta) = conn.into_stream()?;
        let now = Instant::now();
        let session = Session::new(settings.smux.clone(), side, now.into_std())
            .map_err(|e| Error::new(Why::BadInput, e.to_string()))?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                session,
                streams: HashMap::new(),
                driver: None,
                accepting,
                owners: 1,
                blocked: None,
                paused: false,
                full: None,
                empty: Some(now),
                idle: settings.idle,
                used: false,
                cause: None,
            }),
            meta: *meta,
            max_accepted: settings.max_accepted,
            ended: Notify::new(),
        });
        let driver = Driver::new(io, shared.clone());
        Ok((Self(shared), driver))
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
    pub(crate) fn open(&self, most: usize) -> Result<Option<Conn>> {
        let mut state = self.0.lock();
        if state.streams.len() >= most && state.session.error().is_none() {
            return Ok(None);
        }
        let id = state.session.open().map_err(|e| match e {
            gost_smux::OpenError::Session(_) => state.end_error(&self.0.meta),
            gost_smux::OpenError::Exhausted => self.0.error(Why::Limited, &e),
        })?;
        Ok(Some(self.0.hold(state, id)))
    }

    /// The next stream that the peer opened. One may wait at a time.
    pub(crate) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Result<Conn>> {
        let mut state = self.0.lock();
        while let Some(id) = state.session.accept() {
            if state.streams.len() < self.0.max_accepted {
                return Poll::Ready(Ok(self.0.hold(state, id)));
            }
            tracing::warn!(peer = %self.0.meta.peer, "mux: too many streams, one was closed");
            state.session.release(id);
        }
        if state.session.error().is_some() {
            return Poll::Ready(Err(state.end_error(&self.0.meta)));
        }
        state.accepting = Accepting::Waiting(cx.waker().clone());
        // Streams may have been refused.
        Shared::kick(state);
        Poll::Pending
    }

    /// Closes the streams that wait to be accepted, and all further ones.
    pub(crate) fn refuse(&self) {
        let mut state = self.0.lock();
        state.accepting = Accepting::No;
        state.refuse_waiting();
        Shared::kick(state);
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
        self.0.lock().streams.len()
    }

    /// True once no stream can be opened any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.lock().session.error().is_some()
    }

    /// True while a new stream would probably get nowhere, because others hold up the session.
    pub(crate) fn is_stalled(&self) -> bool {
        let state = self.0.lock();
        state.full.is_some_and(|at| at.elapsed() >= RECEIVE_STALL)
            || state.blocked.is_some_and(|at| at.elapsed() >= SEND_STALL)
    }

    /// Waits for the end of the session and says why it ended.
    pub(crate) async fn closed(&self) -> Error {
        loop {
            let mut ended = std::pin::pin!(self.0.ended.notified());
            // Before looking, so that an end in between is not missed.
            ended.as_mut().enable();
            {
                let state = self.0.lock();
                if state.session.error().is_some() {
                    return state.end_error(&self.0.meta);
                }
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

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        #[cfg(test)]
        super::interleaving::point();
        self.state.lock()
    }

    /// A stream with a holder.
    fn hold(self: &Arc<Self>, mut state: MutexGuard<'_, State>, id: StreamId) -> Conn {
        state.streams.insert(id, Wakers::default());
        state.empty = None;
        state.used = true;
        Self::kick(state);
        Conn::stream(MuxStream::new(self.clone(), id), self.meta.clone())
    }

    /// Forgets a stream that its holder gives up.
    pub(super) fn release(&self, id: StreamId) {
        let mut state = self.lock();
        state.session.release(id);
        state.streams.remove(&id);
        if state.streams.is_empty() {
            state.empty = Some(Instant::now());
        }
        Self::kick(state);
    }

    /// Lets the driver go on, if what was just done to the session gave it something to do.
    pub(super) fn kick(mut state: MutexGuard<'_, State>) {
        let driver = if state.needs_driver() {
            state.driver.take()
        } else {
            None
        };
        drop(state);
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    /// Tells those who wait for the end.
    pub(super) fn tell_ended(&self) {
        self.ended.notify_waiters();
    }

    pub(super) fn error(&self, why: Why, what: &dyn std::fmt::Display) -> Error {
        error(&self.meta, why, what)
    }
}

impl State {
    fn needs_driver(&self) -> bool {
        (self.session.wants_write() && self.blocked.is_none())
            || (self.paused && self.session.wants_read())
            || self.session.error().is_some()
            || self.streams.is_empty()
    }

    /// Where the driver is to be woken. A holder takes this out: the next one need not wake it.
    pub(super) fn wait_for_work(&mut self, driver: &Waker) {
        match &mut self.driver {
            Some(waker) => waker.clone_from(driver),
            None => self.driver = Some(driver.clone()),
        }
    }

    /// The end of an idle session, unless a stream comes.
    pub(super) fn idle_deadline(&self) -> Option<Instant> {
        self.empty?.checked_add(self.idle?)
    }

    /// True when nobody can use the session any more.
    pub(super) fn is_unused(&self) -> bool {
        self.owners == 0 && self.streams.is_empty()
    }

    /// After data was received or read: whether the driver may read on, and whether readers stall.
    pub(super) fn note_unread(&mut self) {
        let full = !self.session.wants_read();
        if full && self.full.is_none() {
            self.full = Some(Instant::now());
        } else if self.full.is_some() {
            let half = self.session.config().max_receive_buffer / 2;
            if self.session.stats().counted <= half {
                self.full = None;
            }
        }
    }

    /// Notes whether the driver stopped reading.
    pub(super) fn set_paused(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// True when so many streams wait to be accepted that some would soon be refused.
    pub(super) fn is_crowded(&self) -> bool {
        self.session.stats().backlog > self.session.config().accept_backlog / 2
    }

    /// Moves the wakers of those for whom something has happened to `woken`.
    pub(super) fn take_events(&mut self, woken: &mut Vec<Waker>) {
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Opened => match std::mem::replace(&mut self.accepting, Accepting::Yes) {
                    Accepting::No => {
                        self.accepting = Accepting::No;
                        self.refuse_waiting();
                    }
                    Accepting::Yes => {}
                    Accepting::Waiting(waker) => woken.push(waker),
                },
                Event::Readable(id) => {
                    woken.extend(self.streams.get_mut(&id).and_then(|w| w.read.take()));
                }
                Event::Writable(id) => {
                    woken.extend(self.streams.get_mut(&id).and_then(|w| w.write.take()));
                }
                Event::Finished(id) => {
                    if let Some(wakers) = self.streams.get_mut(&id) {
                        woken.extend(wakers.read.take());
                        woken.extend(wakers.write.take());
                    }
                }
                Event::Closed => {
                    for wakers in self.streams.values_mut() {
                        woken.extend(wakers.read.take());
                        woken.extend(wakers.write.take());
                    }
                    if let Accepting::Waiting(waker) =
                        std::mem::replace(&mut self.accepting, Accepting::Yes)
                    {
                        woken.push(waker);
                    }
                }
            }
        }
    }

    fn refuse_waiting(&mut self) {
        while let Some(id) = self.session.accept() {
            self.session.release(id);
        }
    }

    /// Wakes `reader` when something can be read.
    pub(super) fn wait_to_read(&mut self, id: StreamId, reader: &Waker) {
        if let Some(wakers) = self.streams.get_mut(&id) {
            set(&mut wakers.read, reader);
        }
    }

    /// Wakes `writer` when something can be written.
    pub(super) fn wait_to_write(&mut self, id: StreamId, writer: &Waker) {
        if let Some(wakers) = self.streams.get_mut(&id) {
            set(&mut wakers.write, writer);
        }
    }

    /// The connection is gone, for this reason if there was one.
    pub(super) fn lose(&mut self, cause: Option<Error>) {
        if self.session.error().is_none() {
            self.cause = cause;
            self.session.connection_lost();
        }
    }

    /// Why the session ended.
    pub(super) fn end_error(&self, meta: &Meta) -> Error {
        let end = self.session.error().unwrap_or(SessionError::Closed);
        if let (SessionError::ConnectionLost, Some(cause)) = (end, &self.cause) {
            return cause
                .clone()
                .context(format!("mux session with {}", meta.peer));
        }
        let why = match end {
            SessionError::Version { .. }
            | SessionError::Command(_)
            | SessionError::Length { .. }
            | SessionError::WindowOverrun(_) => Why::BadInput,
            SessionError::KeepAlive | SessionError::Stalled => Why::TimedOut,
            SessionError::ConnectionLost => Why::Reset,
            SessionError::Closed => Why::Closed,
        };
        error(meta, why, &end)
    }
}

fn set(slot: &mut Option<Waker>, waker: &Waker) {
    match slot {
        Some(old) => old.clone_from(waker),
        None => *slot = Some(waker.clone()),
    }
}

fn error(meta: &Meta, why: Why, what: &dyn std::fmt::Display) -> Error {
    let what = format!("mux session with {}: {what}", meta.peer);
    Error::new(why, what).phase(Phase::Relay)
}
