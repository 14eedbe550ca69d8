//! The SOCKS protocols: handlers and connectors of versions 4, 4a and 5
//!
//! [`v5`] speaks RFC 1928 and RFC 1929, and the extensions of the original: datagrams over the
//! connection itself, multiplexed binding, TLS inside the conversation, and Tor's name queries.
//! [`v4`] speaks SOCKS4, with or without 4a. The messages of both are codecs without I/O, in
//! [`v5::wire`] and [`v4::wire`].
//!
//! ```
//! use gost_core::{handler::Handler, outbound::Connector, registry::Registry};
//!
//! let mut registry = Registry::new();
//! gost_x_socks::register(&mut registry);
//! for name in ["socks4", "socks4a", "socks5", "socks"] {
//!     assert!(registry.has::<dyn Handler>(name) && registry.has::<dyn Connector>(name));
//! }
//! ```

mod address;
mod deadline;
mod exchange;
pub mod v4;
pub mod v5;

use gost_core::registry::Registry;

/// Adds the handlers and connectors `socks5`, `socks`, `socks4` and `socks4a`.
pub fn register(registry: &mut Registry) {
    v4::register(registry);
    v5::register(registry);
}
