//! The udp dialer.

use gost_core::prelude::*;

/// Reaches a node over plain UDP.
#[derive(Debug, Default)]
pub struct UdpDialer;

impl UdpDialer {
    /// A dialer; it has no options.
    pub fn shared() -> Arc<dyn Dialer> {
        Arc::new(Self)
    }
}

#[async_trait]
impl Dialer for UdpDialer {
    async fn dial(&self, node: &NodeAddr, below: &Arc<dyn Outbound>, ask: &Ask) -> Result<Conn> {
        below.connect(&Target::udp(node.addr.clone()), ask).await
    }
}
