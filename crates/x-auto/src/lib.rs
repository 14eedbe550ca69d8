//! The auto handler: SOCKS or HTTP, as the first byte says.
//!
//! It asks the registry for the handlers of those protocols, so that it depends on none of them;
//! a program built without one refuses that protocol.

mod handler;

use gost_core::{handler::Handler, prelude::Arc, registry::Registry};

pub use handler::Auto;

/// Adds the handler `auto`.
pub fn register(registry: &mut Registry) {
    registry.add::<dyn Handler, (), _>(&["auto"], |(), build| async move {
        Ok(Arc::new(Auto::build(&build).await?) as Arc<dyn Handler>)
    });
}
