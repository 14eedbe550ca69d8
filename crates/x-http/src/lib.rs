//! The http protocol: a proxy handler and a connector.
//!
//! The handler takes `CONNECT`, requests to be passed on (`GET http://host/`) with as many as the
//! client likes on one connection, and datagrams in a tunnel. The connector asks a node for
//! tunnels of bytes or datagrams. What goes over the wire is described in RFC 9110 and RFC 9112,
//! and for datagrams in [`gost_net::framed`].
//!
//! [`head`] and [`body`] read messages without doing any input or output, and can be used alone.
//!
//! ```
//! let mut registry = gost_core::registry::Registry::new();
//! gost_x_http::register(&mut registry);
//! assert!(registry.has::<dyn gost_core::handler::Handler>("http"));
//! assert!(registry.has::<dyn gost_core::outbound::Connector>("http"));
//! ```

pub mod body;
mod connector;
mod decoy;
mod exchange;
mod forward;
mod handler;
pub mod head;
mod idle;
mod options;
mod peer;
mod pump;
mod record;
mod refusal;
mod request;
mod response;
mod target;

use gost_core::{build::Build, handler::Handler, outbound::Connector, registry::Registry};

pub use connector::HttpConnector;
pub use handler::Http;
pub use options::{HttpConnectorOptions, HttpOptions};

/// Adds the handler and the connector `http`.
pub fn register(registry: &mut Registry) {
    registry.add::<dyn Handler, HttpOptions, _>(&["http"], |options, _| async move {
        Http::shared(&options)
    });
    registry.add::<dyn Connector, HttpConnectorOptions, _>(
        &["http"],
        |options, build: Build| async move { HttpConnector::shared(&options, build.auth.as_ref()) },
    );
}
