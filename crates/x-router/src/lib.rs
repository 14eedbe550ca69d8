//! Routing tables of virtual networks. On Linux the system gets their routes too.
//!
//! ```
//! let mut registry = gost_core::registry::Registry::new();
//! gost_x_router::register(&mut registry);
//! assert!(registry.has::<dyn gost_core::policy::OsRouter>("table"));
//! ```

mod system;
mod table;

use std::sync::Arc;

use gost_core::{build::Build, policy::OsRouter, registry::Registry};

pub use table::{LoadedTable, Routes, Table, TableOptions};

/// Adds the router `table`.
pub fn register(registry: &mut Registry) {
    let make = |options: TableOptions, build: Build| async move {
        let table = LoadedTable::new(&build.place, &options).await?;
        Ok(Arc::new(table) as Arc<dyn OsRouter>)
    };
    registry.add::<dyn OsRouter, _, _>(&["table"], make);
}
