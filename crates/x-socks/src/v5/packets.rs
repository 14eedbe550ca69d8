//! What a datagram conversation of SOCKS5 has that others don't.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use gost_core::{
    addr::Addr,
    packet::{Batch, Packet, RawPacket},
    stream::Stream,
};
use tokio::{
    io::{AsyncRead as _, ReadBuf},
    time::{Instant, Sleep},
};

/// How many reads of a chatty control connection one poll makes before it lets others work.
const READS: usize = 8;

/// Datagrams that all go to one address.
pub(super) struct OneTarget {
    inner: Box<dyn Packet>,
    to: Addr,
}

impl OneTarget {
    pub(super) const fn new(inner: Box<dyn Packet>, to: Addr) -> Self {
        Self { inner, to }
    }
}

impl Packet for OneTarget {
    fn poll_recv(&mut self, cx: &mut Context<'_>, into: &mut Batch) -> Poll<io::Result<()>> {
        self.inner.poll_recv(cx, into)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, from: &mut Batch) -> Poll<io::Result<()>> {
        from.readdress(&self.to);
        self.inner.poll_send(cx, from)
    }

    fn into_raw(self: Box<Self>) -> Result<RawPacket, Box<dyn Packet>> {
        Err(self)
    }
}

/// An association: datagrams over UDP for as long as the connection lives that asked for it.
///
/// What arrives on that connection means nothing and is thrown away.
pub(super) struct Association {
    inner: Box<dyn Packet>,
    control: Box<dyn Stream>,
    silence: Option<Silence>,
}

/// Ends an association on which nothing comes back.
struct Silence {
    limit: Duration,
    last: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Association {
    pub(super) fn new(inner: Box<dyn Packet>, control: Box<dyn Stream>) -> Self {
        Self {
            inner,
            control,
            silence: None,
        }
    }

    /// Ends it when nothing was received for so long; zero is forever.
    pub(super) fn silent_for(mut self, limit: Duration) -> Self {
        self.silence = (!limit.is_zero()).then(|| Silence {
            limit,
            last: Instant::now(),
            timer: Box::pin(tokio::time::sleep(limit)),
        });
        self
    }

    /// Ready when the connection has ended, or is broken.
    fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut room = [0; 256];
        for _ in 0..READS {
            let mut buffer = ReadBuf::new(&mut room);
            match ready!(Pin::new(&mut self.control).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                _ => return Poll::Ready(()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Silence {
    /// Ready when it has lasted too long. Datagrams only move the end, which is looked at when the
    /// timer fires: none of them touches the timer.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let end = self.last + self.limit;
            if end <= Instant::now() {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(end);
        }
    }
}

impl Packet for Association {
    fn poll_recv(&mut self, cx: &mut Context<'_>, into: &mut Batch) -> Poll<io::Result<()>> {
        if self.poll_ended(cx).is_ready() {
            // Nothing appended: the conversation is over.
            return Poll::Ready(Ok(()));
        }
        let before = into.len();
        let received = self.inner.poll_recv(cx, into)?;
        if let Some(silence) = &mut self.silence {
            if into.len() > before {
                silence.last = Instant::now();
            } else if silence.poll(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
        }
        received.map(Ok)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, from: &mut Batch) -> Poll<io::Result<()>> {
        self.inner.poll_send(cx, from)
    }

    fn into_raw(self: Box<Self>) -> Result<RawPacket, Box<dyn Packet>> {
        Err(self)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use gost_core::packet::MIN_ROOM;
    use gost_net::framed::Framed;
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    struct Ends {
        association: Association,
        /// Says what the association receives, in frames.
        far: tokio::io::DuplexStream,
        client: tokio::io::DuplexStream,
    }

    fn ends() -> Ends {
        let (near, far) = tokio::io::duplex(1024);
        let (control, client) = tokio::io::duplex(16);
        let inner = Box::new(Framed::connected(Box::new(near)));
        Ends {
            association: Association::new(inner, Box::new(control)),
            far,
            client,
        }
    }

    /// How many datagrams came; none when it is over.
    async fn received(packet: &mut impl Packet) -> usize {
        let mut batch = Batch::with_capacity(MIN_ROOM);
        poll_fn(|cx| packet.poll_recv(cx, &mut batch))
            .await
            .unwrap();
        batch.len()
    }

    #[tokio::test]
    async fn it_lives_as_long_as_its_connection() {
        let mut ends = ends();
        // More than one poll reads, and nobody cares what it says.
        let client = tokio::spawn(async move {
            ends.client.write_all(&[7; 10_000]).await.unwrap();
            ends.client
        });
        ends.far.write_all(b"\x00\x02hi").await.unwrap();
        assert_eq!(received(&mut ends.association).await, 1);
        let waits = tokio::spawn(async move { received(&mut ends.association).await });
        drop(client.await.unwrap());
        assert_eq!(waits.await.unwrap(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_it_and_an_answer_puts_that_off() {
        let mut ends = ends();
        let limit = Duration::from_secs(10);
        let mut association = ends.association.silent_for(limit);
        tokio::time::advance(limit / 2).await;
        ends.far.write_all(b"\x00\x02hi").await.unwrap();
        assert_eq!(received(&mut association).await, 1);
        let start = Instant::now();
        assert_eq!(received(&mut association).await, 0);
        assert_eq!(start.elapsed(), limit);
    }

    #[tokio::test]
    async fn one_target_gets_all() {
        let (near, mut far) = tokio::io::duplex(1024);
        let framed = Framed::addressed(Box::new(near));
        let to = Addr::parse("dns.google:53").unwrap();
        let mut packet = OneTarget::new(Box::new(framed), to);
        let mut batch = Batch::with_capacity(64);
        batch.push(b"a", Addr::Any);
        batch.push(b"b", Addr::wildcard(9));
        poll_fn(|cx| packet.poll_send(cx, &mut batch))
            .await
            .unwrap();
        drop(packet);
        let mut bytes = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut far, &mut bytes)
            .await
            .unwrap();
        let one = "0001ff030a646e732e676f6f676c650035";
        assert_eq!(hex::encode(bytes), format!("{one}61{one}62"));
    }
}
