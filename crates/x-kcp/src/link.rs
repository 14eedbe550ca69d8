//! A session as its socket's task and its stream share it.

use std::{
    sync::Arc,
    task::{Context, Waker},
};

use futures_util::task::AtomicWaker;
use gost_core::{
    addr::Addr,
    error::{Error, Phase, Why},
};
use gost_kcp::Session;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

/// What the streams of a socket tell its task.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    /// Sessions that have something to send, or have ended.
    ready: Mutex<Vec<usize>>,
    task: AtomicWaker,
}

impl Bell {
    /// Wakes the task.
    pub(crate) fn ring(&self) {
        self.task.wake();
    }

    /// Is woken from now on.
    pub(crate) fn listen(&self, cx: &Context<'_>) {
        self.task.register(cx.waker());
    }

    /// Moves the numbers of those who rang into `ready`.
    pub(crate) fn take(&self, ready: &mut Vec<usize>) {
        ready.append(&mut self.ready.lock());
    }
}

/// A session, the place where its stream and its task meet.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) peer: Addr,
    number: usize,
    bell: Arc<Bell>,
    state: Mutex<State>,
}

/// What is behind the lock.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) session: Session,
    /// The task knows that there is something to do.
    rung: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// Why nothing can be read or written any more.
    pub(crate) error: Option<Error>,
    /// The stream is gone since then.
    pub(crate) left: Option<Instant>,
}

impl Link {
    /// A link with a number that the task knows it by.
    pub(crate) fn new(session: Session, peer: Addr, number: usize, bell: Arc<Bell>) -> Arc<Self> {
        Arc::new(Self {
            peer,
            number,
            bell,
            state: Mutex::new(State {
                session,
                rung: false,
                reader: None,
                writer: None,
                error: None,
                left: None,
            }),
        })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Lets go of the state, and wakes the task if there is something to send.
    pub(crate) fn unlock(&self, mut state: MutexGuard<'_, State>) {
        let ring = !state.rung && (state.session.wants_send() || state.left.is_some());
        if ring {
            state.rung = true;
            drop(state);
            self.bell.ready.lock().push(self.number);
            self.bell.ring();
        }
    }

    /// True when the peer may be gone, or know nothing of the session any more. One that has ended
    /// says so itself.
    pub(crate) fn is_unanswered(&self) -> bool {
        self.lock().session.is_unanswered(Instant::now().into_std())
    }

    /// Ends the link for its stream.
    pub(crate) fn end(&self, why: Why, text: &str) {
        let mut state = self.lock();
        let error = Error::new(why, format!("kcp session with {}: {text}", self.peer));
        state.error.get_or_insert(error.phase(Phase::Relay));
        state.wake();
    }
}

impl State {
    /// The task has seen to it.
    pub(crate) fn answer(&mut self) {
        self.rung = false;
    }

    /// Wakes who can go on.
    pub(crate) fn wake(&mut self) {
        let ended = self.error.is_some();
        if (ended || !self.session.peek().is_empty())
            && let Some(waker) = self.reader.take()
        {
            waker.wake();
        }
        if (ended || self.session.is_roomy())
            && let Some(waker) = self.writer.take()
        {
            waker.wake();
        }
    }

    pub(crate) fn wait_to_read(&mut self, cx: &Context<'_>) {
        self.reader = Some(cx.waker().clone());
    }

    pub(crate) fn wait_to_write(&mut self, cx: &Context<'_>) {
        self.writer = Some(cx.waker().clone());
    }
}
