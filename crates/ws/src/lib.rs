//! WebSocket as a carrier of bytes: frames and the handshake, without I/O.
//!
//! A tunnel gives messages no meaning: what flows is the payload of all data frames, one after
//! the other, whatever frames the peer cuts it into. So nothing here ever holds a message. A
//! [`Decoder`] takes the frames out of a buffer *in place*, and leaves the payload in it; a
//! [`Header`] goes in front of what is sent. Pings, pongs and the end come out of the decoder
//! beside the payload.
//!
//! [`handshake`] writes and reads the HTTP heads before that. The time, random numbers and the
//! connection are the caller's. Source: RFC 6455.
//!
//! ```
//! use gost_ws::{Decoder, Header, Mask, Opcode, Role};
//!
//! // A client sends ...
//! let key = [0x37, 0xfa, 0x21, 0x3d];
//! let mut wire = Header::data(5, Some(key)).encode().to_vec();
//! let mut payload = *b"hello";
//! Mask::new(key).apply(&mut payload);
//! wire.extend_from_slice(&payload);
//!
//! // ... and a server receives.
//! let mut decoder = Decoder::new(Role::Server);
//! let length = decoder.decode(&mut wire);
//! assert_eq!(&wire[..length], b"hello");
//! ```

pub mod handshake;

mod close;
mod decoder;
mod frame;
mod mask;

pub use close::{Close, MAX_REASON};
pub use decoder::{Decoder, End, Violation};
pub use frame::{Header, HeaderBytes, MAX_CONTROL, MAX_HEADER, Opcode, encode_control};
pub use mask::Mask;

/// An end of a connection. Clients mask what they send, servers do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The end that connected.
    Client,
    /// The end that was connected to.
    Server,
}
