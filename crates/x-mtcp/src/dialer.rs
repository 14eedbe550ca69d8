//! The mtcp dialer.

use std::time::Duration;

use gost_core::prelude::*;
use gost_mux::{MuxDialer, MuxOptions, PoolOptions, Version};
use gost_net::{channel::ChannelDialer, keepalive::KeepaliveOptions};

options! {
    /// Options of the mtcp dialer.
    pub struct MtcpDialerOptions {
        /// Known for the sake of configurations that give it: mtcp has no handshake.
        handshake_timeout: Duration = Duration::ZERO, "handshakeTimeout";
        ..tcp: KeepaliveOptions;
        ..mux: MuxOptions;
        ..pool: PoolOptions;
    }
}

/// A dialer that reaches a node by streams of sessions over TCP, which it keeps.
///
/// # Errors
/// [`Why::BadInput`], naming the key.
pub fn dialer(options: MtcpDialerOptions) -> Result<MuxDialer> {
    let settings = options.mux.settings(Version::V2)?;
    let tcp = ChannelDialer::new().with_upgrade(Arc::new(options.tcp));
    Ok(MuxDialer::new(tcp, settings, &options.pool))
}
