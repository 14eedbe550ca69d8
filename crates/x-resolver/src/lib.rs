//! A resolver that asks name servers, through chains where wanted.
//!
//! ```
//! let mut registry = gost_core::registry::Registry::new();
//! gost_x_resolver::register(&mut registry);
//! assert!(registry.has::<dyn gost_core::policy::Resolver>("nameservers"));
//! ```

mod cache;
mod options;
mod resolver;
mod server;

use std::sync::Arc;

use gost_core::{policy::Resolver, registry::Registry};

pub use options::{Nameserver, Nameservers, ResolverOptions, Ttl};
pub use resolver::DnsResolver;

/// Adds the resolver `nameservers`.
pub fn register(registry: &mut Registry) {
    registry.add::<dyn Resolver, _, _>(
        &["nameservers"],
        |options: ResolverOptions, build| async move {
            let made = DnsResolver::new(&options.nameservers.0, &build)?;
            Ok(Arc::new(made) as Arc<dyn Resolver>)
        },
    );
}
