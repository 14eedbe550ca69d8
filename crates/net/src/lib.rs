//! Sockets, the copy and datagram flows of gost.
//!
//! - [`sockets::Sockets`] is the way out that has no node: it dials and listens here;
//! - [`channel`] makes a channel of TCP and what is to be on top of it;
//! - [`listen`] makes listeners of sockets;
//! - [`copy()`](copy::copy) moves the bytes of a connection, with `splice(2)` where it can;
//! - [`udp`] holds datagram sockets, flows and the copy of datagrams;
//! - [`fake_tcp`] listens to datagrams in packets that look like TCP;
//! - [`keepalive`] sets TCP keep-alive on connections that were dialed;
//! - [`framed`] carries datagrams in a stream, and in SOCKS5 datagrams.

pub mod channel;
pub mod copy;
pub mod fake_tcp;
pub mod framed;
pub mod keepalive;
pub mod listen;
mod metered;
pub mod proxy_protocol;
pub mod sockets;
pub mod udp;

pub use metered::{Metered, metered};
