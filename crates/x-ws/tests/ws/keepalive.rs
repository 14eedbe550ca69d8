//! Signs of life, by a clock of our own.

use std::time::Duration;

use gost_core::{Error, error::Why};
use gost_ws::{Opcode, Role};
use gost_x_ws::{Keepalive, WsStream};
use tokio::{io::AsyncReadExt, time::Instant};

use crate::support::{Hand, nothing_for};

const EVERY: Duration = Duration::from_secs(10);

fn client(strict: bool) -> (WsStream, Hand<tokio::io::DuplexStream>) {
    let (near, far) = tokio::io::duplex(1 << 16);
    let keepalive = Keepalive {
        every: EVERY,
        strict,
    };
    let ours = WsStream::new(Box::new(near), Role::Client).with_keepalive(Some(keepalive));
    (ours, Hand::new(far, Role::Server))
}

#[tokio::test(start_paused = true)]
async fn silence_is_broken_by_pings_and_ended_when_they_are_not_answered() {
    let (mut ours, mut hand) = client(true);
    let start = Instant::now();
    let reader = tokio::spawn(async move { ours.read(&mut [0; 10]).await });
    assert_eq!(hand.next_control(Opcode::Ping).await, b"");
    assert_eq!(start.elapsed().as_secs(), 10);
    hand.control(Opcode::Pong, b"").await;
    assert_eq!(hand.next_control(Opcode::Ping).await, b"");
    assert_eq!(start.elapsed().as_secs(), 20);
    let error = Error::from(reader.await.unwrap().unwrap_err());
    assert_eq!(start.elapsed().as_secs(), 30);
    assert_eq!(error.why(), Why::TimedOut);
    assert_eq!(
        error.to_string(),
        "WebSocket: the peer does not answer pings"
    );
}

#[tokio::test(start_paused = true)]
async fn pings_that_nobody_asked_for_need_no_answer() {
    let (mut ours, mut hand) = client(false);
    let reader = tokio::spawn(async move {
        let mut byte = [0];
        ours.read_exact(&mut byte).await.map(|_| byte)
    });
    for _ in 0..20 {
        assert_eq!(hand.next_control(Opcode::Ping).await, b"");
    }
    hand.data(b"x").await;
    assert_eq!(reader.await.unwrap().unwrap(), *b"x");
}

#[tokio::test(start_paused = true)]
async fn data_is_a_sign_of_life() {
    let (mut ours, mut hand) = client(true);
    let reader = tokio::spawn(async move {
        let mut bytes = [0; 10];
        ours.read_exact(&mut bytes).await.map(|_| bytes)
    });
    for _ in 0..10 {
        nothing_for(EVERY * 9 / 10, hand.io.read_u8()).await;
        hand.data(b"x").await;
    }
    assert_eq!(reader.await.unwrap().unwrap(), [b'x'; 10]);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_read_yet_is_no_silence() {
    let (mut ours, mut hand) = client(true);
    hand.data(b"here").await;
    // Nobody reads for a long time: the target is slow.
    tokio::time::sleep(EVERY * 10).await;
    let mut bytes = [0; 4];
    ours.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"here");
}

#[tokio::test(start_paused = true)]
async fn without_keepalive_there_are_none() {
    let (near, far) = tokio::io::duplex(100);
    let mut ours = WsStream::new(Box::new(near), Role::Client);
    let mut hand = Hand::new(far, Role::Server);
    let _reader = tokio::spawn(async move { ours.read(&mut [0; 10]).await });
    nothing_for(EVERY * 100, hand.io.read_u8()).await;
}
