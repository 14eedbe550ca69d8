//! Tables of host names, asked before any resolver.
//!
//! ```
//! let mut registry = gost_core::registry::Registry::new();
//! gost_x_hosts::register(&mut registry);
//! assert!(registry.has::<dyn gost_core::policy::HostMapper>("table"));
//! ```

mod table;

use std::sync::Arc;

use gost_core::{policy::HostMapper, registry::Registry};

pub use table::{Mapping, Mappings, Table, TableOptions};

/// Adds the hosts `table`.
pub fn register(registry: &mut Registry) {
    registry.add::<dyn HostMapper, _, _>(&["table"], |options: TableOptions, _| async move {
        Ok(Arc::new(Table::new(&options.mappings.0)?) as Arc<dyn HostMapper>)
    });
}
