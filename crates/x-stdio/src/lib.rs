//! The stdio channel: one connection over standard input and output, as `ssh -o ProxyCommand`
//! wants it.
//!
//! ```
//! let mut registry = gost_core::registry::Registry::new();
//! gost_x_stdio::register(&mut registry);
//! assert!(registry.has::<dyn gost_core::listener::Listener>("stdio"));
//! ```

mod listener;
mod stream;

use gost_core::{listener::Listener, registry::Registry};

pub use listener::StdioListener;

/// Adds the listener `stdio`.
pub fn register(registry: &mut Registry) {
    registry.add::<dyn Listener, (), _>(&["stdio"], |(), _| async {
        Ok(Box::new(StdioListener::default()) as Box<dyn Listener>)
    });
}
