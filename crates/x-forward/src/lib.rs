//! The forward protocols: local and remote port forwarding.
//!
//! ```
//! let mut registry = gost_core::registry::Registry::new();
//! gost_x_forward::register(&mut registry);
//! assert!(registry.has::<dyn gost_core::handler::Handler>("rtcp"));
//! ```

mod handler;
mod options;
mod stateless;

use gost_core::{handler::Handler, registry::Registry};

pub use handler::Forward;
pub use options::ForwardOptions;

/// Adds the handlers of local (`tcp`, `udp`, `forward`) and remote (`rtcp`, `rudp`, `runix`)
/// forwarding, which do the same.
pub fn register(registry: &mut Registry) {
    registry.add::<dyn Handler, _, _>(
        &["forward", "tcp", "udp", "rtcp", "rudp", "runix"],
        |options, _| async move { Ok(Forward::shared(options)) },
    );
}
