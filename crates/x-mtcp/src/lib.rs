//! The mtcp channel: many streams over one TCP connection, by version 2 of smux unless
//! `mux.version` says otherwise.
//!
//! ```
//! let mut registry = gost_core::registry::Registry::new();
//! gost_x_mtcp::register(&mut registry);
//! assert!(registry.has::<dyn gost_core::listener::Listener>("mtcp"));
//! assert!(registry.has::<dyn gost_core::outbound::Dialer>("mtcp"));
//! ```

mod dialer;
mod listener;

use std::sync::Arc;

use gost_core::{listener::Listener, outbound::Dialer, registry::Registry};

pub use dialer::{MtcpDialerOptions, dialer};
pub use listener::MtcpListenerOptions;

/// Adds the listener and the dialer `mtcp`.
pub fn register(registry: &mut Registry) {
    registry.add::<dyn Listener, _, _>(&["mtcp"], listener::build);
    registry.add::<dyn Dialer, _, _>(&["mtcp"], |options, _| async move {
        Ok(Arc::new(dialer::dialer(options)?) as Arc<dyn Dialer>)
    });
}
