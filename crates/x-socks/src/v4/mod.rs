//! SOCKS4, with or without 4a: the extension by which names are asked for.

mod connector;
mod handler;
pub mod wire;

use gost_core::{handler::Handler, outbound::Connector, registry::Registry};

pub use connector::{Socks4Connector, Socks4ConnectorOptions};
pub use handler::Socks4Handler;

/// The type names; they mean the same.
const NAMES: &[&str] = &["socks4", "socks4a"];

/// Adds the handlers and connectors `socks4` and `socks4a`.
pub(crate) fn register(registry: &mut Registry) {
    registry.add::<dyn Handler, (), _>(NAMES, |(), _| async {
        Ok(std::sync::Arc::new(Socks4Handler) as _)
    });
    registry.add::<dyn Connector, _, _>(NAMES, |options, build| async move {
        Ok(std::sync::Arc::new(Socks4Connector::new(options, build.auth)?) as _)
    });
}
