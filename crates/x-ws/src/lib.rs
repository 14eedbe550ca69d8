//! The channels `ws`, `wss`, `mws` and `mwss`: WebSocket, inside TLS, and with many streams over
//! one connection.
//!
//! [`WebSocket`] is the upgrade of a connection, [`WsStream`] what it makes of one; both work over
//! any stream.
//!
//! ```
//! let mut registry = gost_core::registry::Registry::new();
//! gost_x_ws::register(&mut registry);
//! assert!(registry.has::<dyn gost_core::listener::Listener>("mwss"));
//! assert!(registry.has::<dyn gost_core::outbound::Dialer>("ws"));
//! ```

mod dialer;
mod entropy;
mod head;
mod listener;
mod options;
mod stream;
mod upgrade;

use std::sync::Arc;

use gost_core::{listener::Listener, outbound::Dialer, registry::Registry};

pub use dialer::{MwsDialerOptions, WsDialerOptions};
pub use listener::{MwsListenerOptions, WsListenerOptions};
pub use options::WsOptions;
pub use stream::{Keepalive, WsStream};
pub use upgrade::{Settings, WebSocket};

/// Whether a channel is inside TLS.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tls {
    Without,
    Within,
}

/// Adds the listeners and dialers `ws`, `wss`, `mws` and `mwss`.
pub fn register(registry: &mut Registry) {
    add(registry, "ws", "mws", Tls::Without);
    add(registry, "wss", "mwss", Tls::Within);
}

fn add(registry: &mut Registry, name: &str, mux_name: &str, tls: Tls) {
    registry.add::<dyn Listener, _, _>(&[name], move |options, build| {
        listener::ws(options, build, tls)
    });
    registry.add::<dyn Listener, _, _>(&[mux_name], move |options, build| {
        listener::mws(options, build, tls)
    });
    registry.add::<dyn Dialer, _, _>(&[name], move |options, build| async move {
        Ok(Arc::new(dialer::ws(&options, &build, tls)?) as Arc<dyn Dialer>)
    });
    registry.add::<dyn Dialer, _, _>(&[mux_name], move |options, build| async move {
        Ok(Arc::new(dialer::mws(&options, &build, tls)?) as Arc<dyn Dialer>)
    });
}
