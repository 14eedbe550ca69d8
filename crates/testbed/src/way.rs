//! The way out through one node.

use std::{fmt, net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use gost_core::{
    addr::Target,
    build::Build,
    conn::Conn,
    error::Result,
    listener::Listener,
    outbound::{Ask, BindOptions, Connector, Dialer, NodeAddr, NodeCx, Outbound, PathId},
    policy::Credentials,
    registry::Registry,
    values::Values,
};
use gost_net::sockets::Sockets;

/// The way out through one node.
pub struct Through {
    /// The node.
    pub node: NodeAddr,
    /// Reaches the node; plain TCP without one.
    pub dialer: Option<Arc<dyn Dialer>>,
    /// Asks the node for the target; without one the node leads to a single target.
    pub connector: Option<Arc<dyn Connector>>,
    /// The sockets below.
    pub sockets: Arc<dyn Outbound>,
}

impl Through {
    /// A way over plain TCP to the node.
    pub fn tcp(node: SocketAddr, connector: Arc<dyn Connector>) -> Self {
        Self {
            node: NodeAddr::new(node.into()),
            dialer: None,
            connector: Some(connector),
            sockets: Arc::new(Sockets::default()),
        }
    }

    /// A way over a channel to the node.
    pub fn channel(
        node: SocketAddr,
        dialer: Arc<dyn Dialer>,
        connector: Option<Arc<dyn Connector>>,
    ) -> Self {
        Self {
            node: NodeAddr::new(node.into()),
            dialer: Some(dialer),
            connector,
            sockets: Arc::new(Sockets::default()),
        }
    }

    /// Connects outside of any service.
    ///
    /// # Errors
    ///
    /// What the node or the way to it says.
    pub async fn open(&self, to: &Target) -> Result<Conn> {
        self.connect(to, &Ask::default()).await
    }

    async fn over(&self, ask: &Ask) -> Result<Conn> {
        if let Some(dialer) = &self.dialer {
            return dialer.dial(&self.node, &self.sockets, ask).await;
        }
        let node = Target::tcp(self.node.addr.clone());
        self.sockets.connect(&node, ask).await
    }

    fn cx<'a>(&'a self, ask: &'a Ask) -> NodeCx<'a> {
        NodeCx {
            node: &self.node,
            sockets: &self.sockets,
            ask,
        }
    }
}

#[async_trait]
impl Outbound for Through {
    async fn connect(&self, to: &Target, ask: &Ask) -> Result<Conn> {
        let over = self.over(ask).await?;
        match &self.connector {
            Some(connector) => connector.connect(over, to, &self.cx(ask)).await,
            None => Ok(over),
        }
    }

    async fn bind(&self, at: &Target, ask: &Ask, how: &BindOptions) -> Result<Box<dyn Listener>> {
        let connector = self.connector.as_ref().expect("a node that can bind");
        let over = self.over(ask).await?;
        connector.bind(over, at, how, &self.cx(ask)).await
    }

    fn path(&self) -> PathId {
        PathId::direct().and(&self.node.name)
    }
}

impl fmt::Debug for Through {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Through({})", self.node.addr)
    }
}

/// The way through a node over TCP, with a connector of a registry.
///
/// # Panics
///
/// When the connector can't be built.
pub async fn through(
    registry: &Arc<Registry>,
    connector: &str,
    values: &Values,
    auth: Option<Credentials>,
    node: SocketAddr,
) -> Through {
    let mut build = Build::new(registry.clone());
    build.auth = auth;
    let made = registry
        .make::<dyn Connector>(connector, values, build)
        .await;
    Through::tcp(
        node,
        made.unwrap_or_else(|e| panic!("connector {connector}: {e}")),
    )
}
