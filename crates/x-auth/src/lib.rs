//! Authenticators: tables of users.
//!
//! ```
//! let mut registry = gost_core::registry::Registry::new();
//! gost_x_auth::register(&mut registry);
//! assert!(registry.has::<dyn gost_core::policy::Authenticator>("table"));
//! ```

mod any;
mod loaded;
mod table;

use std::sync::Arc;

use gost_core::{build::Build, policy::Authenticator, registry::Registry};

pub use any::AnyOf;
pub use loaded::LoadedTable;
pub use table::{Table, TableOptions, Users};

/// Adds the authenticator `table`.
pub fn register(registry: &mut Registry) {
    let make = |options: TableOptions, build: Build| async move {
        let table = LoadedTable::new(&build.place, &options).await?;
        Ok(Arc::new(table) as Arc<dyn Authenticator>)
    };
    registry.add::<dyn Authenticator, _, _>(&["table"], make);
}
