//! TLS over any stream: certificates, settings, and the upgrade of a connection.
//!
//! A component that has TLS asks for it by what it is built from; the `tls` section of the
//! configuration, the program's default certificate and the `tls.` keys are read here:
//!
//! - [`listener_upgrade`] for connections that were accepted. Call [`ServerTls::prepare`] once the
//!   socket listens, so that no client waits for a certificate to be generated;
//! - [`dialer_upgrade`] for connections that were opened to a node;
//! - [`inner_upgrade`] for the inside of a protocol that has TLS as an option.
//!
//! What they return are [`Upgrade`](gost_core::outbound::Upgrade)s, for `ChannelListener` and
//! `ChannelDialer` of `gost-net`:
//!
//! ```
//! use gost_core::{build::Build, registry::Registry};
//!
//! # fn main() -> gost_core::Result<()> {
//! let build = Build::new(Registry::new().into());
//! let client = gost_tls::dialer_upgrade(&build)?;
//! assert!(client.is_insecure(), "nothing is verified unless it is asked for");
//! # Ok(()) }
//! ```
//!
//! Nothing here touches the cryptography before the first connection, or before `prepare`: the
//! first random number of a process takes longer than its start.

mod certificate;
mod client;
mod error;
mod files;
mod inside;
mod protocol;
mod read_ahead;
mod reload;
mod server;
mod stream;
mod verify;

pub use certificate::DefaultCertificate;
pub use client::{ClientOptions, ClientTls, SystemRoots, dialer_upgrade};
pub use error::TlsError;
pub use inside::inner_upgrade;
pub use server::{ServerTls, listener_upgrade};

#[cfg(test)]
mod tests;
