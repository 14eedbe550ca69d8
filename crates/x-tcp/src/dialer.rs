//! The tcp dialer.

use gost_core::prelude::*;
use gost_net::{channel::ChannelDialer, keepalive::KeepaliveOptions};

/// A dialer that reaches a node over plain TCP.
pub fn dialer(options: KeepaliveOptions) -> ChannelDialer {
    let dialer = ChannelDialer::new();
    if options.keepalive {
        return dialer.with_upgrade(Arc::new(options));
    }
    dialer
}
