//! Clients that are forgotten as soon as they have their answers.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use gost_core::packet::{Batch, Packet, RawPacket};
use tokio::time::{Instant, Sleep};

/// A client of datagrams that is over once it has as many answers as it sent requests, or when no
/// answer has come for some time after its last request.
pub(crate) struct Stateless {
    client: Box<dyn Packet>,
    /// Requests without an answer.
    open: usize,
    /// Something was asked at all.
    begun: bool,
    patience: Duration,
    late: Pin<Box<Sleep>>,
}

impl Stateless {
    pub(crate) fn new(client: Box<dyn Packet>, patience: Duration) -> Self {
        Self {
            client,
            open: 0,
            begun: false,
            patience,
            late: Box::pin(tokio::time::sleep(patience)),
        }
    }
}

impl Packet for Stateless {
    fn poll_recv(&mut self, cx: &mut Context<'_>, into: &mut Batch) -> Poll<io::Result<()>> {
        let before = into.len();
        // Also when everything has been answered: what has come by now is not lost.
        if let Poll::Ready(received) = self.client.poll_recv(cx, into) {
            let requests = into.len() - before;
            if received.is_ok() && requests > 0 {
                self.open += requests;
                self.begun = true;
                let until = Instant::now() + self.patience;
                self.late.as_mut().reset(until);
            }
            return Poll::Ready(received);
        }
        if self.begun && self.open == 0 {
            return Poll::Ready(Ok(()));
        }
        // Nothing appended: the conversation is over.
        self.late.as_mut().poll(cx).map(Ok)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, from: &mut Batch) -> Poll<io::Result<()>> {
        let answers = from.len();
        let sent = self.client.poll_send(cx, from);
        self.open = self.open.saturating_sub(answers - from.len());
        ready!(sent)?;
        if self.begun && self.open == 0 {
            // Whoever waits for requests shall see that it is over.
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    fn into_raw(self: Box<Self>) -> Result<RawPacket, Box<dyn Packet>> {
        Err(self)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use gost_core::addr::Addr;
    use gost_net::udp::UdpConn;
    use tokio::net::UdpSocket;

    use super::*;

    /// A client's socket, and our side of the conversation with it.
    async fn client(patience: Duration) -> (UdpSocket, Stateless) {
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let ours = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        client.connect(ours.local_addr().unwrap()).await.unwrap();
        ours.connect(client.local_addr().unwrap()).await.unwrap();
        let packet = Box::new(UdpConn::from_tokio(ours).unwrap());
        (client, Stateless::new(packet, patience))
    }

    /// What comes in: the number of datagrams, 0 for the end.
    async fn received(stateless: &mut Stateless) -> usize {
        let mut batch = gost_net::udp::lease();
        poll_fn(|cx| stateless.poll_recv(cx, &mut batch))
            .await
            .unwrap();
        batch.len()
    }

    async fn answer(stateless: &mut Stateless, text: &[u8]) {
        let mut batch = Batch::with_capacity(text.len());
        assert!(batch.push(text, Addr::Any));
        poll_fn(|cx| stateless.poll_send(cx, &mut batch))
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn it_is_over_when_every_request_has_its_answer() {
        let (client, mut stateless) = client(Duration::from_mins(1)).await;
        for text in ["one", "two"] {
            client.send(text.as_bytes()).await.unwrap();
            assert_eq!(received(&mut stateless).await, 1);
        }
        answer(&mut stateless, b"first").await;
        client.send(b"three").await.unwrap();
        assert_eq!(received(&mut stateless).await, 1, "one answer is still due");
        answer(&mut stateless, b"second").await;
        answer(&mut stateless, b"third").await;
        assert_eq!(received(&mut stateless).await, 0);
        for text in ["first", "second", "third"] {
            let mut buffer = [0; 16];
            let n = client.recv(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..n], text.as_bytes());
        }
    }

    #[tokio::test]
    async fn what_has_come_by_the_last_answer_is_not_lost() {
        let (client, mut stateless) = client(Duration::from_mins(1)).await;
        client.send(b"one").await.unwrap();
        assert_eq!(received(&mut stateless).await, 1);
        client.send(b"two").await.unwrap();
        // A datagram over the loopback is there once it has been sent; the runtime learns of it
        // when it looks.
        tokio::task::yield_now().await;
        answer(&mut stateless, b"first").await;
        tokio::task::yield_now().await;
        assert_eq!(received(&mut stateless).await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_does_not_come_is_not_waited_for() {
        let (client, mut stateless) = client(Duration::from_secs(5)).await;
        client.send(b"one").await.unwrap();
        assert_eq!(received(&mut stateless).await, 1);
        let asked = Instant::now();
        assert_eq!(received(&mut stateless).await, 0);
        assert_eq!(asked.elapsed().as_secs(), 5);
    }
}
