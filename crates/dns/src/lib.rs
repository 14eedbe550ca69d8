//! DNS messages, and their exchange with servers over UDP, TCP, TLS and HTTPS.
//!
//! - [`Server`] is a server as a configuration writes it: `1.1.1.1`, `tls://dns.example`;
//! - [`Exchanger`] asks it over any way out: a message goes there, a message that answers it comes
//!   back;
//! - [`message`] makes questions for addresses and reads what a server says.
//!
//! ```
//! use gost_dns::{Protocol, Server};
//!
//! let server = Server::parse("https://dns.example/dns-query").unwrap();
//! assert_eq!(server.protocol(), Protocol::Https);
//! assert_eq!(server.addr().to_string(), "dns.example:443");
//! ```
//!
//! Whatever a server sends is bounded: a message has at most 65,535 bytes, an answer that does not
//! belong to the question is not one, and a name is followed through 16 aliases at most.

mod datagram;
mod error;
mod exchange;
mod https;
pub mod message;
mod server;
mod stream;
mod way;

pub use error::DnsError;
pub use exchange::Exchanger;
pub use server::{Protocol, Server};

#[cfg(test)]
mod tests;
