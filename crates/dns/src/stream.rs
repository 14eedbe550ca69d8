//! Questions in a stream, each behind its length.

use std::time::Duration;

use bytes::Bytes;
use gost_core::{
    error::{Result, Why},
    outbound::Ask,
    stream::Stream,
};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::Instant,
};

use crate::{
    DnsError, message,
    way::{LIFE, Way},
};

/// How many connections are kept for the next questions.
const KEPT: usize = 2;

/// How long a connection is kept without a question.
const IDLE: Duration = Duration::from_secs(10);

/// Connections without a question.
#[derive(Default)]
pub(crate) struct Idle(Mutex<Vec<Used>>);

struct Used {
    stream: Box<dyn Stream>,
    born: Instant,
    since: Instant,
}

impl Idle {
    fn take(&self) -> Option<Used> {
        let mut kept = self.0.lock();
        kept.retain(|used| used.since.elapsed() < IDLE && used.born.elapsed() < LIFE);
        kept.pop()
    }

    fn put(&self, stream: Box<dyn Stream>, born: Instant) {
        let mut kept = self.0.lock();
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push(Used {
            stream,
            born,
            since: Instant::now(),
        });
    }
}

/// Asks over a connection that is there, or else over a new one.
pub(crate) async fn exchange(way: &Way, idle: &Idle, question: &[u8], ask: &Ask) -> Result<Bytes> {
    while let Some(mut used) = idle.take() {
        match over(&mut *used.stream, question).await {
            Ok(answer) => {
                idle.put(used.stream, used.born);
                return Ok(answer);
            }
            // The server had closed it; that says nothing about the question.
            Err(error) if matches!(error.why(), Why::Closed | Why::Reset) => {}
            Err(error) => return Err(error),
        }
    }
    let (mut stream, _) = way.stream(ask).await?.into_stream()?;
    let born = Instant::now();
    let answer = over(&mut *stream, question).await?;
    idle.put(stream, born);
    Ok(answer)
}

/// One question and its answer.
async fn over(stream: &mut dyn Stream, question: &[u8]) -> Result<Bytes> {
    let length = u16::try_from(question.len()).map_err(|_| DnsError::TooLong)?;
    let mut framed = Vec::with_capacity(2 + question.len());
    framed.extend(length.to_be_bytes());
    framed.extend(question);
    stream.write_all(&framed).await?;
    stream.flush().await?;
    let mut answer = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut answer).await?;
    message::check(&answer, question)?;
    Ok(answer.into())
}
