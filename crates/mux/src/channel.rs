//! Channels of which each connection carries many streams.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use gost_core::{
    addr::{Addr, Network},
    conn::Conn,
    error::Result,
    listener::{Accepted, Incoming, Listener},
    outbound::{Ask, Dialer, NodeAddr, Outbound},
};

use crate::{
    options::MuxSettings,
    pool::{Pool, PoolOptions},
    session::{client, server},
};

/// Listens to sessions: each connection of another listener becomes a listener of its streams.
///
/// The first stream is part of the handshake, and so under its deadline: whoever connects has one
/// in mind.
pub struct MuxListener {
    below: Box<dyn Listener>,
    settings: Arc<MuxSettings>,
}

/// Reaches nodes by streams of sessions, over connections that it keeps.
pub struct MuxDialer {
    below: Arc<dyn Dialer>,
    settings: Arc<MuxSettings>,
    pool: Pool,
}

impl MuxListener {
    /// Sessions over the connections of `below`.
    pub fn new(below: impl Listener, settings: MuxSettings) -> Self {
        Self {
            below: Box::new(below),
            settings: Arc::new(settings),
        }
    }
}

#[async_trait]
impl Listener for MuxListener {
    async fn accept(&mut self) -> Result<Incoming> {
        let incoming = self.below.accept().await?;
        let settings = self.settings.clone();
        Ok(incoming.then(|accepted| async move {
            let Accepted::One(conn) = accepted else {
                return Ok(accepted);
            };
            let streams = server(conn, &settings)?.begun().await?;
            Ok(Accepted::Many(Box::new(streams)))
        }))
    }

    fn addr(&self) -> Addr {
        self.below.addr()
    }

    fn network(&self) -> Network {
        self.below.network()
    }

    fn share(&self) -> Option<Box<dyn Listener>> {
        Some(Box::new(Self {
            below: self.below.share()?,
            settings: self.settings.clone(),
        }))
    }
}

impl fmt::Debug for MuxListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MuxListener({})", self.addr())
    }
}

impl MuxDialer {
    /// Sessions over connections that `below` dials.
    pub fn new(below: impl Dialer, settings: MuxSettings, options: &PoolOptions) -> Self {
        Self {
            below: Arc::new(below),
            settings: Arc::new(settings),
            pool: Pool::new(options),
        }
    }

    /// The sessions that are open.
    pub const fn pool(&self) -> &Pool {
        &self.pool
    }
}

#[async_trait]
impl Dialer for MuxDialer {
    async fn dial(&self, node: &NodeAddr, below: &Arc<dyn Outbound>, ask: &Ask) -> Result<Conn> {
        let make = |node: NodeAddr, way: Arc<dyn Outbound>, ask: Ask| {
            let (dialer, settings) = (self.below.clone(), self.settings.clone());
            async move { client(dialer.dial(&node, &way, &ask).await?, &settings) }
        };
        self.pool.dial(node, below, ask, make).await
    }
}

impl fmt::Debug for MuxDialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MuxDialer({:?})", self.pool)
    }
}
