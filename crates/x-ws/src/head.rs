//! Reading the head of a handshake.

use bytes::BytesMut;
use gost_core::{
    error::{Error, Result, Why},
    stream::Stream,
};
use gost_ws::handshake::MAX_HEAD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The usual head fits into so much.
const ROOM: usize = 1024;

/// What is read of what a client still sends after it was refused, so that the connection is not
/// reset before the client has read why.
const LINGER: usize = 64 * 1024;

/// Reads until `parse` has found a head. What was read stays in `buffer`.
pub(crate) async fn read<T>(
    stream: &mut Box<dyn Stream>,
    buffer: &mut BytesMut,
    mut parse: impl FnMut(&[u8]) -> Result<Option<T>>,
) -> Result<T> {
    loop {
        let before = buffer.len();
        buffer.reserve(if before == 0 { ROOM } else { 1 });
        if stream.read_buf(buffer).await? == 0 {
            return Err(Error::new(
                Why::Closed,
                "closed before the end of the header",
            ));
        }
        // Lines are few, but bytes may come one by one: without a new line there is nothing new.
        let worth = before == 0 || buffer.len() >= MAX_HEAD || buffer[before..].contains(&b'\n');
        if worth && let Some(head) = parse(buffer)? {
            return Ok(head);
        }
    }
}

/// Sends a refusal and lets the peer read it.
pub(crate) async fn refuse(mut stream: Box<dyn Stream>, answer: &str, buffer: &mut BytesMut) {
    let said = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        let mut rest = LINGER;
        while rest > 0 {
            buffer.clear();
            let read = stream.read_buf(buffer).await?;
            if read == 0 {
                break;
            }
            rest = rest.saturating_sub(read);
        }
        std::io::Result::Ok(())
    };
    // Whether it is heard is the peer's business.
    let _ = said.await;
}
