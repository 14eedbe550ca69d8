//! SOCKS5, with the extensions of the original.

mod bind;
mod connector;
mod handler;
mod listener;
mod options;
mod packets;
mod resolve;
mod sources;
mod udp;
mod visitors;
pub mod wire;

use std::sync::Arc;

use gost_core::{
    build::Build,
    error::Result,
    handler::Handler,
    outbound::{Connector, Upgrade},
    registry::Registry,
};

pub use connector::Socks5Connector;
pub use handler::Socks5Handler;
pub use options::{Socks5ConnectorOptions, Socks5Options};

/// The type names; they mean the same.
const NAMES: &[&str] = &["socks5", "socks"];

/// The upgrade that methods 80 and 82 use.
const TLS: &str = "tls";

/// Adds the handlers and connectors `socks5` and `socks`.
pub(crate) fn register(registry: &mut Registry) {
    registry.add::<dyn Handler, Socks5Options, _>(NAMES, |options, build| async move {
        let tls = tls(&build, options.notls).await?;
        Ok(Arc::new(Socks5Handler::new(options, tls)?) as _)
    });
    registry.add::<dyn Connector, Socks5ConnectorOptions, _>(NAMES, |options, build| async move {
        let tls = tls(&build, options.notls).await?;
        Ok(Arc::new(Socks5Connector::new(options, build.auth, tls)?) as _)
    });
}

/// TLS for the inside of a conversation: the upgrade of that name, where the program has one.
async fn tls(build: &Build, notls: bool) -> Result<Option<Arc<dyn Upgrade>>> {
    if notls || !build.registry.has::<dyn Upgrade>(TLS) {
        return Ok(None);
    }
    build.make::<dyn Upgrade>(TLS).await.map(Some)
}
