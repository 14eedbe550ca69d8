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

use gost_core::{policy::Bypass, registry::Registry};

pub use rules::Rules;
pub use table::{Table, TableOptions};

/// Adds the bypass `table`.
pub fn register(registry: &mut Registry) {
    registry.add::<dyn Bypass, _, _>(&["table"], |options: TableOptions, _| async move {
        Ok(Arc::new(Table::new(&options)?) as Arc<dyn Bypass>)
    });
}
