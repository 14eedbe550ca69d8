//! Admissions: whose connections are taken.
//!
//! ```
//! let mut registry = gost_core::registry::Registry::new();
//! gost_x_admission::register(&mut registry);
//! assert!(registry.has::<dyn gost_core::policy::Admission>("table"));
//! ```

mod clients;
mod table;

use std::sync::Arc;

use gost_core::{build::Build, policy::Admission, registry::Registry};

pub use table::{Table, TableOptions};

/// Adds the admission `table`.
pub fn register(registry: &mut Registry) {
    let make = |options: TableOptions, build: Build| async move {
        let table = Table::new(&build.place, &options).await?;
        Ok(Arc::new(table) as Arc<dyn Admission>)
    };
    registry.add::<dyn Admission, _, _>(&["table"], make);
}
