//! Channels that are connections with something on top: TLS, WebSocket, or nothing at all.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use gost_core::{
    addr::{Addr, Network, Target},
    conn::Conn,
    error::{Error, Phase, Result, Side, Why},
    listener::{Accepted, Incoming, Listener},
    outbound::{Ask, Dialer, NodeAddr, Outbound, Upgrade},
};

/// Upgrades what another listener accepts, each connection in its own task and not in `accept`.
pub struct ChannelListener {
    below: Box<dyn Listener>,
    upgrades: Vec<Arc<dyn Upgrade>>,
}

impl ChannelListener {
    /// The connections of `below`, as they are.
    pub fn new(below: impl Listener) -> Self {
        Self {
            below: Box::new(below),
            upgrades: Vec::new(),
        }
    }

    /// Upgrades each connection, after the upgrades that were added before.
    #[must_use]
    pub fn with_upgrade(mut self, upgrade: Arc<dyn Upgrade>) -> Self {
        self.upgrades.push(upgrade);
        self
    }
}

#[async_trait]
impl Listener for ChannelListener {
    async fn accept(&mut self) -> Result<Incoming> {
        let incoming = self.below.accept().await?;
        if self.upgrades.is_empty() {
            return Ok(incoming);
        }
        let upgrades = self.upgrades.clone();
        Ok(incoming.then(|accepted| async move {
            let Accepted::One(mut conn) = accepted else {
                return Ok(accepted);
            };
            for upgrade in upgrades {
                conn = upgrade.server(conn).await?;
            }
            Ok(Accepted::One(conn))
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
            upgrades: self.upgrades.clone(),
        }))
    }
}

impl fmt::Debug for ChannelListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChannelListener({})", self.addr())
    }
}

/// Dials nodes over TCP, or over whatever a chain has for it, and upgrades the connections.
#[derive(Default)]
pub struct ChannelDialer {
    upgrades: Vec<Arc<dyn Upgrade>>,
    handshake: Option<Duration>,
}

impl ChannelDialer {
    /// Connections as they are.
    pub fn new() -> Self {
        Self::default()
    }

    /// Upgrades each connection, after the upgrades that were added before.
    #[must_use]
    pub fn with_upgrade(mut self, upgrade: Arc<dyn Upgrade>) -> Self {
        self.upgrades.push(upgrade);
        self
    }

    /// Bounds how long all upgrades of a connection may take; zero leaves that to who asks.
    #[must_use]
    pub fn with_handshake_timeout(mut self, most: Duration) -> Self {
        self.handshake = (!most.is_zero()).then_some(most);
        self
    }

    async fn upgrade(&self, mut conn: Conn, node: &NodeAddr) -> Result<Conn> {
        for upgrade in &self.upgrades {
            conn = upgrade
                .client(conn, node)
                .await
                .map_err(|e| e.phase(Phase::Handshake).side(Side::Node))?;
        }
        Ok(conn)
    }
}

#[async_trait]
impl Dialer for ChannelDialer {
    async fn dial(&self, node: &NodeAddr, below: &Arc<dyn Outbound>, ask: &Ask) -> Result<Conn> {
        let conn = below.connect(&Target::tcp(node.addr.clone()), ask).await?;
        if self.upgrades.is_empty() {
            return Ok(conn);
        }
        let upgraded = ask.within(
            "upgrade the connection to",
            &node.addr,
            self.upgrade(conn, node),
        );
        match self.handshake {
            None => upgraded.await,
            Some(most) => tokio::time::timeout(most, upgraded)
                .await
                .unwrap_or_else(|_| {
                    let late = format!("{}: no handshake within {most:?}", node.addr);
                    Err(Error::new(Why::TimedOut, late)
                        .phase(Phase::Handshake)
                        .side(Side::Node))
                }),
        }
    }
}

impl fmt::Debug for ChannelDialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChannelDialer({} upgrades)", self.upgrades.len())
    }
}
