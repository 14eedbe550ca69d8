//! The forward protocols: local and remote port forwarding.

mod handler;

use gost_core::{handler::Handler, registry::Registry};

pub use handler::{Forward, ForwardOptions};

/// Adds the handlers of local (`tcp`, `udp`, `forward`) and remote (`rtcp`, `rudp`, `runix`)
/// forwarding, which do the same.
pub fn register(registry: &mut Registry) {
    registry.add::<dyn Handler, _, _>(
        &["forward", "tcp", "udp", "rtcp", "rudp", "runix"],
        |options, _| async move { Ok(Forward::shared(options)) },
    );
}
