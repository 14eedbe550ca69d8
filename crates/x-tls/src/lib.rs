//! The channels tls and mtls: TLS over TCP, and many streams of smux inside it. The dialer `utls`
//! is tls too: it imitates no browser, and says so. The upgrade `tls` is for protocols that have
//! TLS inside, such as SOCKS5.
//!
//! ```
//! let mut registry = gost_core::registry::Registry::new();
//! gost_x_tls::register(&mut registry);
//! assert!(registry.has::<dyn gost_core::listener::Listener>("mtls"));
//! assert!(registry.has::<dyn gost_core::outbound::Dialer>("tls"));
//! ```

mod dialer;
mod listener;

use std::sync::Arc;

use gost_core::{
    listener::Listener,
    outbound::{Dialer, Upgrade},
    registry::Registry,
};
use gost_tls::ClientOptions;

pub use dialer::{MtlsDialerOptions, TlsDialerOptions, UtlsDialerOptions};
pub use listener::MtlsListenerOptions;

/// Adds the listeners `tls` and `mtls`, the dialers `tls`, `mtls` and `utls`, and the upgrade
/// `tls`.
pub fn register(registry: &mut Registry) {
    registry.add::<dyn Listener, _, _>(&["tls"], listener::tls);
    registry.add::<dyn Listener, _, _>(&["mtls"], listener::mtls);
    registry.add::<dyn Dialer, _, _>(&["tls"], |options, build| async move {
        Ok(Arc::new(dialer::tls(options, &build)?) as Arc<dyn Dialer>)
    });
    registry.add::<dyn Dialer, _, _>(&["utls"], |options, build| async move {
        Ok(Arc::new(dialer::utls(options, &build)?) as Arc<dyn Dialer>)
    });
    registry.add::<dyn Dialer, _, _>(&["mtls"], |options, build| async move {
        Ok(Arc::new(dialer::mtls(options, &build)?) as Arc<dyn Dialer>)
    });
    registry.add::<dyn Upgrade, _, _>(&["tls"], |_: ClientOptions, build| async move {
        gost_tls::inner_upgrade(&build)
    });
}
