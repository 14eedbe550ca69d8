//! Bypasses: which targets a way is not for.
//!
//! ```
//! let mut registry = gost_core::registry::Registry::new();
//! gost_x_bypass::register(&mut registry);
//! assert!(registry.has::<dyn gost_core::policy::Bypass>("table"));
//! ```

mod rules;
mod table;

use std::sync::Arc;

use gost_core::{build::Build, policy::Bypass, registry::Registry};

pub use rules::Rules;
pub use table::{Table, TableOptions};

/// Adds the bypass `table`.
pub fn register(registry: &mut Registry) {
    let make = |options: TableOptions, build: Build| async move {
        let table = Table::new(&build.place, &options).await?;
        Ok(Arc::new(table) as Arc<dyn Bypass>)
    };
    registry.add::<dyn Bypass, _, _>(&["table"], make);
}
