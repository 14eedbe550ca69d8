//! Datagrams over UDP: sockets, flows, and the copy.
//!
//! [`UdpConn`] is a socket as a conversation, [`Flows`] a listener that makes one of each remote
//! address, and [`relay`] moves datagrams between two conversations. All work in batches: one
//! system call receives or sends many datagrams, and equally long ones to one address are sent as
//! one packet that the kernel or the device segments. A batch belongs to the thread, so that an
//! idle conversation holds no buffer.

mod arena;
mod bind;
mod book;
mod conn;
mod drops;
mod filter;
mod flows;
mod port;
mod relay;
#[cfg(test)]
pub(crate) mod tests;

pub use arena::{Lease, lease};
pub(crate) use bind::at_address;
pub use bind::{adopt, bind, bind_at, connect, listen};
pub use conn::{Resolve, UdpConn};
pub use drops::Drops;
pub use filter::{Check, Filtered};
pub use flows::{FlowOptions, Flows};
pub(crate) use relay::police;
pub use relay::{Outcome, Relay, RelayOptions, Tally, relay};
