//! Multiplexed sessions over any connection: many streams over one.
//!
//! [`client`] makes a [`Session`], which opens streams, and [`server`] makes [`Streams`], a
//! listener of those that the peer opens. Which end of the connection is which depends on the
//! protocol around it: who dials a channel is the client of its session, but the node at which an
//! address was bound is the client of the session that brings the visitors back.
//!
//! A session has one task, which ends with it; a session ends with the last one who holds it or a
//! stream of it. Streams have no buffers of their own: those of the session are used, and to read
//! from connections each thread has a few.
//!
//! A [`Pool`] keeps sessions to nodes. [`MuxListener`] and [`MuxDialer`] make channels of all
//! this, over what any other listener accepts and any other dialer dials.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> gost_core::Result<()> {
//! use gost_core::{conn::{Conn, Meta}, listener::{Accepted, Listener}};
//! use gost_mux::{MuxOptions, Version};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! let settings = MuxOptions::default().settings(Version::V2)?;
//! let (near, far) = tokio::io::duplex(4096);
//! let session = gost_mux::client(Conn::stream(near, Meta::default()), &settings)?;
//! let mut streams = gost_mux::server(Conn::stream(far, Meta::default()), &settings)?;
//!
//! let (mut stream, _) = session.open().await?.into_stream()?;
//! stream.write_all(b"hello").await?;
//! stream.shutdown().await?;
//!
//! let Accepted::One(conn) = streams.accept().await?.finish().await? else { unreachable!() };
//! let mut text = String::new();
//! conn.into_stream()?.0.read_to_string(&mut text).await?;
//! assert_eq!(text, "hello");
//! # Ok(())
//! # }
//! ```

mod channel;
mod options;
mod pool;
mod session;
mod smux;
mod yamux;

pub use channel::{MuxDialer, MuxListener};
pub use gost_smux::Version;
pub use options::{MuxOptions, MuxSettings};
pub use pool::{Pool, PoolKey, PoolOptions};
pub use session::{Session, Streams, client, server};
