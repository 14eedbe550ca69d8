//! Services that several daemons find through a redis server.
//!
//! ```
//! let mut registry = gost_core::registry::Registry::new();
//! gost_x_discovery::register(&mut registry);
//! assert!(registry.has::<dyn gost_core::policy::Discovery>("redis"));
//! ```

mod discovery;
mod link;

use std::{sync::Arc, time::Duration};

use gost_core::{
    build::Build,
    error::{Error, Why},
    options,
    policy::Discovery,
    registry::Registry,
};
use gost_loader::RedisSource;

pub use discovery::RedisDiscovery;

options! {
    /// Options of service discovery through redis.
    pub struct RedisOptions {
        /// The server: a map with `addr`, `db`, `username`, `password` and `key`, which is what the
        /// names of its keys begin with.
        redis: Option<RedisSource> = None, "redis";
        /// How long a service is found that nobody renews.
        ttl: Duration = Duration::from_mins(1), "ttl";
    }
}

/// Adds the service discovery `redis`.
pub fn register(registry: &mut Registry) {
    let make = |options: RedisOptions, build: Build| async move {
        let wrong = |what: &str| Error::new(Why::BadInput, what);
        let server = options.redis.ok_or_else(|| wrong("redis: no server"))?;
        if server.addr.trim().is_empty() {
            return Err(wrong("redis: addr: is empty"));
        }
        let made = RedisDiscovery::new(&build.place, server, options.ttl);
        Ok(Arc::new(made) as Arc<dyn Discovery>)
    };
    registry.add::<dyn Discovery, _, _>(&["redis"], make);
}
