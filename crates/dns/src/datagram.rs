//! Questions in datagrams.

use std::{future::poll_fn, time::Duration};

use bytes::Bytes;
use gost_core::{
    addr::Addr,
    error::{Error, Result, Why},
    outbound::Ask,
    packet::{Batch, MIN_ROOM, Packet},
};

use crate::{DnsError, message, way::Way};

/// When a question is repeated, each counted from the one before. A datagram may get lost.
const REPEATS: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// How many wrong answers there may be: more are an attempt to guess the id.
const WRONG: usize = 100;

/// Sends the question until there is an answer to it.
pub(crate) async fn exchange(way: &Way, question: &[u8], ask: &Ask) -> Result<Bytes> {
    let (mut packet, _) = way.datagrams(ask).await?.into_packet()?;
    let mut received = Batch::with_capacity(MIN_ROOM);
    let mut wrong = 0;
    let mut repeats = REPEATS.into_iter();
    loop {
        send(&mut *packet, question).await?;
        let answer = receive(&mut *packet, question, &mut received, &mut wrong);
        let Some(wait) = repeats.next() else {
            // The deadline is the caller's.
            return answer.await;
        };
        if let Ok(answer) = tokio::time::timeout(wait, answer).await {
            return answer;
        }
    }
}

async fn send(packet: &mut dyn Packet, question: &[u8]) -> Result<()> {
    let mut batch = Batch::with_capacity(question.len());
    batch.push(question, Addr::Any);
    Ok(poll_fn(|cx| packet.poll_send(cx, &mut batch)).await?)
}

async fn receive(
    packet: &mut dyn Packet,
    question: &[u8],
    received: &mut Batch,
    wrong: &mut usize,
) -> Result<Bytes> {
    loop {
        received.clear();
        poll_fn(|cx| packet.poll_recv(cx, received)).await?;
        if received.is_empty() {
            return Err(Error::new(Why::Closed, "closed before an answer"));
        }
        for (datagram, _) in received.iter() {
            if message::check(datagram, question).is_ok() {
                return Ok(Bytes::copy_from_slice(datagram));
            }
            *wrong += 1;
            if *wrong > WRONG {
                return Err(DnsError::Forged("nor are a hundred others").into());
            }
        }
    }
}
