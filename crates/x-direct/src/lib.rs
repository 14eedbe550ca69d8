//! The direct (or virtual) node, which dials the target from here, and the connectors of nodes
//! that are themselves the target: forward, tcp, unix, serial.
//!
//! ```
//! let mut registry = gost_core::registry::Registry::new();
//! gost_x_direct::register(&mut registry);
//! assert!(registry.has::<dyn gost_core::outbound::Connector>("virtual"));
//! ```

mod connector;
mod dialer;

use gost_core::{
    outbound::{Connector, Dialer},
    prelude::Arc,
    registry::Registry,
};

pub use connector::{Direct, DirectOptions, PassThrough};
pub use dialer::Nowhere;

/// Adds dialers and connectors.
pub fn register(registry: &mut Registry) {
    let names = ["direct", "virtual"];
    registry.add::<dyn Dialer, (), _>(&names, |(), _| async {
        Ok(Arc::new(Nowhere) as Arc<dyn Dialer>)
    });
    registry.add::<dyn Connector, _, _>(&names, |options, _| async move {
        Ok(Arc::new(Direct::new(&options)) as Arc<dyn Connector>)
    });
    let names = ["forward", "tcp", "unix", "serial"];
    registry.add::<dyn Connector, (), _>(&names, |(), _| async {
        Ok(Arc::new(PassThrough) as Arc<dyn Connector>)
    });
}
