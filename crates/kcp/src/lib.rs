//! KCP as the Go library `xtaci/kcp-go` speaks it, as a state machine: a reliable byte stream over
//! datagrams, with forward error correction and encryption.
//!
//! Nothing here does I/O, waits, or asks for the time. A [`Session`] is one end of a conversation:
//!
//! * A datagram goes through [`Envelope::open`] to [`Session::receive`]. Who listens asks
//!   [`Opening::find`] whether one of an unknown sender may begin a conversation.
//! * [`Session::transmit`] writes datagrams, again and again until it has none, whenever
//!   [`Session::wants_send`] is true after another call, and at [`Session::next_timeout`];
//!   [`Envelope::close`] encrypts many at once.
//! * [`Session::write`], [`Session::peek`] and [`Session::consume`] are the byte stream.
//!
//! The original puts [`snappy`] between that stream and what it carries.
//!
//! ```
//! use std::{sync::Arc, time::Instant};
//!
//! use gost_kcp::{Cipher, CipherKind, Config, Envelope, Key, Nonces, Opening, Session};
//!
//! let now = Instant::now();
//! let cipher = Cipher::new(CipherKind::Aes128, &Key::derive("secret"));
//! let envelope = Envelope::new(Arc::new(cipher));
//! let mut nonces = Nonces::new([0; 32]); // 32 random bytes, in earnest
//!
//! let mut client = Session::new(0x1234, Config::default(), now)?;
//! client.write(b"hello");
//! let mut datagram = [0; 1400];
//! let length = client.transmit(now, &mut datagram).unwrap();
//! envelope.close(&mut nonces, &mut [&mut datagram[..length]]);
//!
//! let body = envelope.open(&mut datagram[..length]).unwrap();
//! let opening = Opening::find(body, 32).unwrap();
//! let mut server = Session::new(opening.conversation, Config::default(), now)?;
//! server.receive(now, body);
//! assert_eq!(server.peek(), b"hello");
//! # Ok::<_, gost_kcp::ConfigError>(())
//! ```

pub mod crypt;
pub mod fec;
pub mod packet;
pub mod segment;
pub mod snappy;

mod arq;
mod config;
mod session;

pub use arq::Stats;
pub use config::{Config, ConfigError, DEFAULT_MTU, MAX_MTU, Mode, UnknownMode};
pub use crypt::{Cipher, CipherKind, Key, UnknownCipher};
pub use packet::{Envelope, Nonces};
pub use session::{Opening, Session};
