//! The exchange of a message with a server.

use std::{fmt, sync::Arc, time::Instant};

use bytes::Bytes;
use gost_core::{
    error::{Error, Phase, Result, Side, Why},
    outbound::{Ask, NodeAddr, Outbound, Upgrade},
};

use crate::{Protocol, Server, datagram, https, message, stream, way::Way};

/// Asks a server, over a way out.
///
/// Connections are kept for the next questions for a while: two of those over TCP and TLS, for ten
/// seconds; one over HTTP/2. None is used for longer than a minute, so that a way out that leads
/// elsewhere by now is taken. Dropping it closes them.
pub struct Exchanger {
    server: Server,
    way: Way,
    idle: stream::Idle,
    https: https::Client,
}

impl Exchanger {
    /// For a server that is reached over `out`. One with a certificate needs `tls`, which offers
    /// the [`alpn`](Protocol::alpn) of the protocol.
    ///
    /// # Errors
    /// [`Why::BadInput`] when there is no `tls` for a server that has a certificate.
    pub fn new(
        server: Server,
        out: Arc<dyn Outbound>,
        tls: Option<Arc<dyn Upgrade>>,
    ) -> Result<Self> {
        if server.protocol().is_secure() && tls.is_none() {
            return Err(Error::new(Why::BadInput, format!("{server}: without TLS")));
        }
        let node = NodeAddr::new(server.addr().clone());
        let tls = tls.filter(|_| server.protocol().is_secure());
        Ok(Self {
            way: Way { out, tls, node },
            idle: stream::Idle::default(),
            https: https::Client::default(),
            server,
        })
    }

    /// The server.
    pub const fn server(&self) -> &Server {
        &self.server
    }

    /// The answer to a message. It has the id and the questions of the message, or else it is none.
    ///
    /// Over UDP the question is repeated, and what is not its answer is passed over. An answer that
    /// is truncated is asked for again over TCP; when that fails, it is what there is.
    ///
    /// # Errors
    /// What the way out says; [`Why::Unresolved`] for an answer that is none; [`Why::TimedOut`].
    pub async fn exchange(&self, question: &[u8], deadline: Instant) -> Result<Bytes> {
        let ask = Ask {
            deadline: Some(deadline),
            ..Ask::default()
        };
        let work = async {
            match self.server.protocol() {
                Protocol::Udp => self.datagrams(question, &ask).await,
                Protocol::Tcp | Protocol::Tls => {
                    stream::exchange(&self.way, &self.idle, question, &ask).await
                }
                Protocol::Https => {
                    self.https
                        .exchange(&self.way, &self.server, question, &ask)
                        .await
                }
            }
        };
        let answer = ask.within("ask", &self.server, work).await;
        answer.map_err(|e| {
            e.context(&self.server)
                .phase(Phase::Resolve)
                .side(Side::Target)
        })
    }

    async fn datagrams(&self, question: &[u8], ask: &Ask) -> Result<Bytes> {
        let answer = datagram::exchange(&self.way, question, ask).await?;
        if !message::is_truncated(&answer) {
            return Ok(answer);
        }
        let whole = stream::exchange(&self.way, &self.idle, question, ask).await;
        Ok(whole.unwrap_or(answer))
    }
}

impl fmt::Debug for Exchanger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Exchanger({})", self.server)
    }
}
