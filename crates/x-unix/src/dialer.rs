//! The unix dialer.

use gost_core::{addr::Network, prelude::*};

/// Reaches a node at a Unix socket. The node's address is a path.
#[derive(Clone, Copy, Debug)]
pub struct UnixDialer;

#[async_trait]
impl Dialer for UnixDialer {
    async fn dial(&self, node: &NodeAddr, below: &Arc<dyn Outbound>, ask: &Ask) -> Result<Conn> {
        let addr = match &node.addr {
            path @ Addr::Path(_) => path.clone(),
            text => Addr::path(text.host()),
        };
        below
            .connect(
                &Target {
                    network: Network::Unix,
                    addr,
                },
                ask,
            )
            .await
    }
}
