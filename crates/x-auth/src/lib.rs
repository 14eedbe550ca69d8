//! Authenticators: tables of users.
//!
//! ```
//! let mut registry = gost_core::registry::Registry::new();
//! gost_x_auth::register(&mut registry);
//! assert!(registry.has::<dyn gost_core::policy::Authenticator>("table"));
//! ```

mod any;
mod table;

use std::sync::Arc;

use gost_core::{policy::Authenticator, registry::Registry};

pub use any::AnyOf;
pub use table::{Table, TableOptions, Users};

/// Adds the authenticator `table`.
pub fn register(registry: &mut Registry) {
    registry.add::<dyn Authenticator, _, _>(&["table"], |options: TableOptions, _| async move {
        Ok(Arc::new(Table::new(options.auths.0)) as Arc<dyn Authenticator>)
    });
}
