//! The unix channel: sockets in the file system; and the connector for nodes that are just
//! that.
//!
//! ```
//! let mut registry = gost_core::registry::Registry::new();
//! gost_x_unix::register(&mut registry);
//! assert!(registry.has::<dyn gost_core::listener::Listener>("unix"));
//! ```

mod dialer;
mod handler;
mod listener;

use gost_core::{
    handler::Handler, listener::Listener, outbound::Dialer, prelude::Arc, registry::Registry,
};

pub use dialer::UnixDialer;
pub use handler::UnixHandler;
pub use listener::UnixListenerOptions;

/// Adds the listener, the dialer and the handler `unix`.
pub fn register(registry: &mut Registry) {
    registry.add::<dyn Listener, _, _>(&["unix"], listener::build);
    registry.add::<dyn Dialer, (), _>(&["unix"], |(), _| async {
        Ok(Arc::new(UnixDialer) as Arc<dyn Dialer>)
    });
    registry.add::<dyn Handler, (), _>(&["unix"], |(), _| async {
        Ok(Arc::new(UnixHandler) as Arc<dyn Handler>)
    });
}
