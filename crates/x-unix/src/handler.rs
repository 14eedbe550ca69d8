//! The unix handler: forwards to Unix sockets.

use gost_core::{addr::Network, prelude::*};

/// Forwards each connection to a node of the service's forwarder, a Unix socket unless the node
/// says otherwise.
#[derive(Clone, Copy, Debug)]
pub struct UnixHandler;

#[async_trait]
impl Handler for UnixHandler {
    async fn handle(&self, conn: Conn, session: &mut Session) -> Result<Next> {
        let hint = Hint {
            network: Network::Unix,
            ..Hint::default()
        };
        let upstream = session.forward(&hint).await?;
        Ok(Next::Relay(conn, upstream))
    }
}
