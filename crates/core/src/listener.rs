//! Where connections come from.

use std::{fmt, future::Future, pin::Pin};

use async_trait::async_trait;

use crate::{
    addr::{Addr, Network},
    conn::{Conn, Io},
    error::Result,
};

/// A future that owns all it needs.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A source of connections: a socket, a table of UDP flows, a multiplexed session, a remote bind.
#[async_trait]
pub trait Listener: Send + 'static {
    /// Waits for the next connection. Cancel safe: its state is in `self`, never in the future.
    ///
    /// An error with [`Why::Closed`](crate::error::Why::Closed) ends the listener for good; after
    /// any other the caller waits a little and asks again.
    async fn accept(&mut self) -> Result<Incoming>;

    /// The address that is listened on.
    fn addr(&self) -> Addr;

    /// Over what those who connect come.
    fn network(&self) -> Network {
        match self.addr() {
            Addr::Path(_) => Network::Unix,
            _ => Network::Tcp,
        }
    }

    /// Another listener of the same source for another thread: each connection goes to one of
    /// them. Called in the runtime that will use it.
    ///
    /// `None`, the default, when there can be only one.
    fn share(&self) -> Option<Box<dyn Listener>> {
        None
    }
}

/// Somebody who connected, but has not yet been let in: header, TLS, upgrade and the like are
/// still to come, in the connection's own task and under its deadline.
pub struct Incoming {
    /// The address of the other end.
    pub peer: Addr,
    finish: Finish,
}

enum Finish {
    Now(Box<Accepted>),
    Later(BoxFuture<'static, Result<Accepted>>),
}

/// What a finished handshake gives.
pub enum Accepted {
    /// One connection.
    One(Conn),
    /// A session that becomes a listener of its own: each of its streams is a connection.
    Many(Box<dyn Listener>),
}

impl Incoming {
    /// A connection that needs no handshake.
    pub fn ready(peer: Addr, conn: Conn) -> Self {
        Self {
            peer,
            finish: Finish::Now(Box::new(Accepted::One(conn))),
        }
    }

    /// A connection with a handshake still to be made.
    pub fn later(
        peer: Addr,
        finish: impl Future<Output = Result<Accepted>> + Send + 'static,
    ) -> Self {
        Self {
            peer,
            finish: Finish::Later(Box::pin(finish)),
        }
    }

    /// Over what the other end has come, as far as it is known yet.
    pub fn network(&self) -> Network {
        match &self.finish {
            Finish::Now(accepted) => match &**accepted {
                Accepted::One(conn) => match (&conn.io, &self.peer, &conn.meta.local) {
                    (Io::Packet(_), _, _) => Network::Udp,
                    // The other end seldom has a name.
                    (_, Addr::Path(_), _) | (_, _, Addr::Path(_)) => Network::Unix,
                    _ => Network::Tcp,
                },
                Accepted::Many(_) => Network::Tcp,
            },
            Finish::Later(_) => Network::Tcp,
        }
    }

    /// Makes the handshake.
    pub async fn finish(self) -> Result<Accepted> {
        match self.finish {
            Finish::Now(accepted) => Ok(*accepted),
            Finish::Later(future) => future.await,
        }
    }

    /// Adds a step to the handshake.
    #[must_use]
    pub fn then<F>(self, step: impl FnOnce(Accepted) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<Accepted>> + Send,
    {
        let peer = self.peer.clone();
        Self::later(peer, async move { step(self.finish().await?).await })
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Incoming({})", self.peer)
    }
}
