//! Tables from host names to tunnels.
//!
//! ```
//! let mut registry = gost_core::registry::Registry::new();
//! gost_x_ingress::register(&mut registry);
//! assert!(registry.has::<dyn gost_core::policy::Ingress>("table"));
//! ```

mod table;

use std::sync::Arc;

use gost_core::{build::Build, policy::Ingress, registry::Registry};

pub use table::{LoadedTable, Rule, Rules, Table, TableOptions};

/// Adds the ingress `table`.
pub fn register(registry: &mut Registry) {
    let make = |options: TableOptions, build: Build| async move {
        let table = LoadedTable::new(&build.place, &options).await?;
        Ok(Arc::new(table) as Arc<dyn Ingress>)
    };
    registry.add::<dyn Ingress, _, _>(&["table"], make);
}
