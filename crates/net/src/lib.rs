//! Sockets, the copy and datagram flows of gost.
//!
//! - [`sockets::Sockets`] is the way out that has no node: it dials and listens here;
//! - [`listen`] makes listeners of sockets;
//! - [`copy()`](copy::copy) moves the bytes of a connection, with `splice(2)` where it can;
//! - [`udp`] holds datagram sockets, flows and the copy of datagrams;
//! - [`framed`] carries datagrams in a stream, and in SOCKS5 datagrams.

pub mod copy;
pub mod framed;
pub mod listen;
mod metered;
pub mod proxy_protocol;
pub mod sockets;
pub mod udp;

pub use metered::Metered;
