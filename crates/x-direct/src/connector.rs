//! Connectors of nodes that ask nobody.

use gost_core::prelude::*;

use crate::dialer::dead;

options! {
    /// Options of the direct connector.
    pub struct DirectOptions {
        /// `reject` gives a connection that has ended instead of one to the target.
        action: String = String::new(), "action";
    }
}

/// Dials the target from here, with the sockets of the node.
#[derive(Debug)]
pub struct Direct {
    rejects: bool,
}

impl Direct {
    /// A connector with options.
    pub fn new(options: &DirectOptions) -> Self {
        Self {
            rejects: options.action == "reject",
        }
    }
}

#[async_trait]
impl Connector for Direct {
    async fn connect(&self, _over: Conn, to: &Target, cx: &NodeCx<'_>) -> Result<Conn> {
        if self.rejects {
            return Ok(dead());
        }
        cx.sockets.connect(to, cx.ask).await
    }

    async fn bind(
        &self,
        _over: Conn,
        at: &Target,
        how: &BindOptions,
        cx: &NodeCx<'_>,
    ) -> Result<Box<dyn Listener>> {
        cx.sockets.bind(at, cx.ask, how).await
    }
}

/// Gives the connection to the node as the one to the target: the node is all there is to reach,
/// and is told nothing.
#[derive(Clone, Copy, Debug)]
pub struct PassThrough;

#[async_trait]
impl Connector for PassThrough {
    async fn connect(&self, over: Conn, _to: &Target, _cx: &NodeCx<'_>) -> Result<Conn> {
        Ok(over)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_rejected_connection_has_ended() {
        let (mut stream, _) = dead().into_stream().unwrap();
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
        assert!(stream.write_all(b"x").await.is_err());
    }
}
