//! Both ends of a session.

use std::{fmt, future::poll_fn, sync::Arc, time::Duration};

use async_trait::async_trait;
use gost_core::{
    addr::Addr,
    conn::{Conn, Meta},
    error::{Error, Result, Why},
    listener::{Incoming, Listener},
};
use gost_smux::Side;

use crate::{
    options::MuxSettings,
    smux::{self, Accepting},
    yamux,
};

/// The end of a session that opens streams: who dialed a channel, or the node at which a client
/// has bound an address. Streams that the peer opens are closed at once.
///
/// The session lives as long as one of its handles or streams; then its connection is closed.
#[derive(Clone)]
pub struct Session {
    handle: Handle,
    /// What the channel below knows of itself.
    stalls: Option<Stalls>,
}

/// Whether a connection gets nowhere.
type Stalls = Arc<dyn Fn() -> bool + Send + Sync>;

/// A handle of a session, whatever its protocol.
#[derive(Clone)]
enum Handle {
    Smux(smux::Handle),
    Yamux(yamux::Handle),
}

macro_rules! on_handle {
    ($self:expr, $handle:ident => $do:expr) => {
        match $self {
            Handle::Smux($handle) => $do,
            Handle::Yamux($handle) => $do,
        }
    };
}

impl Handle {
    fn start(conn: Conn, side: Side, accepting: Accepting, settings: &MuxSettings) -> Result<Self> {
        match &settings.yamux {
            None => smux::Handle::start(conn, side, accepting, settings).map(Self::Smux),
            Some(yamux) => {
                yamux::Handle::start(conn, side, accepting, settings, yamux).map(Self::Yamux)
            }
        }
    }

    fn meta(&self) -> &Meta {
        on_handle!(self, handle => handle.meta())
    }
}

/// The end of a session that accepts streams: the listening side of a channel, or the client that
/// has bound an address at a node.
///
/// Once it is dropped new streams are closed at once; the session ends with its last stream.
pub struct Streams {
    handle: Handle,
    addr: Addr,
    /// One that was waited for already.
    first: Option<Conn>,
}

/// Starts a session over a connection, as the end that opens streams. Nothing is sent before the
/// first stream; must be called inside a tokio runtime.
///
/// # Errors
/// If the connection carries no bytes.
pub fn client(conn: Conn, settings: &MuxSettings) -> Result<Session> {
    let handle = Handle::start(conn, Side::Client, Accepting::No, settings)?;
    Ok(Session {
        handle,
        stalls: None,
    })
}

/// Starts a session over a connection, as the end that accepts streams; must be called inside a
/// tokio runtime.
///
/// # Errors
/// If the connection carries no bytes.
pub fn server(conn: Conn, settings: &MuxSettings) -> Result<Streams> {
    let addr = conn.meta.local.clone();
    let handle = Handle::start(conn, Side::Server, Accepting::Yes, settings)?;
    Ok(Streams {
        handle,
        addr,
        first: None,
    })
}

impl Session {
    /// Opens a stream. It can be written at once: no answer is waited for, except by yamux when
    /// the peer has not accepted the last 256.
    ///
    /// What is known of the stream is what is known of the session's connection.
    ///
    /// # Errors
    /// Says why the session ended, if it has; [`Why::Limited`] when it has no stream ids left, or
    /// as many streams as it may have.
    pub async fn open(&self) -> Result<Conn> {
        let opened = self.open_below(usize::MAX).await?;
        opened.ok_or_else(|| {
            let what = format!(
                "mux session with {}: too many streams",
                self.handle.meta().peer
            );
            Error::new(Why::Limited, what)
        })
    }

    /// Opens a stream unless `most` are open already.
    pub(crate) async fn open_below(&self, most: usize) -> Result<Option<Conn>> {
        match &self.handle {
            Handle::Smux(handle) => handle.open(most),
            Handle::Yamux(handle) => handle.open(most).await,
        }
    }

    /// True for another handle of the same session.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (&self.handle, &other.handle) {
            (Handle::Smux(one), Handle::Smux(two)) => one.is(two),
            (Handle::Yamux(one), Handle::Yamux(two)) => one.is(two),
            _ => false,
        }
    }

    /// How many streams are open.
    pub fn streams(&self) -> usize {
        on_handle!(&self.handle, handle => handle.streams())
    }

    /// Ends the session when it had no stream for so long; `None` for never.
    pub fn set_idle_timeout(&self, idle: Option<Duration>) {
        on_handle!(&self.handle, handle => handle.set_idle_timeout(idle));
    }

    /// Asks the channel, too, whether a new stream would probably get nowhere.
    #[must_use]
    pub fn stalled_when(mut self, stalls: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.stalls = Some(Arc::new(stalls));
        self
    }

    /// True when streams that are not read hold up the session, or the channel gets nowhere, so
    /// that a new stream would probably not either.
    pub fn is_stalled(&self) -> bool {
        self.stalls.as_ref().is_some_and(|stalls| stalls())
            || on_handle!(&self.handle, handle => handle.is_stalled())
    }

    /// True once the session has ended: no stream can be opened any more.
    pub fn is_closed(&self) -> bool {
        on_handle!(&self.handle, handle => handle.is_closed())
    }

    /// Waits for the end of the session and says why it ended.
    pub async fn closed(&self) -> Error {
        on_handle!(&self.handle, handle => handle.closed().await)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({})", self.handle.meta().peer)
    }
}

impl Streams {
    /// Waits for the first stream, which is still to be accepted. What is said then by who waits is
    /// all that is said of a session that never got so far.
    ///
    /// # Errors
    /// Says why the session ended.
    pub(crate) async fn begun(mut self) -> Result<Self> {
        self.first = Some(self.next().await?);
        Ok(self)
    }

    async fn next(&mut self) -> Result<Conn> {
        poll_fn(|cx| on_handle!(&self.handle, handle => handle.poll_accept(cx))).await
    }

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
        let next = match self.first.take() {
            Some(first) => Ok(first),
            None => self.next().await,
        };
        match next {
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
        on_handle!(&self.handle, handle => handle.refuse());
    }
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Streams({})", self.handle.meta().peer)
    }
}
