//! Addresses in the place of names, for clients that want to know where datagrams came from.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use gost_core::{
    addr::Addr,
    error::Result,
    listener::BoxFuture,
    packet::{Batch, Packet, RawPacket},
    session::Session,
};

/// How long the answers to a client wait for the address of a name.
const PATIENCE: Duration = Duration::from_secs(5);

/// Answers to a client, whose sources are resolved before they are told. Those from names without
/// an address are dropped.
///
/// Names are rare here: only a node that puts them into its answers makes them. So one at a time is
/// asked about, and the last one is remembered.
pub(super) struct Sources {
    inner: Box<dyn Packet>,
    session: Arc<Session>,
    asking: Option<(Addr, BoxFuture<'static, Option<SocketAddr>>)>,
    known: Option<(Addr, Option<SocketAddr>)>,
}

impl Sources {
    pub(super) fn new(inner: Box<dyn Packet>, session: Session) -> Self {
        Self {
            inner,
            session: Arc::new(session),
            asking: None,
            known: None,
        }
    }

    fn ask(&mut self, name: Addr) {
        let (session, asked) = (self.session.clone(), name.clone());
        let answer = async move {
            let found: Result<_, _> = tokio::time::timeout(PATIENCE, session.resolve(&asked)).await;
            found.ok()?.ok()
        };
        self.asking = Some((name, Box::pin(answer)));
    }
}

impl Packet for Sources {
    fn poll_recv(&mut self, cx: &mut Context<'_>, into: &mut Batch) -> Poll<io::Result<()>> {
        self.inner.poll_recv(cx, into)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, from: &mut Batch) -> Poll<io::Result<()>> {
        loop {
            if let Some((name, answer)) = &mut self.asking {
                let found = ready!(answer.as_mut().poll(cx));
                self.known = Some((name.clone(), found));
                self.asking = None;
            }
            let mut unknown = None;
            let known = &self.known;
            from.trim(0, |_, addr| {
                let Addr::Name(..) = addr else {
                    return Some(0);
                };
                match known {
                    Some((name, found)) if name == addr => {
                        *addr = (*found)?.into();
                    }
                    _ => unknown = unknown.take().or_else(|| Some(addr.clone())),
                }
                Some(0)
            });
            match unknown {
                Some(name) => self.ask(name),
                None => return self.inner.poll_send(cx, from),
            }
        }
    }

    fn into_raw(self: Box<Self>) -> Result<RawPacket, Box<dyn Packet>> {
        Err(self)
    }
}
