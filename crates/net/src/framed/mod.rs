//! Datagrams inside something else: in a byte stream, or in SOCKS5 datagrams.
//!
//! The formats are those of [`gost_relay::udp`].

mod address;
mod socks;
mod stream;
#[cfg(test)]
mod tests;

pub use socks::SocksUdp;
pub use stream::Framed;
