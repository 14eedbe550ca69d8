//! The tcp dialer.

use std::time::Duration;

use gost_core::prelude::*;

options! {
    /// Options of the tcp dialer.
    pub struct TcpDialerOptions {
        /// Set TCP keep-alive with the three keys below.
        keepalive: bool = false, "keepalive";
        /// How long a connection is idle before the first probe.
        keepalive_idle: Duration = Duration::from_secs(15), "keepalive.idle";
        /// Time between probes.
        keepalive_interval: Duration = Duration::from_secs(15), "keepalive.interval";
        /// Probes without an answer that end the connection.
        keepalive_count: u32 = 9, "keepalive.count";
    }
}

/// Reaches a node over plain TCP.
#[derive(Debug, Default)]
pub struct TcpDialer {
    _options: TcpDialerOptions,
}

impl TcpDialer {
    /// A dialer with options.
    pub fn shared(options: TcpDialerOptions) -> Arc<dyn Dialer> {
        Arc::new(Self { _options: options })
    }
}

#[async_trait]
impl Dialer for TcpDialer {
    async fn dial(&self, node: &NodeAddr, below: &Arc<dyn Outbound>, ask: &Ask) -> Result<Conn> {
        below.connect(&Target::tcp(node.addr.clone()), ask).await
    }
}
