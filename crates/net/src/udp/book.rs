//! What was found out about addresses, what is being asked, and the datagrams that wait for it.

use std::{
    collections::HashMap,
    task::{Context, Poll},
};

use gost_core::{addr::Addr, listener::BoxFuture};
use tokio::time::{Duration, Instant};

/// How many answers are remembered, and for how long.
const KNOWN: usize = 256;
const REMEMBERED: Duration = Duration::from_mins(1);

/// How many questions may be open at a time, and for how long.
const ASKED: usize = 16;
const PATIENCE: Duration = Duration::from_secs(5);

/// How much may wait for the answer to one question.
const WAITING: usize = 32;
const WAITING_BYTES: usize = 128 * 1024;

/// Answers about addresses, kept for a while.
pub(super) struct Book<V> {
    known: HashMap<Addr, (V, Instant)>,
    asked: Vec<Question<V>>,
}

struct Question<V> {
    addr: Addr,
    answer: BoxFuture<'static, V>,
    deadline: std::pin::Pin<Box<tokio::time::Sleep>>,
    waiting: Vec<Box<[u8]>>,
    bytes: usize,
}

/// What the book says about an address.
pub(super) enum Entry<V> {
    Known(V),
    Asked,
    Unknown,
}

impl<V: Copy + 'static> Book<V> {
    pub(super) fn new() -> Self {
        Self {
            known: HashMap::new(),
            asked: Vec::new(),
        }
    }

    pub(super) fn is_asking(&self) -> bool {
        !self.asked.is_empty()
    }

    pub(super) fn look(&self, addr: &Addr) -> Entry<V> {
        match self.known.get(addr) {
            Some((value, until)) if *until > Instant::now() => Entry::Known(*value),
            _ if self.asked.iter().any(|q| q.addr == *addr) => Entry::Asked,
            _ => Entry::Unknown,
        }
    }

    /// Begins to wait for an answer; false when too many are waited for.
    pub(super) fn ask(&mut self, addr: Addr, answer: BoxFuture<'static, V>) -> bool {
        let room = self.asked.len() < ASKED;
        if room {
            self.asked.push(Question {
                addr,
                answer,
                deadline: Box::pin(tokio::time::sleep(PATIENCE)),
                waiting: Vec::new(),
                bytes: 0,
            });
        }
        room
    }

    /// Keeps a datagram until its address is known; false when too many wait already.
    pub(super) fn hold(&mut self, addr: &Addr, payload: &[u8]) -> bool {
        let Some(question) = self.asked.iter_mut().find(|q| q.addr == *addr) else {
            return false;
        };
        let room =
            question.waiting.len() < WAITING && question.bytes + payload.len() <= WAITING_BYTES;
        if room {
            question.bytes += payload.len();
            question.waiting.push(payload.into());
        }
        room
    }

    /// Looks for answers. Each is handed over, with the datagrams that waited for it; a question
    /// that took too long has the answer `late`.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        late: V,
        mut answered: impl FnMut(Addr, V, Vec<Box<[u8]>>),
    ) {
        let mut i = 0;
        while i < self.asked.len() {
            let question = &mut self.asked[i];
            let value = match question.answer.as_mut().poll(cx) {
                Poll::Ready(value) => value,
                Poll::Pending if question.deadline.as_mut().poll(cx).is_ready() => late,
                Poll::Pending => {
                    i += 1;
                    continue;
                }
            };
            let Question { addr, waiting, .. } = self.asked.swap_remove(i);
            self.remember(addr.clone(), value);
            answered(addr, value, waiting);
        }
    }

    fn remember(&mut self, addr: Addr, value: V) {
        let now = Instant::now();
        if self.known.len() >= KNOWN {
            self.known.retain(|_, (_, until)| *until > now);
        }
        if self.known.len() >= KNOWN {
            // Any will do: whoever uses more names than this finds most of them again.
            if let Some(one) = self.known.keys().next().cloned() {
                self.known.remove(&one);
            }
        }
        self.known.insert(addr, (value, now + REMEMBERED));
    }
}
