//! The forward handler.

use std::net::SocketAddr;

use gost_core::{addr::Network, prelude::*};
use gost_net::proxy_protocol;

use crate::{ForwardOptions, stateless::Stateless};

/// How long the target may take to accept a PROXY header.
const HEADER: std::time::Duration = std::time::Duration::from_secs(15);

/// Forwards each connection to a node of the service's forwarder.
#[derive(Debug, Default)]
pub struct Forward {
    options: ForwardOptions,
}

impl Forward {
    /// A handler with options.
    pub fn shared(options: ForwardOptions) -> Arc<dyn Handler> {
        Arc::new(Self { options })
    }

    /// Tells the target who the client is.
    async fn introduce(
        &self,
        upstream: &mut Conn,
        network: Network,
        addresses: Option<(SocketAddr, SocketAddr)>,
    ) -> Result<()> {
        let header = proxy_protocol::encode(self.options.proxy_protocol, network, addresses);
        let sent = tokio::time::timeout(HEADER, proxy_protocol::send(upstream, &header)).await;
        let sent = sent.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
        sent.map_err(|e| Error::from(e).context("PROXY header").side(Side::Target))
    }
}

#[async_trait]
impl Handler for Forward {
    async fn handle(&self, conn: Conn, session: &mut Session) -> Result<Next> {
        let network = if matches!(conn.io, Io::Packet(_)) {
            Network::Udp
        } else {
            Network::Tcp
        };
        let hint = Hint {
            network,
            ..Hint::default()
        };
        let mut upstream = session.forward(&hint).await?;
        if self.options.proxy_protocol > 0 {
            let meta = &conn.meta;
            let reached = meta.original.or_else(|| meta.local.ip());
            let addresses = meta.source().ip().zip(reached);
            self.introduce(&mut upstream.conn, network, addresses)
                .await?;
        }
        let conn = match conn.io {
            Io::Packet(packet) if self.options.stateless => {
                Conn::packet(Stateless::new(packet, self.options.answer()), *conn.meta)
            }
            io => Conn { io, ..conn },
        };
        Ok(Next::Relay(conn, upstream))
    }
}
