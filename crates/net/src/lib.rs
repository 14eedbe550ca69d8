//! Sockets, the copy and datagram flows of gost.

pub mod udp;
