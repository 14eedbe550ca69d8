//! Datagrams in packets that look like TCP, as `xtaci/tcpraw` sends them and expects them: what
//! gets through where UDP does not.
//!
//! Both ends make a TCP connection of the system, so that whoever looks on sees a handshake. It
//! carries nothing. Each datagram is a segment of its own, flags `PSH` and `ACK`, which a raw
//! socket sends on the ports of that connection and another receives. Sequence numbers go on from
//! those of the handshake; nothing is acknowledged, repeated or put in order.
//!
//! The systems at both ends must not join in. The original lets them: theirs sends with a time to
//! live of 1, and firewall rules drop that on the way out. Here a filter on the connection's socket
//! hides all segments with data from the system, which then has nothing to say; no firewall is
//! needed, and none of its programs.
//!
//! Raw sockets need `CAP_NET_RAW`; without it opening one fails with
//! [`PermissionDenied`](std::io::ErrorKind::PermissionDenied).

mod client;
mod filter;
mod numbers;
mod raw;
mod segment;
mod server;
#[cfg(test)]
mod tests;

pub use client::Client;
pub use raw::open;
pub use server::{Listening, Open, Server};
