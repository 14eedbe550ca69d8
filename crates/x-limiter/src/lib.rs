//! Limits: of connections at once, and of connections per second.
//!
//! ```
//! let mut registry = gost_core::registry::Registry::new();
//! gost_x_limiter::register(&mut registry);
//! assert!(registry.has::<dyn gost_core::policy::ConnLimiter>("table"));
//! ```

mod conn;
mod rate;
mod rules;
mod shards;

use std::sync::Arc;

use gost_core::{
    error::{Error, Result, Why},
    options,
    policy::{ConnLimiter, RateLimiter},
    registry::Registry,
};

pub use conn::Connections;
pub use rate::Rates;
pub use rules::{NotANumber, RuleError, Rules};

options! {
    /// Options of a limiter.
    pub struct LimiterOptions {
        /// Lines of a key and a number. The key is `$` for all clients together, an address, a
        /// network for each address in it, or `$$` for each address that no other line is about.
        limits: Vec<String> = Vec::new(), "limits";
    }
}

/// Adds the climiter and the rlimiter `table`.
pub fn register(registry: &mut Registry) {
    registry.add::<dyn ConnLimiter, _, _>(&["table"], |options: LimiterOptions, _| async move {
        let rules = checked(Rules::parse(&options.limits, conn::value))?;
        Ok(Arc::new(Connections::new(rules)) as Arc<dyn ConnLimiter>)
    });
    registry.add::<dyn RateLimiter, _, _>(&["table"], |options: LimiterOptions, _| async move {
        let rules = checked(Rules::parse(&options.limits, rate::value))?;
        Ok(Arc::new(Rates::new(rules)) as Arc<dyn RateLimiter>)
    });
}

fn checked<T>(rules: std::result::Result<T, RuleError>) -> Result<T> {
    rules.map_err(|e| Error::new(Why::BadInput, format!("limits: {e}")))
}
