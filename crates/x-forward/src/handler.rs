//! The forward handler.

use gost_core::{addr::Network, prelude::*};

options! {
    /// Options of the forward handler.
    pub struct ForwardOptions {
        /// Send a PROXY header of this version to the target, unless 0.
        proxy_protocol: u8 = 0, "proxyProtocol";
    }
}

/// Forwards each connection to a node of the service's forwarder.
#[derive(Debug, Default)]
pub struct Forward {
    _options: ForwardOptions,
}

impl Forward {
    /// A handler with options.
    pub fn shared(options: ForwardOptions) -> Arc<dyn Handler> {
        Arc::new(Self { _options: options })
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
        let upstream = session.forward(&hint).await?;
        Ok(Next::Relay(conn, upstream))
    }
}
