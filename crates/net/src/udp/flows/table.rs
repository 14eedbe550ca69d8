//! The demultiplexer: whose datagram is it, and who has been idle for too long.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use gost_core::{
    addr::Addr,
    error::{Error, Why},
    meter::Direction,
    packet::Batch,
};
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    time::Sleep,
};

use super::{
    flow::{Flow, State},
    shared::Shared,
};
use crate::udp::{arena::lease, police};

/// How many batches one poll takes before it lets others work.
const ROUNDS: usize = 16;

/// Reads the datagrams of all flows and puts them into their inboxes. Ends with the source.
pub(super) struct Demux {
    shared: Arc<Shared>,
    accept: mpsc::Sender<Flow>,
    flows: HashMap<Addr, Arc<State>>,
    /// Every flow that is not known to be over, by when it was last seen to be used. It may have
    /// been used since: that is looked up when its turn comes.
    order: BinaryHeap<Reverse<Aged>>,
    /// The number of the next flow.
    next: u64,
    timer: Pin<Box<Sleep>>,
    /// What the timer is set to, by the listener's clock.
    alarm: Option<u64>,
    expect: u8,
    readers: Vec<Waker>,
}

struct Aged {
    last: u64,
    number: u64,
    flow: Arc<State>,
}

impl Aged {
    fn key(&self) -> (u64, u64) {
        (self.last, self.number)
    }
}

impl PartialEq for Aged {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Aged {}

impl PartialOrd for Aged {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Aged {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl Demux {
    pub(super) fn new(shared: Arc<Shared>, accept: mpsc::Sender<Flow>) -> Self {
        let timer = Box::pin(tokio::time::sleep_until(shared.at(0)));
        Self {
            shared,
            accept,
            flows: HashMap::new(),
            order: BinaryHeap::new(),
            next: 0,
            timer,
            alarm: None,
            expect: 2,
            readers: Vec::new(),
        }
    }

    /// Puts the datagrams of a batch into their inboxes. All of one flow are there before anybody
    /// is woken, so that it reads them at once.
    fn deliver(&mut self, batch: &Batch, now: u64) {
        let shared = self.shared.clone();
        let (mut full, mut unaccepted) = (0, 0);
        let mut datagrams = batch.iter().peekable();
        while let Some((payload, peer)) = datagrams.next() {
            let Some(flow) = self.find(peer, now) else {
                unaccepted += 1;
                continue;
            };
            let stateless = shared.options.stateless;
            let more = std::iter::from_fn(|| {
                datagrams
                    .next_if(|(_, addr)| !stateless && *addr == peer)
                    .map(|(payload, _)| payload)
            });
            let payloads = std::iter::once(payload).chain(more);
            let (reader, dropped) = flow.deliver(payloads, &shared, now);
            self.readers.extend(reader);
            full += dropped;
        }
        self.readers.drain(..).for_each(Waker::wake);
        shared.drops.add(full, "a flow does not read them");
        shared
            .drops
            .add(unaccepted, "too many flows wait to be accepted");
    }

    /// The flow of an address, a new one if need be. None when it can't be accepted.
    fn find(&mut self, peer: &Addr, now: u64) -> Option<Arc<State>> {
        let tracked = !self.shared.options.stateless;
        if tracked
            && let Some(flow) = self.flows.get(peer)
            && !flow.is_over()
        {
            return Some(flow.clone());
        }
        while self.order.len() >= self.shared.options.max.max(1) {
            self.remove_oldest();
        }
        let state = Arc::new(State::new(peer.clone(), now));
        let flow = Flow::new(state.clone(), self.shared.clone());
        match self.accept.try_send(flow) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => return None,
        }
        if tracked {
            self.flows.insert(peer.clone(), state.clone());
        }
        self.order.push(Reverse(Aged {
            last: now,
            number: self.next,
            flow: state.clone(),
        }));
        self.next += 1;
        Some(state)
    }

    /// Ends the flow that has been idle for the longest time. Flows that are over already go
    /// before their turn comes.
    fn remove_oldest(&mut self) {
        while let Some(Reverse(mut oldest)) = self.order.pop() {
            let last = oldest.flow.last();
            if last > oldest.last && !oldest.flow.is_over() {
                oldest.last = last;
                self.order.push(Reverse(oldest));
                continue;
            }
            self.remove(&oldest.flow);
            return;
        }
    }

    fn remove(&mut self, flow: &Arc<State>) {
        flow.end();
        // The address may have another flow by now.
        if self
            .flows
            .get(&flow.peer)
            .is_some_and(|found| Arc::ptr_eq(found, flow))
        {
            self.flows.remove(&flow.peer);
        }
    }

    /// Ends the flows whose time is up, and sets the timer to when the next may be.
    fn expire(&mut self, cx: &mut Context<'_>) {
        let ttl = (self.shared.options.ttl.as_millis() as u64).max(1);
        loop {
            let due = self.order.peek().map(|Reverse(oldest)| oldest.last + ttl);
            if self.alarm != due
                && let Some(due) = due
            {
                self.timer.as_mut().reset(self.shared.at(due));
            }
            self.alarm = due;
            if due.is_none() || self.timer.as_mut().poll(cx).is_pending() {
                return;
            }
            let now = self.shared.now();
            while let Some(Reverse(oldest)) = self.order.peek()
                && oldest.last + ttl <= now
            {
                let Some(Reverse(mut oldest)) = self.order.pop() else {
                    break;
                };
                let last = oldest.flow.last();
                if last + ttl <= now || oldest.flow.is_over() {
                    self.remove(&oldest.flow);
                } else {
                    oldest.last = last;
                    self.order.push(Reverse(oldest));
                }
            }
            // What has just been looked at has another time now, and the timer with it.
            self.alarm = None;
        }
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        let mut batch = lease();
        for _ in 0..ROUNDS {
            if let Some(error) = self.shared.failure() {
                return Poll::Ready(error);
            }
            batch.clear();
            match self.shared.poll_recv(cx, &mut batch, &mut self.expect) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(error.into()),
                Poll::Ready(Ok(())) if batch.is_empty() => {
                    return Poll::Ready(Error::new(Why::Closed, "no more datagrams will come"));
                }
                Poll::Ready(Ok(())) => {}
            }
            let now = self.shared.now();
            let meter = &self.shared.options.meter;
            let dropped = police(meter, Direction::In, &mut batch);
            meter.count(Direction::In, batch.bytes());
            self.shared.drops.add(dropped, "a limit was reached");
            self.deliver(&batch, now);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Future for Demux {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.shared.demux.register(cx.waker());
        if let Poll::Ready(error) = this.poll_source(cx) {
            this.shared.fail(error);
            return Poll::Ready(());
        }
        this.expire(cx);
        Poll::Pending
    }
}

impl Drop for Demux {
    fn drop(&mut self) {
        for Reverse(aged) in self.order.drain() {
            aged.flow.end();
        }
    }
}
