//! One flow: the datagrams from and to one remote address.

use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
};

use gost_core::{
    addr::Addr,
    meter::Direction,
    packet::{Batch, Packet, RawPacket},
};
use parking_lot::Mutex;

use super::{inbox::Queue, shared::Shared};
use crate::udp::police;

/// What the demultiplexer and the flow both know.
pub(super) struct State {
    pub(super) peer: Addr,
    /// When a datagram went either way, in milliseconds of the listener's clock.
    last: AtomicU64,
    inbox: Mutex<Inbox>,
}

#[derive(Default)]
struct Inbox {
    queue: Option<Queue>,
    reader: Option<Waker>,
    over: bool,
}

impl State {
    pub(super) fn new(peer: Addr, now: u64) -> Self {
        Self {
            peer,
            last: AtomicU64::new(now),
            inbox: Mutex::default(),
        }
    }

    pub(super) fn last(&self) -> u64 {
        self.last.load(Relaxed)
    }

    pub(super) fn is_over(&self) -> bool {
        self.inbox.lock().over
    }

    /// Puts datagrams into the inbox. Gives the waker of the one who waits for them, and how many
    /// found no room.
    pub(super) fn deliver<'a>(
        &self,
        payloads: impl Iterator<Item = &'a [u8]>,
        shared: &Shared,
        now: u64,
    ) -> (Option<Waker>, usize) {
        self.last.fetch_max(now, Relaxed);
        let mut inbox = self.inbox.lock();
        let mut dropped = 0;
        for payload in payloads {
            let room = shared
                .store
                .push(&mut inbox.queue, payload, shared.options.queue);
            dropped += usize::from(!room);
        }
        (inbox.reader.take(), dropped)
    }

    /// Ends the flow; what waits in it can still be read.
    pub(super) fn end(&self) {
        let mut inbox = self.inbox.lock();
        inbox.over = true;
        let reader = inbox.reader.take();
        drop(inbox);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

/// The conversation with one remote address.
pub(super) struct Flow {
    state: Arc<State>,
    shared: Arc<Shared>,
}

impl Flow {
    pub(super) fn new(state: Arc<State>, shared: Arc<Shared>) -> Self {
        Self { state, shared }
    }

    pub(super) fn peer(&self) -> &Addr {
        &self.state.peer
    }
}

impl Packet for Flow {
    fn poll_recv(&mut self, cx: &mut Context<'_>, into: &mut Batch) -> Poll<io::Result<()>> {
        let mut inbox = self.state.inbox.lock();
        if inbox.queue.is_some() {
            let Inbox { queue, .. } = &mut *inbox;
            self.shared.store.read(queue, into, &self.state.peer);
        } else if !inbox.over {
            match &mut inbox.reader {
                Some(reader) => reader.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, from: &mut Batch) -> Poll<io::Result<()>> {
        let (shared, state) = (&self.shared, &self.state);
        if from.is_empty() {
            return shared.poll_send(cx, from, &state.peer);
        }
        state.last.fetch_max(shared.now(), Relaxed);
        let meter = &shared.options.meter;
        let dropped = police(meter, Direction::Out, from);
        shared.drops.add(dropped, "a limit was reached");
        // Those that have to wait are counted when they go.
        let before = from.bytes();
        let sent = shared.poll_send(cx, from, &state.peer);
        meter.count(Direction::Out, before - from.bytes());
        sent
    }

    fn into_raw(self: Box<Self>) -> Result<RawPacket, Box<dyn Packet>> {
        Err(self)
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        let mut inbox = self.state.inbox.lock();
        inbox.over = true;
        self.shared.store.discard(inbox.queue.take());
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flow({})", self.state.peer)
    }
}
