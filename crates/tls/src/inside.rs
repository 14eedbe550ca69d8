//! TLS for the inside of a protocol, where one upgrade serves either side.

use std::sync::Arc;

use async_trait::async_trait;
use gost_core::{
    build::Build,
    conn::Conn,
    error::Result,
    outbound::{NodeAddr, Upgrade},
};

use crate::{ClientTls, DefaultCertificate, ServerTls, TlsError, client};

/// TLS on whichever side of a conversation it is asked for.
struct Inside {
    client: ClientTls,
    /// An error where the settings are good for a client only.
    server: Result<ServerTls, TlsError>,
}

#[async_trait]
impl Upgrade for Inside {
    async fn client(&self, conn: Conn, node: &NodeAddr) -> Result<Conn> {
        self.client.client(conn, node).await
    }

    async fn server(&self, conn: Conn) -> Result<Conn> {
        match &self.server {
            Ok(server) => server.server(conn).await,
            Err(error) => Err(error.clone().into()),
        }
    }
}

/// TLS for the inside of a protocol, such as methods 80 and 82 of SOCKS5, by the settings of the
/// handler or connector.
///
/// # Errors
/// [`Why::BadInput`](gost_core::Why::BadInput), naming the file or key.
pub fn inner_upgrade(build: &Build) -> Result<Arc<dyn Upgrade>> {
    let settings = build.tls.as_deref().cloned().unwrap_or_default();
    let client = client::quiet_dialer_upgrade(build)?;
    // The warnings are those of the client; files that are not good have been found there too.
    let server = ServerTls::new(&settings, DefaultCertificate::of(build)).map(|(made, _)| made);
    Ok(Arc::new(Inside { client, server }))
}
