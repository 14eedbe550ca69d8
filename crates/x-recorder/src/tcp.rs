//! Records over TCP.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use gost_core::{
    error::{Error, Result, Why},
    options,
    policy::{Answer, Recorder},
};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, time::timeout};

use crate::or_patience;

options! {
    /// Options of the tcp recorder.
    pub struct TcpOptions {
        /// Where to connect to.
        addr: String = String::new(), "addr";
        /// How long it may take; 0 for 10 s.
        timeout: Duration = Duration::ZERO, "timeout";
    }
}

/// Sends each record over a connection of its own.
#[derive(Debug)]
pub struct TcpRecorder {
    addr: Arc<str>,
    timeout: Duration,
}

impl TcpRecorder {
    /// A recorder for an address; one without a port is an error.
    pub fn new(options: &TcpOptions) -> Result<Self> {
        if !options.addr.contains(':') {
            let what = format!("{:?} is no address with a port", options.addr);
            return Err(Error::new(Why::BadInput, what));
        }
        Ok(Self {
            addr: options.addr.as_str().into(),
            timeout: or_patience(options.timeout),
        })
    }
}

impl Recorder for TcpRecorder {
    fn record(&self, record: Bytes, _: &Arc<str>) -> Answer<'static, Result<()>> {
        let (addr, patience) = (self.addr.clone(), self.timeout);
        Answer::later(async move {
            let sending = async {
                let mut stream = TcpStream::connect(&*addr).await?;
                stream.write_all(&record).await?;
                stream.shutdown().await
            };
            let sent = timeout(patience, sending).await;
            sent.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
                .map_err(|e| Error::from(e).context(&addr))
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncReadExt as _, net::TcpListener};

    use super::*;

    #[tokio::test]
    async fn each_record_has_a_connection_of_its_own() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let recorder = TcpRecorder::new(&TcpOptions {
            addr: listener.local_addr().unwrap().to_string(),
            ..TcpOptions::default()
        })
        .unwrap();
        for text in ["one", "two"] {
            let sent = tokio::spawn(recorder.record(text.into(), &"null".into()));
            let mut got = String::new();
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_to_string(&mut got).await.unwrap();
            assert_eq!(got, text);
            sent.await.unwrap().unwrap();
        }
        drop(listener);
        let refused = recorder.record("x".into(), &"null".into()).await;
        assert_eq!(refused.unwrap_err().why(), Why::Refused);
        assert!(TcpRecorder::new(&TcpOptions::default()).is_err());
    }
}
