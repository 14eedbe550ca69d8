//! The rtcp, rudp and runix channels: listen at the far end of a chain, and take what comes in
//! there. Without a chain they listen here.
//!
//! ```
//! let mut registry = gost_core::registry::Registry::new();
//! gost_x_remote::register(&mut registry);
//! assert!(registry.has::<dyn gost_core::listener::Listener>("rtcp"));
//! ```

mod listener;

use gost_core::{
    addr::{Addr, Network, Target},
    listener::Listener,
    outbound::BindOptions,
    prelude::Build,
    registry::Registry,
    {Error, Result, Why},
};

pub use listener::{Remote, RudpOptions};

/// Adds the listeners `rtcp`, `rudp` and `runix`.
pub fn register(registry: &mut Registry) {
    registry.add::<dyn Listener, (), _>(&["rtcp"], |(), build| async move {
        let how = BindOptions {
            mux: true,
            ..BindOptions::default()
        };
        let at = Target::tcp(address(&build)?);
        Ok(Box::new(Remote::new(at, how, &build)) as Box<dyn Listener>)
    });
    registry.add::<dyn Listener, RudpOptions, _>(&["rudp"], |options, build| async move {
        let at = Target::udp(address(&build)?);
        Ok(Box::new(Remote::new(at, options.how(), &build)) as Box<dyn Listener>)
    });
    registry.add::<dyn Listener, (), _>(&["runix"], |(), build| async move {
        let at = Target {
            network: Network::Unix,
            addr: Addr::path(&*build.addr),
        };
        Ok(Box::new(Remote::new(at, BindOptions::default(), &build)) as Box<dyn Listener>)
    });
}

/// The address to listen on; an empty host is the wildcard at the far end.
fn address(build: &Build) -> Result<Addr> {
    let bad = || {
        Error::new(
            Why::BadInput,
            format!("listen on {:?}: not an address", build.addr),
        )
    };
    Ok(match Addr::parse(&build.addr).ok_or_else(bad)? {
        Addr::Any => Addr::wildcard(0),
        addr if addr.host().is_empty() => Addr::wildcard(addr.port()),
        addr => addr,
    })
}
