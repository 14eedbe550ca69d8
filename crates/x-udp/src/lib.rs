//! The udp channel: datagrams over UDP, one connection for each remote address.
//!
//! ```
//! let mut registry = gost_core::registry::Registry::new();
//! gost_x_udp::register(&mut registry);
//! assert!(registry.has::<dyn gost_core::listener::Listener>("udp"));
//! ```

mod dialer;
mod listener;
mod options;
#[cfg(test)]
mod tests;

use gost_core::{listener::Listener, outbound::Dialer, registry::Registry};

pub use dialer::UdpDialer;
pub use options::UdpOptions;

/// Adds the listener and the dialer `udp`.
pub fn register(registry: &mut Registry) {
    registry.add::<dyn Listener, _, _>(&["udp"], listener::build);
    registry.add::<dyn Dialer, _, _>(&["udp"], |(), _| async { Ok(UdpDialer::shared()) });
}
