//! Those who connect to what was bound for a client: each is a stream of a multiplexed session,
//! with a response in front that says who it is.
//!
//! The side that listens opens the streams: it is the client of the session.

use std::time::Duration;

use gost_core::prelude::*;
use gost_mux::Streams;
use gost_relay::Response;
use tokio::task::JoinSet;

use crate::{answer::Question, client::encode, held::Held, place};

/// How long a visitor may take until its connection is ready.
const HANDSHAKE: Duration = Duration::from_secs(15);

/// The wait after an accept that failed, most likely for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Hands visitors over until the session or the listener ends.
pub(crate) async fn serve(
    mut listener: Box<dyn Listener>,
    mux: &gost_mux::Session,
    session: &Session,
) {
    let mut visits = JoinSet::new();
    loop {
        tokio::select! {
            incoming = listener.accept() => match incoming {
                Ok(incoming) => {
                    visits.spawn(visit(incoming, mux.clone(), session.child()));
                }
                Err(error) if error.why() == Why::Closed => break,
                Err(error) if error.why() == Why::Reset => {}
                Err(error) => {
                    tracing::warn!(service = %session.record().service, "relay bind: {error}");
                    tokio::time::sleep(PAUSE).await;
                }
            },
            _ = mux.closed() => break,
            Some(_) = visits.join_next() => {}
        }
    }
    drop(listener);
    // Their streams have ended with the session, so these end by themselves, each with its record.
    while visits.join_next().await.is_some() {}
}

async fn visit(incoming: Incoming, mux: gost_mux::Session, mut session: Session) {
    // The box is freed before the long wait.
    match Box::pin(prepare(incoming, mux)).await {
        Ok((visitor, upstream)) => {
            // How it ends is in the record already.
            let _ = session.relay(visitor, upstream).await;
        }
        Err(error) => {
            let record = session.record();
            tracing::debug!(service = %record.service, sid = %record.id, "relay bind: {error}");
        }
    }
}

async fn prepare(incoming: Incoming, mux: gost_mux::Session) -> Result<(Conn, Upstream)> {
    let late = |_| Error::new(Why::TimedOut, "no handshake in time").side(Side::Client);
    let accepted = tokio::time::timeout(HANDSHAKE, incoming.finish()).await;
    let Accepted::One(visitor) = accepted.map_err(late)?? else {
        return Err(Error::new(Why::Unsupported, "a visitor with many streams"));
    };
    let mut greeting = Response::ok();
    if let Some(address) = place::to_wire(&visitor.meta.source())? {
        greeting = greeting.with_address(address);
    }
    let (stream, meta) = mux.open().await?.into_stream()?;
    let held = Held::new(stream, encode(&greeting), Duration::ZERO);
    let io = Io::Stream(Box::new(held));
    Ok((visitor, Upstream::new(Conn { io, meta })))
}

/// The visitors of what a node has bound for us.
pub(crate) struct Visitors {
    streams: Streams,
    node: Arc<str>,
    at: Target,
}

impl Visitors {
    /// The visitors that come as `streams` of the session with a node.
    pub(crate) fn new(streams: Streams, node: &Arc<str>, at: Target) -> Self {
        Self {
            streams: streams.with_addr(at.addr.clone()),
            node: node.clone(),
            at,
        }
    }
}

#[async_trait]
impl Listener for Visitors {
    async fn accept(&mut self) -> Result<Incoming> {
        let incoming = self.streams.accept().await?;
        let question = Question::new(&self.node, "visitor of", &self.at, Phase::Handshake);
        let local = self.at.addr.clone();
        Ok(incoming.then(move |accepted| greeted(accepted, question, local)))
    }

    fn addr(&self) -> Addr {
        self.at.addr.clone()
    }
}

/// Reads who the visitor is, and perhaps which host it asked for.
async fn greeted(accepted: Accepted, mut question: Question, local: Addr) -> Result<Accepted> {
    let Accepted::One(conn) = accepted else {
        return Ok(accepted);
    };
    let (mut stream, mut meta) = conn.into_stream()?;
    let (greeting, rest) = question.read(&mut stream).await?;
    let addr = |address| place::from_wire(address, Network::Tcp);
    meta.local = local;
    meta.client = greeting.first_address().and_then(|a| addr(a).ip());
    meta.host = greeting.second_address().map(addr);
    Ok(Accepted::One(Conn {
        io: Io::Stream(Prefixed::new(rest, stream)),
        meta,
    }))
}
