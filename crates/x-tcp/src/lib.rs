//! The tcp channel: plain TCP connections.
//!
//! ```
//! let mut registry = gost_core::registry::Registry::new();
//! gost_x_tcp::register(&mut registry);
//! assert!(registry.has::<dyn gost_core::listener::Listener>("tcp"));
//! ```

mod dialer;
mod listener;

use std::sync::Arc;

use gost_core::{listener::Listener, outbound::Dialer, registry::Registry};

pub use dialer::dialer;

/// Adds the listener and the dialer `tcp`.
pub fn register(registry: &mut Registry) {
    registry.add::<dyn Listener, _, _>(&["tcp"], listener::build);
    registry.add::<dyn Dialer, _, _>(&["tcp"], |options, _| async move {
        Ok(Arc::new(dialer(options)) as Arc<dyn Dialer>)
    });
}
