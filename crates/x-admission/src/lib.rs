//! Admissions: whose connections are taken.
//!
//! ```
//! let mut registry = gost_core::registry::Registry::new();
//! gost_x_admission::register(&mut registry);
//! assert!(registry.has::<dyn gost_core::policy::Admission>("table"));
//! ```

mod table;

use std::sync::Arc;

use gost_core::{policy::Admission, registry::Registry};

pub use table::{Table, TableOptions};

/// Adds the admission `table`.
pub fn register(registry: &mut Registry) {
    registry.add::<dyn Admission, _, _>(&["table"], |options: TableOptions, _| async move {
        Ok(Arc::new(Table::new(&options).await?) as Arc<dyn Admission>)
    });
}
