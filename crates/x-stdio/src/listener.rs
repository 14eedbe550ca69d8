//! The stdio listener.

use gost_core::prelude::*;
use tokio::sync::oneshot;

use crate::stream::Stdio;

/// Yields one connection, and is closed once that has ended.
#[derive(Debug, Default)]
pub struct StdioListener {
    ended: Option<oneshot::Receiver<()>>,
}

#[async_trait]
impl Listener for StdioListener {
    async fn accept(&mut self) -> Result<Incoming> {
        match &mut self.ended {
            None => {
                let (alive, ended) = oneshot::channel();
                self.ended = Some(ended);
                Ok(Incoming::ready(
                    Addr::Any,
                    Conn::stream(Stdio::new(alive), Meta::default()),
                ))
            }
            Some(ended) => {
                // The sender is dropped with the connection.
                let _ = ended.await;
                Err(Error::new(
                    Why::Closed,
                    "standard input and output are closed",
                ))
            }
        }
    }

    fn addr(&self) -> Addr {
        Addr::Name("stdio".into(), 0)
    }
}
