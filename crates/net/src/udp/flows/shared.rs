//! What all flows of a listener share: the way back, the buffers, the clock.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll, Wake, Waker, ready},
};

use futures_util::task::AtomicWaker;
use gost_core::{
    addr::Addr,
    error::{Error, Result, Why},
    packet::{Batch, Packet},
};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{FlowOptions, inbox::Store};
use crate::udp::{
    UdpConn,
    drops::Drops,
    port::{Port, To},
};

/// What is shared by all flows of a listener.
pub(super) struct Shared {
    source: Source,
    senders: Arc<Senders>,
    /// Wakes all who wait to send. A socket remembers only one waker.
    wake_senders: Waker,
    pub(super) store: Store,
    pub(super) options: FlowOptions,
    pub(super) drops: Drops,
    began: Instant,
    /// Why the datagrams ended, and who has to know.
    failed: Mutex<Option<Error>>,
    pub(super) demux: AtomicWaker,
}

/// Where the datagrams come from.
enum Source {
    /// A socket, on which all flows send at once.
    Port(Arc<Port>),
    /// Something that one at a time can use.
    Packet(Mutex<Box<dyn Packet>>),
}

#[derive(Default)]
struct Senders(Mutex<Vec<Waker>>);

impl Senders {
    fn add(&self, waker: &Waker) {
        let mut waiting = self.0.lock();
        if !waiting.iter().any(|w| w.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    }
}

impl Wake for Senders {
    fn wake(self: Arc<Self>) {
        let waiting = std::mem::take(&mut *self.0.lock());
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Shared {
    pub(super) fn new(packet: Box<dyn Packet>, local: &Addr, options: FlowOptions) -> Result<Self> {
        let source = match packet.into_raw() {
            Err(packet) => Source::Packet(Mutex::new(packet)),
            Ok(raw) => match raw.downcast::<UdpConn>() {
                Ok(socket) => Source::Port(socket.into_port()),
                Err(_) => {
                    return Err(Error::new(
                        Why::Unsupported,
                        format!("listen {local}: a foreign socket"),
                    ));
                }
            },
        };
        let senders = Arc::<Senders>::default();
        Ok(Self {
            source,
            wake_senders: senders.clone().into(),
            senders,
            store: Store::default(),
            options,
            drops: Drops::new(format!("udp listener {local}")),
            began: Instant::now(),
            failed: Mutex::new(None),
            demux: AtomicWaker::new(),
        })
    }

    /// Milliseconds since the listener began.
    pub(super) fn now(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    /// The time at which the listener's clock shows `millis`.
    pub(super) fn at(&self, millis: u64) -> Instant {
        self.began + std::time::Duration::from_millis(millis)
    }

    /// Receives datagrams of all flows.
    pub(super) fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        into: &mut Batch,
        expect: &mut u8,
    ) -> Poll<io::Result<()>> {
        match &self.source {
            Source::Port(port) => port.poll_recv(cx, into, expect),
            Source::Packet(packet) => {
                // A flow may have gone that began to send: the rest of its datagram must follow.
                let _ = self.poll_send(cx, &mut Batch::default(), &Addr::Any);
                packet.lock().poll_recv(cx, into)
            }
        }
    }

    /// Sends datagrams to the address of a flow.
    pub(super) fn poll_send(
        &self,
        cx: &mut Context<'_>,
        from: &mut Batch,
        to: &Addr,
    ) -> Poll<io::Result<()>> {
        let sent = match &self.source {
            Source::Port(port) => {
                // Sockets only know IP addresses.
                if let Some(to) = to.ip() {
                    self.poll_port(cx, port, from, to)
                } else {
                    from.clear();
                    Poll::Ready(Ok(()))
                }
            }
            Source::Packet(packet) => {
                from.readdress(to);
                let mut sent = self.poll_packet(packet, from);
                if sent.is_pending() {
                    // Again, lest what was waited for happened before anybody waited.
                    self.senders.add(cx.waker());
                    sent = self.poll_packet(packet, from);
                }
                sent
            }
        };
        if let Poll::Ready(Err(error)) = sent {
            let error = Error::from(error);
            self.fail(error.clone());
            return Poll::Ready(Err(error.into()));
        }
        sent
    }

    fn poll_port(
        &self,
        cx: &mut Context<'_>,
        port: &Port,
        from: &mut Batch,
        to: SocketAddr,
    ) -> Poll<io::Result<()>> {
        if port.send(from, To::One(to)) {
            return Poll::Ready(Ok(()));
        }
        self.senders.add(cx.waker());
        port.poll_send(
            &mut Context::from_waker(&self.wake_senders),
            from,
            To::One(to),
        )
    }

    fn poll_packet(
        &self,
        packet: &Mutex<Box<dyn Packet>>,
        from: &mut Batch,
    ) -> Poll<io::Result<()>> {
        let mut cx = Context::from_waker(&self.wake_senders);
        let mut packet = packet.lock();
        ready!(packet.poll_send(&mut cx, from))?;
        Poll::Ready(Ok(()))
    }

    /// Notes why the datagrams ended. The first reason counts.
    pub(super) fn fail(&self, error: Error) {
        self.failed.lock().get_or_insert(error);
        self.demux.wake();
    }

    /// Why the datagrams ended, if they have.
    pub(super) fn failure(&self) -> Option<Error> {
        self.failed.lock().clone()
    }
}
