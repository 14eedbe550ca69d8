//! Components at work in the process of a test: services, ways out through a node, policies of one
//! line.
//!
//! What fails here fails the test: with a panic that says what.

mod channel;
mod policies;
mod service;
mod traffic;
mod way;

use std::sync::Arc;

use gost_core::{
    build::Build,
    error::Result,
    policy::Credentials,
    registry::{Kind, Registry},
    values::Values,
};

pub use channel::{behind, listener, port_through, relay_behind};
pub use policies::{Forbid, OneUser};
pub use service::{Running, To, listen, serve};
pub use traffic::{Targets, answers, echoed, many, read};
pub use way::{Through, through};

/// Options as they stand in a query: `udp=true&keepalive=true`.
pub fn values(query: &str) -> Values {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .fold(Values::new(), |values, (key, value)| {
            values.with(key, value)
        })
}

/// A user's name and password, as a component is given them.
pub fn credentials(username: &str, password: &str) -> Credentials {
    Credentials {
        username: username.into(),
        password: password.into(),
    }
}

/// A component with options.
///
/// # Panics
///
/// When it can't be built.
pub async fn make<K: Kind + ?Sized>(
    registry: &Arc<Registry>,
    name: &str,
    values: &Values,
) -> K::Made {
    let made = try_make::<K>(registry, name, values).await;
    made.unwrap_or_else(|e| panic!("{} {name}: {e}", K::NAME))
}

/// A component with options.
///
/// # Errors
///
/// Why it can't be built.
pub async fn try_make<K: Kind + ?Sized>(
    registry: &Arc<Registry>,
    name: &str,
    values: &Values,
) -> Result<K::Made> {
    let build = Build::new(registry.clone());
    registry.make::<K>(name, values, build).await
}
