//! Both ends of a session.

use std::{fmt, future::poll_fn, time::Duration};

use async_trait::async_trait;
use gost_core::{
    addr::Addr,
    conn::Conn,
    error::{Error, Result, Why},
    listener::{Incoming, Listener},
};
use gost_smux::Side;

use crate::{
    options::MuxSettings,
    smux::{Accepting, Handle},
};

/// The end of a session that opens streams: who dialed a channel, or the node at which a client
/// has bound an address. Streams that the peer opens are closed at once.
///
/// The session lives as long as one of its handles or streams; then its connection is closed.
#[derive(Clone)]
pub struct Session(Handle);

/// The end of a session that accepts streams: the listening side of a channel, or the client that
/// has bound an address at a node.
///
/// Once it is dropped new streams are closed at once; the session ends with its last stream.
pub struct Streams {
    handle: Handle,
    addr: Addr,
}

/// Starts a session over a connection, as the end that opens streams. Nothing is sent before the
/// first stream; must be called inside a tokio runtime.
///
/// # Errors
/// If the connection carries no bytes.
pub fn client(conn: Conn, settings: &MuxSettings) -> Result<Session> {
    Handle::start(conn, Side::Client, Accepting::No, settings).map(Session)
}

/// Starts a session over a connection, as the end that accepts streams; must be called inside a
/// tokio runtime.
///
/// # Errors
/// If the connection carries no bytes.
pub fn server(conn: Conn, settings: &MuxSettings) -> Result<Streams> {
    let addr = conn.meta.local.clone();
    let handle = Handle::start(conn, Side::Server, Accepting::Yes, settings)?;
    Ok(Streams { handle, addr })
}

impl Session {
    /// Opens a stream. It can be written at once: the protocol has no answer to wait for.
    ///
    /// What is known of the stream is what is known of the session's connection.
    ///
    /// # Errors
    /// Says why the session ended, if it has; [`Why::Limited`] when it has no stream ids left.
    #[allow(clippy::unused_async, reason = "other protocols wait for the peer")]
    pub async fn open(&self) -> Result<Conn> {
        let opened = self.0.open(usize::MAX)?;
        // There are no more streams than that.
        opened.ok_or_else(|| Error::new(Why::Limited, "mux: too many streams"))
    }

    /// Opens a stream unless `most` are open already.
    #[allow(clippy::unused_async, reason = "other protocols wait for the peer")]
    pub(crate) async fn open_below(&self, most: usize) -> Result<Option<Conn>> {
        self.0.open(most)
    }

    /// True for another handle of the same session.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.0.is(&other.0)
    }

    /// How many streams are open.
    pub fn streams(&self) -> usize {
        self.0.streams()
    }

    /// Ends the session when it had no stream for so long; `None` for never.
    pub fn set_idle_timeout(&self, idle: Option<Duration>) {
        self.0.set_idle_timeout(idle);
    }

    /// True when streams that are not read hold up the session, so that a new one would probably
    /// get nowhere.
    pub fn is_stalled(&self) -> bool {
        self.0.is_stalled()
    }

    /// True once the session has ended: no stream can be opened any more.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Waits for the end of the session and says why it ended.
    pub async fn closed(&self) -> Error {
        self.0.closed().await
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({})", self.0.meta().peer)
    }
}

impl Streams {
    /// The same, listening on `addr` as far as others are told: on what was bound for us far
    /// away, instead of our end of the connection.
    #[must_use]
    pub fn with_addr(mut self, addr: Addr) -> Self {
        self.addr = addr;
        self
    }
}

#[async_trait]
impl Listener for Streams {
    /// The next stream. The error that ends the session says [`Why::Closed`].
    async fn accept(&mut self) -> Result<Incoming> {
        match poll_fn(|cx| self.handle.poll_accept(cx)).await {
            Ok(conn) => Ok(Incoming::ready(self.handle.meta().peer.clone(), conn)),
            Err(error) => Err(error.why_set(Why::Closed)),
        }
    }

    fn addr(&self) -> Addr {
        self.addr.clone()
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        self.handle.refuse();
    }
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Streams({})", self.handle.meta().peer)
    }
}
