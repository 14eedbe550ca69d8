//! The way to a server.

use std::{sync::Arc, time::Duration};

use gost_core::{
    addr::Target,
    conn::Conn,
    error::Result,
    outbound::{Ask, NodeAddr, Outbound, Upgrade},
};

/// How long a connection may be used at all.
pub(crate) const LIFE: Duration = Duration::from_mins(1);

/// How to get to a server.
pub(crate) struct Way {
    pub(crate) out: Arc<dyn Outbound>,
    pub(crate) tls: Option<Arc<dyn Upgrade>>,
    /// What the certificate of the server is for.
    pub(crate) node: NodeAddr,
}

impl Way {
    pub(crate) async fn datagrams(&self, ask: &Ask) -> Result<Conn> {
        let target = Target::udp(self.node.addr.clone());
        self.out.connect(&target, ask).await
    }

    /// A stream to the server, with TLS if it has any.
    pub(crate) async fn stream(&self, ask: &Ask) -> Result<Conn> {
        let target = Target::tcp(self.node.addr.clone());
        let conn = self.out.connect(&target, ask).await?;
        match &self.tls {
            Some(tls) => tls.client(conn, &self.node).await,
            None => Ok(conn),
        }
    }
}
