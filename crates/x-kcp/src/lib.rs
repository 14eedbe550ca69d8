//! The kcp channel: streams of smux over KCP over UDP, as the original and kcptun speak it.
//!
//! ```
//! let mut registry = gost_core::registry::Registry::new();
//! gost_x_kcp::register(&mut registry);
//! assert!(registry.has::<dyn gost_core::listener::Listener>("kcp"));
//! assert!(registry.has::<dyn gost_core::outbound::Dialer>("kcp"));
//! ```
//!
//! A socket has one task, which receives and sends datagrams many at a time for all sessions on
//! it, and has one timer for them.

mod dialer;
mod door;
mod endpoint;
mod entry;
mod link;
mod listener;
mod options;
mod settings;
mod statistics;
mod stream;

use std::sync::Arc;

use gost_core::{listener::Listener, outbound::Dialer, registry::Registry};

pub use options::{KcpDialerOptions, KcpListenerOptions, KcpOptions};

/// Adds the listener and the dialer `kcp`.
pub fn register(registry: &mut Registry) {
    registry.add::<dyn Listener, _, _>(&["kcp"], listener::build);
    registry.add::<dyn Dialer, _, _>(&["kcp"], |options, build| async move {
        Ok(Arc::new(dialer::build(&options, &build)?) as Arc<dyn Dialer>)
    });
}
