//! The multiplexed BIND: each connection from outside is a stream of a session over the client's
//! connection, with a reply in front that says who it is.
//!
//! The side that listens opens the streams: it is the client of the session.

use std::time::Duration;

use gost_core::prelude::*;
use gost_mux::{MuxSettings, Streams};
use tokio::task::JoinSet;

use super::{
    Socks5Options,
    bind::{open, told},
    handler::{accept, refuse_feature},
    listener::decode_reply,
    wire::ReplyCode,
};
use crate::exchange::Exchange;

/// How long a visitor may take until its connection is ready.
const HANDSHAKE: Duration = Duration::from_secs(15);

/// The wait after an accept that failed, most likely for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Listens here, never through the chain, for as long as the client keeps its connection.
pub(super) async fn bind(
    options: &Socks5Options,
    mux: &MuxSettings,
    client: Exchange,
    at: Addr,
    session: &mut Session,
) -> Result<Next> {
    if !options.bind {
        return Err(refuse_feature(client, "BIND").await);
    }
    let (mut client, listener) = open(client, at, session).await?;
    let bound = told(options, &client.meta.local, listener.addr());
    accept(&mut client, &bound).await?;
    let mux = gost_mux::client(client.into_conn(), mux)?;
    serve(listener, &mux, options.comp, session).await;
    Ok(Next::Done)
}

/// Hands visitors over until the session or the listener ends.
async fn serve(
    mut listener: Box<dyn Listener>,
    mux: &gost_mux::Session,
    comp: bool,
    session: &Session,
) {
    let mut visits = JoinSet::new();
    loop {
        tokio::select! {
            incoming = listener.accept() => match incoming {
                Ok(incoming) => {
                    visits.spawn(visit(incoming, mux.clone(), comp, session.child()));
                }
                Err(error) if error.why() == Why::Closed => break,
                Err(error) if error.why() == Why::Reset => {}
                Err(error) => {
                    tracing::warn!(service = %session.record().service, "socks5 bind: {error}");
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

async fn visit(incoming: Incoming, mux: gost_mux::Session, comp: bool, mut session: Session) {
    // The box is freed before the long wait.
    match Box::pin(prepare(incoming, mux, comp)).await {
        Ok((visitor, upstream)) => {
            // How it ends is in the record already.
            let _ = session.relay(visitor, upstream).await;
        }
        Err(error) => {
            let record = session.record();
            tracing::debug!(service = %record.service, sid = %record.id, "socks5 bind: {error}");
        }
    }
}

async fn prepare(
    incoming: Incoming,
    mux: gost_mux::Session,
    comp: bool,
) -> Result<(Conn, Upstream)> {
    let late = |_| Error::new(Why::TimedOut, "no handshake in time").side(Side::Client);
    let accepted = tokio::time::timeout(HANDSHAKE, incoming.finish()).await;
    let Accepted::One(visitor) = accepted.map_err(late)?? else {
        return Err(Error::new(Why::Unsupported, "a visitor with many streams"));
    };
    let mut stream = mux.open().await?;
    if !comp {
        let mut exchange = Exchange::new(stream, Side::Client)?;
        accept(&mut exchange, &visitor.meta.source()).await?;
        stream = exchange.into_conn();
    }
    Ok((visitor, Upstream::new(stream)))
}

/// The visitors of what a node has bound for us.
pub(super) struct Visitors {
    streams: Streams,
}

impl Visitors {
    /// The visitors that come as `streams` of the session with a node, to the address `bound`.
    pub(super) fn new(streams: Streams, bound: Addr) -> Self {
        Self {
            streams: streams.with_addr(bound),
        }
    }
}

#[async_trait]
impl Listener for Visitors {
    async fn accept(&mut self) -> Result<Incoming> {
        let bound = self.streams.addr();
        let incoming = self.streams.accept().await?;
        Ok(incoming.then(move |accepted| introduced(accepted, bound)))
    }

    fn addr(&self) -> Addr {
        self.streams.addr()
    }
}

/// Reads who the visitor is. The caller keeps the deadline.
async fn introduced(accepted: Accepted, bound: Addr) -> Result<Accepted> {
    let Accepted::One(conn) = accepted else {
        return Ok(accepted);
    };
    let mut exchange = Exchange::new(conn, Side::Node)?;
    let (code, peer) = exchange.expect(decode_reply).await?;
    if code != ReplyCode::SUCCEEDED {
        return Err(super::connector::refused(code));
    }
    let mut conn = exchange.into_conn();
    conn.meta.local = bound;
    conn.meta.peer = peer;
    Ok(Accepted::One(conn))
}
