//! The relay protocol: a handler and a connector.
//!
//! A client asks in one message and the server answers in one (crate `gost-relay`). Neither waits
//! for the other before payload flows: each message is held for some milliseconds, so that it travels
//! with the first payload, and is sent alone when there is none.
//!
//! ```
//! let mut registry = gost_core::registry::Registry::new();
//! gost_x_relay::register(&mut registry);
//! assert!(registry.has::<dyn gost_core::handler::Handler>("relay"));
//! assert!(registry.has::<dyn gost_core::outbound::Connector>("relay"));
//! ```

mod answer;
mod bind;
mod client;
mod connect;
mod connector;
mod handler;
mod held;
mod options;
mod place;
mod visitors;

use gost_core::{handler::Handler, outbound::Connector, registry::Registry};

pub use connector::Relay as RelayConnector;
pub use handler::Relay;
pub use options::{RelayConnectorOptions, RelayOptions};

/// Adds the handler and the connector `relay`.
pub fn register(registry: &mut Registry) {
    registry.add::<dyn Handler, _, _>(
        &["relay"],
        |options, _| async move { Relay::shared(options) },
    );
    registry.add::<dyn Connector, _, _>(&["relay"], |options, build| async move {
        RelayConnector::shared(options, build.auth.as_ref())
    });
}
