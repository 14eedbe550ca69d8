use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use gost_core::{conn::Meta, error::Why, meter::Metering, prelude::Error};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::{
    copy::{CopyOptions, copy},
    udp,
};

/// So many bytes, and not one more.
struct Purse(AtomicUsize);

impl Purse {
    fn with(bytes: usize) -> Meter {
        Meter::new(Arc::new(Self(AtomicUsize::new(bytes))))
    }
}

impl Metering for Purse {
    fn count(&self, _: Direction, bytes: usize) {
        self.0.fetch_sub(bytes, Relaxed);
    }

    fn allow(&self, _: Direction, want: usize) -> Allowance {
        match self.0.load(Relaxed) {
            0 => Allowance::Over,
            left => Allowance::Bytes(want.min(left)),
        }
    }
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap());
    (client.await.unwrap(), listener.accept().await.unwrap().0)
}

fn wrapped(stream: TcpStream, meter: &Meter) -> Box<dyn Stream> {
    let conn = metered(Conn::stream(stream, Meta::default()), meter);
    conn.into_stream().unwrap().0
}

/// With little it ends while bytes are copied, with much while they are spliced.
#[tokio::test]
async fn what_is_used_up_ends_the_connection_to_the_byte() {
    for bytes in [100_000, 3_000_000] {
        let ((mut client, near), (far, target)) = (pair().await, pair().await);
        let near = wrapped(near, &Purse::with(bytes));
        let task = tokio::spawn(copy(near, Box::new(far), CopyOptions::default()));
        let (mut target, sending) = (target, vec![7; 5_000_000]);
        let send = tokio::spawn(async move { target.write_all(&sending).await });
        let mut got = Vec::new();
        client.read_to_end(&mut got).await.unwrap();
        assert_eq!(got.len(), bytes);
        let outcome = task.await.unwrap();
        assert_eq!(outcome.output, bytes as u64);
        assert_eq!(outcome.error.unwrap().why(), Why::Limited);
        assert!(send.await.unwrap().is_err(), "the target learns of it");
    }
}

#[tokio::test]
async fn a_reader_learns_that_nothing_may_come_any_more() {
    let (mut client, near) = pair().await;
    let mut near = wrapped(near, &Purse::with(5));
    client.write_all(b"hello world").await.unwrap();
    let mut buffer = [0; 20];
    assert_eq!(near.read(&mut buffer).await.unwrap(), 5);
    let error = Error::from(near.read(&mut buffer).await.unwrap_err());
    assert_eq!(error.why(), Why::Limited);
    let error = Error::from(near.write(b"x").await.unwrap_err());
    assert_eq!(error.why(), Why::Limited);
}

#[tokio::test]
async fn datagrams_beyond_what_is_left_are_dropped_and_then_it_ends() {
    let server = udp::bind_at(([127, 0, 0, 1], 0).into(), None).unwrap();
    let to = server.local_addr().unwrap();
    let server = udp::UdpConn::new(server).unwrap();
    let conn = Conn::packet(server, Meta::default());
    let (mut packet, _) = metered(conn, &Purse::with(250)).into_packet().unwrap();
    let client = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for _ in 0..2 {
        client.send_to(&[7; 125], to).await.unwrap();
    }
    let mut got = 0;
    while got < 2 {
        let mut batch = udp::lease();
        poll_fn(|cx| packet.poll_recv(cx, &mut batch))
            .await
            .unwrap();
        assert!(!batch.is_empty());
        got += batch.len();
    }
    client.send_to(&[7; 125], to).await.unwrap();
    let mut batch = udp::lease();
    let error = poll_fn(|cx| packet.poll_recv(cx, &mut batch)).await;
    assert_eq!(Error::from(error.unwrap_err()).why(), Why::Limited);
}
