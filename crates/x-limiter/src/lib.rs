//! Limits: of connections at once, of connections per second, and of bytes per second.
//!
//! ```
//! let mut registry = gost_core::registry::Registry::new();
//! gost_x_limiter::register(&mut registry);
//! assert!(registry.has::<dyn gost_core::policy::ConnLimiter>("table"));
//! ```

mod conn;
mod lines;
mod rate;
mod rules;
mod shards;
mod traffic;

use std::sync::Arc;

use gost_core::{
    build::Build,
    options,
    policy::{ConnLimiter, RateLimiter, TrafficLimiter},
    registry::Registry,
};
use gost_loader::SourceOptions;

pub use conn::Connections;
pub use lines::RuleError;
pub use rate::Rates;
pub use rules::{Limit, NotANumber, Rules};
pub use traffic::{Traffic, TrafficRules};

options! {
    /// Options of a limiter.
    pub struct LimiterOptions {
        /// Lines of a key and a number. The key is `$` for all clients together, an address, a
        /// network for each address in it, or `$$` for each address that no other line is about.
        limits: Vec<String> = Vec::new(), "limits";
        ..sources: SourceOptions;
    }
}

options! {
    /// Options of a limiter of bytes per second.
    pub struct TrafficOptions {
        /// Lines of a key, a rate from clients, and perhaps one to them and a size of bursts. The key
        /// is `$` for the whole service, `$$` for each connection, an address, a network for each
        /// address in it, or a user's name.
        limits: Vec<String> = Vec::new(), "limits";
        ..sources: SourceOptions;
    }
}

/// Adds the climiter, the rlimiter and the limiter `table`.
pub fn register(registry: &mut Registry) {
    let connections = |options: LimiterOptions, build: Build| async move {
        let rules = lines::load(&build.place, &options.limits, &options.sources).await?;
        Ok(Arc::new(Connections::with(rules)) as Arc<dyn ConnLimiter>)
    };
    registry.add::<dyn ConnLimiter, _, _>(&["table"], connections);
    let rates = |options: LimiterOptions, build: Build| async move {
        let rules = lines::load(&build.place, &options.limits, &options.sources).await?;
        Ok(Arc::new(Rates::with(rules)) as Arc<dyn RateLimiter>)
    };
    registry.add::<dyn RateLimiter, _, _>(&["table"], rates);
    let traffic = |options: TrafficOptions, build: Build| async move {
        let rules = lines::load(&build.place, &options.limits, &options.sources).await?;
        Ok(Arc::new(Traffic::with(rules)) as Arc<dyn TrafficLimiter>)
    };
    registry.add::<dyn TrafficLimiter, _, _>(&["table"], traffic);
}
