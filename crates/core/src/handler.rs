//! What is done with a connection.

use async_trait::async_trait;

use crate::{
    conn::Conn,
    error::Result,
    session::{Session, Upstream},
};

/// Serves the connections of a service in one protocol.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Reads the request, opens what it asks for, answers, and returns what to relay.
    ///
    /// A tail call: the relay runs after the handler's future, with its parser and buffers, is
    /// gone. A handler with many requests or streams on a connection uses
    /// [`Session::child`] and [`Session::relay`] instead and returns [`Next::Done`].
    async fn handle(&self, conn: Conn, session: &mut Session) -> Result<Next>;
}

/// What is left to do after a handler.
#[derive(Debug)]
pub enum Next {
    /// Nothing.
    Done,
    /// Move bytes or datagrams between the client and what was opened for it.
    Relay(Conn, Upstream),
}
