//! Letting only some datagrams through.

use std::{
    fmt, io,
    sync::Arc,
    task::{Context, Poll, ready},
};

use gost_core::{
    addr::Addr,
    packet::{Batch, Packet, RawPacket},
    policy::Answer,
};

use super::{
    book::{Book, Entry},
    drops::Drops,
};

/// Asks whether datagrams may go to an address or come from it. An answer on its way is remembered
/// for a minute; one that is there already is asked for each time.
pub type Check = Arc<dyn Fn(&Addr) -> Answer<'static, bool> + Send + Sync>;

/// A conversation that drops the datagrams to and from addresses that are not allowed.
pub struct Filtered {
    inner: Box<dyn Packet>,
    check: Check,
    book: Book<bool>,
    /// Datagrams that were allowed after a wait.
    ready: Batch,
    drops: Drops,
}

/// What to do with a datagram.
enum Verdict {
    Pass,
    Drop,
    Wait,
}

impl Filtered {
    /// `inner` under a check. Answers come after at most some seconds; until then datagrams to the
    /// address wait, and those from it are dropped.
    pub fn new(inner: Box<dyn Packet>, check: Check) -> Self {
        Self {
            inner,
            check,
            book: Book::new(),
            ready: Batch::default(),
            drops: Drops::new("udp rules"),
        }
    }

    /// Sends the datagrams that have been allowed by now.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.book.is_asking() {
            let (mut allowed, drops) = (Vec::new(), &self.drops);
            self.book.poll(cx, false, |addr, pass, waiting| {
                if pass {
                    allowed.extend(waiting.into_iter().map(|payload| (payload, addr.clone())));
                } else {
                    drops.add(waiting.len(), DENIED);
                }
            });
            self.ready.extend(allowed);
        }
        if !self.ready.is_empty() {
            ready!(self.inner.poll_send(cx, &mut self.ready))?;
            self.ready = Batch::default();
        }
        Poll::Ready(Ok(()))
    }
}

const DENIED: &str = "a rule forbids it";

/// Judges an address; `last` saves asking again for each datagram of a run.
fn judge(
    check: &Check,
    book: &mut Book<bool>,
    last: &mut Option<(Addr, bool)>,
    addr: &Addr,
) -> Verdict {
    let pass = match last {
        Some((judged, pass)) if judged == addr => *pass,
        _ => match book.look(addr) {
            Entry::Known(pass) => pass,
            Entry::Asked => return Verdict::Wait,
            Entry::Unknown => match check(addr) {
                Answer::Now(pass) => pass,
                Answer::Later(answer) => {
                    let asked = book.ask(addr.clone(), answer);
                    return if asked { Verdict::Wait } else { Verdict::Drop };
                }
                Answer::Taken => false,
            },
        },
    };
    *last = Some((addr.clone(), pass));
    if pass { Verdict::Pass } else { Verdict::Drop }
}

impl Packet for Filtered {
    fn poll_recv(&mut self, cx: &mut Context<'_>, into: &mut Batch) -> Poll<io::Result<()>> {
        // Whether it can send or has to wait is no matter here.
        let _ = self.poll_ready(cx)?;
        loop {
            let before = into.len();
            ready!(self.inner.poll_recv(cx, into))?;
            if into.len() == before {
                return Poll::Ready(Ok(()));
            }
            let (check, book, mut last) = (&self.check, &mut self.book, None);
            let dropped = into.trim(before, |_, addr| {
                matches!(judge(check, book, &mut last, addr), Verdict::Pass).then_some(0)
            });
            self.drops.add(dropped, DENIED);
            if into.len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, from: &mut Batch) -> Poll<io::Result<()>> {
        let (check, book, mut last) = (&self.check, &mut self.book, None);
        let mut dropped = 0;
        from.trim(0, |payload, addr| {
            let pass = match judge(check, book, &mut last, addr) {
                Verdict::Pass => return Some(0),
                Verdict::Drop => false,
                Verdict::Wait => book.hold(addr, payload),
            };
            dropped += usize::from(!pass);
            None
        });
        self.drops.add(dropped, DENIED);
        ready!(self.poll_ready(cx))?;
        self.inner.poll_send(cx, from)
    }

    fn into_raw(self: Box<Self>) -> Result<RawPacket, Box<dyn Packet>> {
        Err(self)
    }
}

impl fmt::Debug for Filtered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filtered").finish_non_exhaustive()
    }
}
