//! Tables of host names, asked before any resolver.
//!
//! ```
//! let mut registry = gost_core::registry::Registry::new();
//! gost_x_hosts::register(&mut registry);
//! assert!(registry.has::<dyn gost_core::policy::HostMapper>("table"));
//! ```

mod loaded;
mod table;

use std::sync::Arc;

use gost_core::{build::Build, policy::HostMapper, registry::Registry};

pub use loaded::LoadedTable;
pub use table::{Mapping, Mappings, Table, TableOptions};

/// Adds the hosts `table`.
pub fn register(registry: &mut Registry) {
    let make = |options: TableOptions, build: Build| async move {
        let table = LoadedTable::new(&build.place, &options).await?;
        Ok(Arc::new(table) as Arc<dyn HostMapper>)
    };
    registry.add::<dyn HostMapper, _, _>(&["table"], make);
}
