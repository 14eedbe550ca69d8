//! Whole messages over a connection, on either side.

use std::time::Duration;

use bytes::BytesMut;
use gost_core::{
    conn::{Conn, Io, Meta},
    error::{Error, Phase, Result, Side, Why},
    stream::{Stream, read_more},
};
use tokio::io::AsyncWriteExt;

/// How long a peer may take to make room for a message of some bytes.
const WRITE: Duration = Duration::from_secs(15);

/// A connection on which messages are exchanged, before it carries anything else.
///
/// What was read past a message stays here and goes in front of what comes next.
pub(crate) struct Exchange {
    stream: Box<dyn Stream>,
    pub(crate) meta: Box<Meta>,
    buffer: BytesMut,
    /// Who is on the other end, and at fault when it falls silent or talks nonsense.
    peer: Side,
}

impl Exchange {
    pub(crate) fn new(conn: Conn, peer: Side) -> Result<Self> {
        let (stream, meta) = conn.into_stream()?;
        Ok(Self {
            stream,
            meta,
            buffer: BytesMut::new(),
            peer,
        })
    }

    /// Reads until `decode` has its message. The caller keeps the deadline; `decode` bounds how
    /// much is read. Cancel safe.
    pub(crate) async fn read<T, E>(
        &mut self,
        decode: impl Fn(&[u8]) -> Result<Option<(T, usize)>, E>,
    ) -> Result<Result<T, E>> {
        loop {
            match decode(&self.buffer) {
                Ok(Some((message, len))) => {
                    let _ = self.buffer.split_to(len);
                    return Ok(Ok(message));
                }
                Ok(None) => {}
                Err(error) => return Ok(Err(error)),
            }
            read_more(&mut self.stream, &mut self.buffer)
                .await
                .map_err(|e| e.side(self.peer).phase(self.phase()))?;
        }
    }

    /// As [`Self::read`] where bytes that are no message have no answer.
    pub(crate) async fn expect<T, E>(
        &mut self,
        decode: impl Fn(&[u8]) -> Result<Option<(T, usize)>, E>,
    ) -> Result<T>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        self.read(decode).await?.map_err(|e| self.nonsense(e))
    }

    /// What the peer sent does not follow the protocol.
    pub(crate) fn nonsense(&self, error: impl std::error::Error + Send + Sync + 'static) -> Error {
        Error::new(Why::BadInput, "")
            .caused_by(error)
            .side(self.peer)
            .phase(self.phase())
    }

    const fn phase(&self) -> Phase {
        match self.peer {
            Side::Client => Phase::Request,
            _ => Phase::Handshake,
        }
    }

    /// Writes a message, at once.
    pub(crate) async fn write(&mut self, message: &[u8]) -> Result<()> {
        let write = async {
            self.stream.write_all(message).await?;
            self.stream.flush().await
        };
        let written = tokio::time::timeout(WRITE, write).await;
        written
            .map_err(|_| Error::new(Why::TimedOut, "the peer takes no bytes"))
            .and_then(|result| result.map_err(Error::from))
            .map_err(|e| e.side(self.peer).phase(self.phase()))
    }

    /// Writes the last message and ends the connection. That the peer is gone already is no error.
    pub(crate) async fn end(mut self, message: &[u8]) {
        if self.write(message).await.is_ok() {
            let _ = tokio::time::timeout(WRITE, self.stream.shutdown()).await;
        }
    }

    /// Waits until the peer ends or breaks the connection, and keeps at most `room` bytes of what
    /// it says before. Cancel safe.
    pub(crate) async fn ended(&mut self, room: usize) {
        while self.buffer.len() < room {
            if read_more(&mut self.stream, &mut self.buffer).await.is_err() {
                return;
            }
        }
        // The rest stays in the peer's hands until somebody takes it.
        std::future::pending::<()>().await;
    }

    /// The connection, with what was read too far in front.
    pub(crate) fn into_conn(self) -> Conn {
        let conn = Conn {
            io: Io::Stream(self.stream),
            meta: self.meta,
        };
        conn.prefixed(self.buffer.freeze())
    }
}
