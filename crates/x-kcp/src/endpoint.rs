//! The task of a socket: it moves datagrams for all sessions on it, many at a time, and keeps
//! their time.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll, ready},
    time::Duration,
};

use gost_core::{
    addr::Addr,
    error::{Error, Result, Why},
    packet::{Batch, Packet},
};
use gost_kcp::{MAX_MTU, Nonces, Opening, Session};
use gost_net::udp::{self, Drops};
use slab::Slab;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::{
    door::Door,
    entry::Entry,
    link::{Bell, Link},
    settings::Settings,
    statistics::STATISTICS,
    stream::KcpStream,
};

/// How long what is left may take to arrive once the stream is gone.
const LINGER: Duration = Duration::from_secs(10);

/// A session that had nothing to do for so long gives up its buffers.
const REST: Duration = Duration::from_secs(1);

/// Datagrams that are encrypted together.
const TOGETHER: usize = 32;

/// Datagrams of one session that are sent before others get their turn.
const TURN: usize = 128;

/// Batches received before others get their turn.
const BATCHES: usize = 8;

/// A socket and its sessions.
pub(crate) struct Endpoint<D> {
    io: Box<dyn Packet>,
    door: D,
    bell: Arc<Bell>,
    links: Slab<Entry>,
    by_peer: HashMap<Addr, usize>,
    /// When which session has something to do. One that was moved since is still in here.
    times: BinaryHeap<Reverse<(Instant, usize)>>,
    sleep: Option<Pin<Box<Sleep>>>,
    nonces: Nonces,
    /// Sessions that may have something to send.
    ready: Vec<usize>,
    /// What the socket did not take yet.
    unsent: Batch,
    drops: Drops,
}

impl<D: Door> Endpoint<D> {
    /// An endpoint on a socket, with no session yet.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub(crate) fn new(io: Box<dyn Packet>, door: D, place: &str) -> Result<Self> {
        let mut seed = [0; 32];
        random(&mut seed)?;
        Ok(Self {
            io,
            door,
            bell: Arc::default(),
            links: Slab::new(),
            by_peer: HashMap::new(),
            times: BinaryHeap::new(),
            sleep: None,
            nonces: Nonces::new(seed),
            ready: Vec::new(),
            unsent: Batch::default(),
            drops: Drops::new(format!("kcp {place}")),
        })
    }

    /// What wakes the task.
    pub(crate) fn bell(&self) -> Arc<Bell> {
        self.bell.clone()
    }

    /// A session with a peer, whose stream is the caller's.
    ///
    /// # Errors
    /// When the settings can't be used.
    pub(crate) fn open(
        &mut self,
        conversation: u32,
        peer: Addr,
        settings: &Arc<Settings>,
    ) -> Result<KcpStream> {
        let now = Instant::now().into_std();
        let session = Session::new(conversation, settings.session.clone(), now)
            .map_err(|e| Error::new(Why::BadInput, "kcp").caused_by(e))?;
        let vacant = self.links.vacant_entry();
        let number = vacant.key();
        let link = Link::new(session, peer.clone(), number, self.bell.clone());
        // A door that is closed is that of a socket of ours.
        let entry = Entry::new(link.clone(), settings.clone(), self.door.is_closed());
        vacant.insert(entry);
        self.by_peer.insert(peer, number);
        Ok(KcpStream::new(link, settings.compress))
    }

    /// Works until nobody needs the socket any more, or it fails.
    pub(crate) async fn run(mut self) {
        let error = std::future::poll_fn(|cx| self.poll(cx)).await;
        let text = error.as_ref().map_or_else(String::new, ToString::to_string);
        for (_, entry) in &self.links {
            entry.link.end(Why::Closed, &text);
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Error>> {
        self.bell.listen(cx);
        let mut more = true;
        for _ in 0..BATCHES {
            more = match self.poll_receive(cx) {
                Poll::Ready(Ok(true)) => true,
                Poll::Ready(Ok(false)) => return Poll::Ready(None),
                Poll::Ready(Err(error)) => return Poll::Ready(Some(error)),
                Poll::Pending => false,
            };
            self.listen_to_bell();
            self.look_at_clock();
            if let Poll::Ready(Err(error)) = self.poll_send(cx) {
                return Poll::Ready(Some(error));
            }
            if !more {
                break;
            }
        }
        if self.links.is_empty() && self.door.is_closed() {
            return Poll::Ready(None);
        }
        if more {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.poll_sleep(cx)
    }

    /// Lists the sessions that rang.
    fn listen_to_bell(&mut self) {
        let known = self.ready.len();
        self.bell.take(&mut self.ready);
        let rang = self.ready.split_off(known);
        for number in rang {
            self.list(number);
        }
    }

    /// Lists the sessions whose time has come.
    fn look_at_clock(&mut self) {
        let now = Instant::now();
        while let Some(Reverse((at, number))) = self.times.peek().copied() {
            let armed = self.links.get(number).and_then(|entry| entry.armed);
            if armed == Some(at) {
                if at > now {
                    return;
                }
                self.links[number].armed = None;
                self.list(number);
            }
            self.times.pop();
        }
    }

    fn list(&mut self, number: usize) {
        if let Some(entry) = self.links.get_mut(number)
            && !std::mem::replace(&mut entry.listed, true)
        {
            self.ready.push(number);
        }
    }

    /// Receives once. False when the socket is at its end.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut batch = udp::lease();
        ready!(self.io.poll_recv(cx, &mut batch))?;
        if batch.is_empty() {
            return Poll::Ready(Ok(false));
        }
        let now = Instant::now();
        let mut dropped = 0;
        let mut room = [0; MAX_MTU];
        for (datagram, from) in batch.iter() {
            let Some(room) = room.get_mut(..datagram.len()) else {
                dropped += 1;
                continue;
            };
            room.copy_from_slice(datagram);
            dropped += usize::from(!self.take(now, room, from));
        }
        self.drops.add(dropped, "they are not of a session here");
        STATISTICS
            .datagrams_in
            .fetch_add(batch.len() as u64, Relaxed);
        STATISTICS.bytes_in.fetch_add(batch.bytes() as u64, Relaxed);
        STATISTICS.strange.fetch_add(dropped as u64, Relaxed);
        Poll::Ready(Ok(true))
    }

    /// Takes a datagram; false when it is nobody's.
    fn take(&mut self, now: Instant, datagram: &mut [u8], from: &Addr) -> bool {
        // A client's socket has one peer, whatever its address is called.
        let known = self
            .by_peer
            .get(from)
            .or_else(|| self.by_peer.get(&Addr::Any));
        let (known, settings) = match known.copied() {
            Some(number) => (Some(number), self.links[number].settings.clone()),
            None => match self.door.settings() {
                Some(settings) => (None, settings),
                None => return false,
            },
        };
        let Some(body) = settings.envelope.open(datagram) else {
            return false;
        };
        if let Some(number) = known
            && self.links[number].take(now, body)
        {
            self.list(number);
            return true;
        }
        let window = settings.session.receive_window;
        let Some(opening) = Opening::find(body, window) else {
            return false;
        };
        if let Some(number) = known {
            if !opening.first {
                return false;
            }
            // The peer began anew.
            self.remove(number, "replaced by a new one");
        }
        let Some(settings) = self.door.settings() else {
            return false;
        };
        if self.links.len() >= self.door.most() {
            return false;
        }
        let Ok(stream) = self.open(opening.conversation, from.clone(), &settings) else {
            return false;
        };
        self.door.enter(stream, from.clone());
        if let Some(number) = self.by_peer.get(from).copied() {
            self.links[number].take(now, body);
            self.list(number);
        }
        true
    }

    fn remove(&mut self, number: usize, why: &str) {
        let entry = self.links.remove(number);
        self.by_peer.remove(&entry.link.peer);
        entry.link.end(Why::Closed, why);
    }

    /// Sends what the listed sessions have, until the socket takes no more.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.unsent.is_empty() {
            ready!(self.io.poll_send(cx, &mut self.unsent))?;
            self.unsent = Batch::default();
        }
        let mut batch = udp::lease();
        while let Some(number) = self.ready.pop() {
            let more = self.fill(number, &mut batch);
            if more {
                self.ready.insert(0, number);
            } else if let Some(entry) = self.links.get_mut(number) {
                entry.listed = false;
                self.settle(number);
            }
            if more || batch.room().len() < TURN * MAX_MTU || self.ready.is_empty() {
                if self.io.poll_send(cx, &mut batch)?.is_pending() {
                    self.unsent = batch.take();
                    return Poll::Pending;
                }
                batch.clear();
                if more {
                    // Others, and what comes in meanwhile, have their turn first.
                    cx.waker().wake_by_ref();
                    return Poll::Ready(Ok(()));
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Writes a session's datagrams into a batch; true when there are more.
    fn fill(&mut self, number: usize, batch: &mut Batch) -> bool {
        let Some(entry) = self.links.get_mut(number) else {
            return false;
        };
        let now = Instant::now().into_std();
        let mut state = entry.link.lock();
        state.answer();
        let mut sent = 0;
        while sent < TURN {
            let mut lengths = [0; TOGETHER];
            let (mut count, mut used) = (0, 0);
            let together = entry
                .unproven
                .map_or(TOGETHER, |n| TOGETHER.min(n as usize));
            let room = batch.room();
            while count < together
                && room.len() - used >= MAX_MTU
                && let Some(length) = state.session.transmit(now, &mut room[used..])
            {
                lengths[count] = length;
                used += length;
                count += 1;
            }
            let mut packets: [&mut [u8]; TOGETHER] = std::array::from_fn(|_| &mut [][..]);
            let mut rest = &mut room[..used];
            for (packet, length) in packets.iter_mut().zip(&lengths[..count]) {
                let (front, back) = rest.split_at_mut(*length);
                *packet = front;
                rest = back;
            }
            entry
                .settings
                .envelope
                .close(&mut self.nonces, &mut packets[..count]);
            for length in &lengths[..count] {
                batch.commit(*length, entry.link.peer.clone());
            }
            sent += count;
            STATISTICS.datagrams_out.fetch_add(count as u64, Relaxed);
            STATISTICS.bytes_out.fetch_add(used as u64, Relaxed);
            if let Some(allowed) = &mut entry.unproven {
                *allowed = allowed.saturating_sub(count as u32);
            }
            if count < TOGETHER {
                if sent > 0 {
                    entry.idle_since = None;
                }
                state.wake();
                return false;
            }
        }
        entry.idle_since = None;
        true
    }

    /// Sees whether a session is over, and when it is to be looked at again.
    fn settle(&mut self, number: usize) {
        let now = Instant::now();
        let entry = &mut self.links[number];
        entry.tell();
        let mut state = entry.link.lock();
        if state.session.is_dead() {
            drop(state);
            return self.remove(number, "the peer does not answer");
        }
        let gone = state.left;
        if gone.is_some_and(|at| state.session.is_delivered() || now >= at + LINGER) {
            drop(state);
            return self.remove(number, "closed");
        }
        let mut next = state.session.next_timeout().map(Instant::from_std);
        if entry.is_muted() {
            next = None;
        }
        if next.is_none() && entry.idle_since.is_none() {
            entry.idle_since = Some(now);
            next = Some(now + REST);
        } else if next.is_none() && entry.idle_since.is_some_and(|since| now >= since + REST) {
            state.session.rest();
        }
        next = next.into_iter().chain(gone.map(|at| at + LINGER)).min();
        drop(state);
        self.arm(number, next);
    }

    fn arm(&mut self, number: usize, at: Option<Instant>) {
        let entry = &mut self.links[number];
        if let Some(at) = at
            && entry.armed.is_none_or(|armed| at < armed)
        {
            entry.armed = Some(at);
            self.times.push(Reverse((at, number)));
        }
    }

    fn poll_sleep(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Error>> {
        let Some(Reverse((at, _))) = self.times.peek().copied() else {
            return Poll::Pending;
        };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if sleep.deadline() != at {
            sleep.as_mut().reset(at);
        }
        if sleep.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

/// Random bytes of the system.
pub(crate) fn random(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|e| Error::new(Why::Other, "random numbers").caused_by(e))
}

#[cfg(test)]
mod tests;
