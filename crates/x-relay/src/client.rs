//! The client of a handler: its request, and what it is told.

use std::time::Duration;

use bytes::BytesMut;
use gost_core::{
    conn::{Conn, Io, Meta},
    error::{Error, Result, Side, Why},
    stream::{Prefixed, Stream, read_more},
};
use gost_relay::{Request, Response, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::held::Held;

/// How much the first read takes: a request, and in most cases the payload that came with it.
const FIRST_READ: usize = 2048;

/// How long a client is waited for that has to take its answer.
const FAREWELL: Duration = Duration::from_secs(1);

/// How much of what it still sends is read in that time.
const WASTE: u64 = 256 * 1024;

/// The one who asks.
pub(crate) struct Client {
    stream: Box<dyn Stream>,
    meta: Box<Meta>,
}

impl Client {
    /// Reads the request. What is behind it stays in the stream.
    pub(crate) async fn new(conn: Conn) -> Result<(Self, Request)> {
        let (mut stream, meta) = conn.into_stream()?;
        let mut buffer = BytesMut::with_capacity(FIRST_READ);
        let request = loop {
            read_more(&mut stream, &mut buffer)
                .await
                .map_err(|e| e.side(Side::Client))?;
            let decoded = Request::decode(&mut buffer)
                .map_err(|e| Error::bad_input("not a relay request").caused_by(e))?;
            if let Some(request) = decoded {
                break request;
            }
        };
        let stream = Prefixed::new(buffer.freeze(), stream);
        Ok((Self { stream, meta }, request))
    }

    /// Grants the request. The answer goes in front of what is written first, or alone after
    /// `hold`.
    pub(crate) fn grant(self, answer: &Response, hold: Duration) -> (Box<dyn Stream>, Box<Meta>) {
        let held = Held::new(self.stream, encode(answer), hold);
        (Box::new(held), self.meta)
    }

    /// Answers at once, and gives the connection for what follows.
    pub(crate) async fn answer(mut self, answer: &Response) -> Result<Conn> {
        let sent = async {
            self.stream.write_all(&encode(answer)).await?;
            self.stream.flush().await
        };
        let late = |_| Error::new(Why::TimedOut, "the client does not read its answer");
        tokio::time::timeout(FAREWELL, sent)
            .await
            .map_err(late)
            .and_then(|sent| Ok(sent?))
            .map_err(|e| e.side(Side::Client))?;
        Ok(Conn {
            io: Io::Stream(self.stream),
            meta: self.meta,
        })
    }

    /// Refuses the request and closes. Gives the reason back, for the log.
    ///
    /// What the client has sent meanwhile is read, for some time: closing over unread bytes would
    /// be a reset, which can overtake the answer.
    pub(crate) async fn refuse(mut self, status: Status, reason: Error) -> Error {
        let farewell = async {
            self.stream
                .write_all(&encode(&Response::new(status)))
                .await?;
            self.stream.shutdown().await?;
            let mut waste = vec![0; 4096];
            let mut left = (&mut self.stream).take(WASTE);
            while left.read(&mut waste).await? > 0 {}
            std::io::Result::Ok(())
        };
        // That the client is gone already changes nothing.
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
        reason
    }
}

/// The bytes of a response with an address at most.
pub(crate) fn encode(response: &Response) -> Vec<u8> {
    // Only many or long features can make a response too long.
    response.to_vec().unwrap_or_default()
}
