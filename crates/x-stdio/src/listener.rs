//! The stdio listener.

use gost_core::prelude::*;
use tokio::sync::oneshot;

use crate::stream::Stdio;

/// Yields one connection, and is closed once that has ended.
#[derive(Debug, Default)]
pub struct StdioListener {
    state: State,
}

/// What has become of the connection.
#[derive(Debug, Default)]
enum State {
    #[default]
    Waiting,
    /// The sender is dropped with the connection.
    Open(oneshot::Receiver<()>),
    Ended,
}

#[async_trait]
impl Listener for StdioListener {
    async fn accept(&mut self) -> Result<Incoming> {
        match &mut self.state {
            State::Waiting => {
                let (alive, ended) = oneshot::channel();
                self.state = State::Open(ended);
                return Ok(Incoming::ready(
                    Addr::Any,
                    Conn::stream(Stdio::new(alive), Meta::default()),
                ));
            }
            State::Open(ended) => {
                let _ = ended.await;
                self.state = State::Ended;
            }
            State::Ended => {}
        }
        Err(Error::new(
            Why::Closed,
            "standard input and output are closed",
        ))
    }

    fn addr(&self) -> Addr {
        Addr::Name("stdio".into(), 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_stays_closed_once_the_connection_has_ended() {
        let mut listener = StdioListener::default();
        let incoming = listener.accept().await.expect("one connection");
        drop(incoming);
        for _ in 0..3 {
            let error = listener.accept().await.expect_err("no other");
            assert_eq!(error.why(), Why::Closed);
        }
    }
}
