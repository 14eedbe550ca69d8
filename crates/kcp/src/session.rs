//! A conversation: the protocol under error correction.

use std::time::{Duration, Instant};

use crate::{
    arq::{Arq, Millis, Origin, Stats},
    config::{Config, ConfigError},
    fec::{self, Code, Decoder, Encoder, Mark},
    packet,
    segment::{Command, Header},
};

/// One end of a conversation: a byte stream in both directions.
#[derive(Debug)]
pub struct Session {
    arq: Arq,
    began: Instant,
    encoder: Option<Encoder>,
    decoder: Decoder,
    /// What is to be sent has been decided, and not all of it was fetched.
    sending: bool,
    recovered: u64,
    /// There is something that the peer should acknowledge, and it has said nothing since then.
    unanswered: Option<Millis>,
}

/// How long a segment is kept for error correction is not limited by time, but its memory is: a
/// session that rested for so long gives up what it can.
const REST: Duration = Duration::from_secs(10);

impl Session {
    /// A conversation with a number: one that the client chose at random.
    ///
    /// # Errors
    /// See [`Config::validate`].
    pub fn new(conversation: u32, config: Config, now: Instant) -> Result<Self, ConfigError> {
        config.validate()?;
        let code = config
            .shards
            .and_then(|(data, parity)| Code::new(data, parity));
        Ok(Self {
            began: now,
            encoder: code.clone().map(Encoder::new),
            decoder: Decoder::new(code),
            arq: Arq::new(conversation, config),
            sending: false,
            recovered: 0,
            unanswered: None,
        })
    }

    /// The number of the conversation.
    pub const fn conversation(&self) -> u32 {
        self.arq.conversation()
    }

    /// Takes what [`Envelope::open`](crate::Envelope::open) gave.
    pub fn receive(&mut self, now: Instant, body: &[u8]) {
        let now = self.millis(now);
        if let Some(mark) = Mark::find(body) {
            if !mark.parity {
                self.arq.receive(now, &body[fec::HEADER..], Origin::Wire);
            }
            let (arq, count) = (&mut self.arq, &mut self.recovered);
            self.decoder.receive(body, |data| {
                *count += 1;
                arq.receive(now, data, Origin::Recovered);
            });
        } else {
            self.arq.receive(now, body, Origin::Wire);
        }
        self.unanswered = (!self.arq.is_delivered()).then_some(now);
    }

    /// Writes the next datagram that is to be sent now, if there is one, and says how long it is.
    /// Its first [`packet::HEADER`] bytes are left for [`Envelope::close`](crate::Envelope::close).
    /// `room` must take [`Config::mtu`] bytes.
    ///
    /// To be called until it gives `None`, at [`Self::next_timeout`] and whenever
    /// [`Self::wants_send`] is true after another call.
    ///
    /// # Panics
    /// If `room` is too small.
    pub fn transmit(&mut self, now: Instant, room: &mut [u8]) -> Option<usize> {
        let now = self.millis(now);
        let room = &mut room[..self.arq.config().mtu];
        if let Some(encoder) = &mut self.encoder
            && let Some(length) = encoder.parity(&mut room[packet::HEADER..])
        {
            return Some(packet::HEADER + length);
        }
        if !self.sending {
            self.arq.prepare(now);
            self.sending = true;
        }
        let overhead = self.arq.config().overhead();
        let length = self.arq.emit(now, &mut room[overhead..]);
        if length == 0 {
            self.sending = false;
            return None;
        }
        let length = overhead + length;
        if let Some(encoder) = &mut self.encoder {
            encoder.data(&mut room[packet::HEADER..length]);
        }
        if self.unanswered.is_none() && !self.arq.is_delivered() {
            self.unanswered = Some(now);
        }
        Some(length)
    }

    /// True when [`Self::transmit`] has something to send at once.
    pub fn wants_send(&self) -> bool {
        let parity = self.encoder.as_ref().is_some_and(Encoder::has_parity);
        parity || self.arq.wants_send()
    }

    /// When [`Self::transmit`] is to be called at the latest.
    pub fn next_timeout(&self) -> Option<Instant> {
        let at = self.arq.next_timeout()?;
        Some(self.began + Duration::from_millis(at))
    }

    /// How many bytes [`Self::write`] should be given at most.
    pub fn writable(&self) -> usize {
        self.arq.writable()
    }

    /// True when so much may be written that it is worth while to wake who waited for it. Something
    /// is left to be sent meanwhile.
    pub fn is_roomy(&self) -> bool {
        self.arq.is_roomy()
    }

    /// Queues bytes to be sent. Takes all of them, so as not to cut what belongs together, but is
    /// not to be called while nothing is [`writable`](Self::writable).
    pub fn write(&mut self, bytes: &[u8]) {
        self.arq.write(bytes);
    }

    /// The next bytes of the peer's stream, as far as they lie together; empty when there are none.
    pub fn peek(&self) -> &[u8] {
        self.arq.peek()
    }

    /// Takes so many of the bytes that [`Self::peek`] shows.
    pub fn consume(&mut self, bytes: usize) {
        self.arq.consume(bytes);
    }

    /// True when everything that was written has arrived.
    pub fn is_delivered(&self) -> bool {
        self.arq.is_delivered()
    }

    /// True when the peer did not acknowledge a segment however often it was sent.
    pub const fn is_dead(&self) -> bool {
        self.arq.is_dead()
    }

    /// True when the peer said that something of what was sent has arrived, and so is where its
    /// datagrams say that it is.
    pub const fn is_heard(&self) -> bool {
        self.arq.is_heard()
    }

    /// True when the peer has said nothing for longer than an answer should take: it may be gone,
    /// or know nothing of the session any more.
    pub fn is_unanswered(&self, now: Instant) -> bool {
        let now = self.millis(now);
        self.unanswered
            .is_some_and(|since| now.saturating_sub(since) > self.arq.patience())
    }

    /// Gives up memory that only busy sessions need, when there is nothing to send or to read.
    pub fn rest(&mut self) {
        self.arq.rest();
    }

    /// How long a session should be idle before it [`rest`](Self::rest)s.
    pub const fn rest_after() -> Duration {
        REST
    }

    /// What was counted.
    pub const fn stats(&self) -> Stats {
        Stats {
            recovered: self.recovered,
            ..self.arq.stats
        }
    }

    fn millis(&self, now: Instant) -> Millis {
        now.saturating_duration_since(self.began).as_millis() as Millis
    }
}

/// What a datagram is to somebody who does not know its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The number of the conversation.
    pub conversation: u32,
    /// It begins with the first data of the conversation, and not with what may just have been
    /// overtaken by that.
    pub first: bool,
}

impl Opening {
    /// Looks at what [`Envelope::open`](crate::Envelope::open) gave: `None` unless it begins with
    /// data that a new conversation could begin with, so that no session is made for what belongs
    /// to one that ended. `window` is the receive window.
    pub fn find(body: &[u8], window: u32) -> Option<Self> {
        let body = match Mark::find(body) {
            Some(mark) if mark.parity => return None,
            Some(_) => &body[fec::HEADER..],
            None => body,
        };
        let (header, ..) = Header::split(body)?;
        (header.command == Command::Push && header.number < window).then_some(Self {
            conversation: header.conversation,
            first: header.number == 0,
        })
    }

    /// The number of the conversation that a datagram belongs to; `None` for parity.
    pub fn conversation(body: &[u8]) -> Option<u32> {
        let body = match Mark::find(body) {
            Some(mark) if mark.parity => return None,
            Some(_) => &body[fec::HEADER..],
            None => body,
        };
        let (header, ..) = Header::split(body)?;
        Some(header.conversation)
    }
}

#[cfg(test)]
mod tests;
