//! The smux protocol, versions 1 and 2, as a state machine: many streams over
//! one reliable connection, as the Go library `xtaci/smux` speaks it.
//!
//! Nothing here does I/O, waits, or asks for the time. A [`Session`] is driven
//! by its owner:
//!
//! * What is read from the connection goes to [`Session::receive`], as long
//!   as [`Session::wants_read`] is true. The buffer read into comes back
//!   empty, so one buffer can serve any number of sessions; 64 KiB is a good
//!   size. The end of the connection goes to [`Session::connection_lost`].
//! * [`Session::transmit`] fills an [`Outgoing`] with what is to be written,
//!   again and again until it has nothing, whenever
//!   [`Session::wants_write`] is true after another call.
//! * [`Session::poll_event`] tells which tasks to wake, after each of
//!   `receive`, `transmit`, `write`, `on_timeout`.
//! * [`Session::set_time`] tells the time before `receive` and `transmit`:
//!   from that round trips are measured, for windows that grow (version 2).
//! * [`Session::on_timeout`] is called at [`Session::next_timeout`].
//!
//! Streams are numbers. [`Session::open`] and [`Session::accept`] give them
//! out; [`Session::read`], [`Session::write`] and [`Session::finish`] use
//! them; [`Session::release`] ends them.
//!
//! ```
//! use std::time::Instant;
//!
//! use bytes::{Buf, BytesMut};
//! use gost_smux::{Config, Event, Outgoing, Session, Side, StreamError};
//!
//! let now = Instant::now();
//! let mut client = Session::new(Config::default(), Side::Client, now)?;
//! let mut server = Session::new(Config::default(), Side::Server, now)?;
//!
//! let id = client.open()?;
//! client.write(id, b"hello")?;
//! client.finish(id)?;
//!
//! // What a connection would carry.
//! let (mut out, mut wire) = (Outgoing::new(), BytesMut::new());
//! while client.transmit(&mut out) {
//!     let length = out.chunk().len();
//!     wire.extend_from_slice(out.chunk());
//!     out.advance(length);
//! }
//! assert_eq!(
//!     wire,
//!     b"\x01\x00\x00\x00\x03\x00\x00\x00\
//!       \x01\x02\x05\x00\x03\x00\x00\x00hello\
//!       \x01\x01\x00\x00\x03\x00\x00\x00"[..]
//! );
//!
//! server.receive(&mut wire)?;
//! assert_eq!(server.poll_event(), Some(Event::Opened));
//! let id = server.accept().unwrap();
//! let mut data = Vec::new();
//! server.read(id, &mut data)?;
//! assert_eq!(data, b"hello");
//! assert_eq!(server.read(id, &mut data), Ok(0)); // the end
//! assert_eq!(server.write(id, b"late"), Err(StreamError::PeerFinished));
//! server.release(id);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # How streams end
//!
//! FIN is a close, not a half-close. A peer that has received it reads what
//! was sent before, then the end of the stream, and refuses to write from the
//! moment FIN arrived; this crate does the same. Each side sends its own FIN
//! when it closes. So a relay must not pass on the end of one direction while
//! the other is still in use, and must stop on [`Event::Finished`]: who goes
//! on writing would write into a stream that nobody reads.
//!
//! # Flow control
//!
//! The connection is read only while less than
//! [`Config::max_receive_buffer`] is unread over all streams. In version 1
//! that is all: one reader that stalls long enough stops all streams of the
//! session, and only another session helps ([`Stats::unread`] shows it). In
//! version 2 each stream has a window besides, so that a stalled reader holds
//! up its own stream only. Windows that would limit a stream on a long path
//! grow, within [`Config::max_window_growth`] for all streams together. On the
//! sending side streams take turns.

pub mod frame;

mod config;
mod error;
mod keepalive;
mod parse;
mod receive;
mod send;
mod session;
mod stream;
mod window;

pub use config::{Config, ConfigError, KeepAlive, Version};
pub use error::{OpenError, SessionError, StreamError};
pub use frame::StreamId;
pub use send::Outgoing;
pub use session::{Event, Session, Side, Stats};
