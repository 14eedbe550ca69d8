//! Bytes over frames.

use std::{io::IoSlice, pin::Pin};

use gost_core::{
    Error,
    error::{Side, Why},
    stream::Stream,
};
use gost_testkit::payload::{Digest, Random, payload};
use gost_ws::{Close, End, Opcode, Role};
use gost_x_ws::WsStream;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::support::{pair, soon};

const ROLES: [Role; 2] = [Role::Client, Role::Server];

/// Two ends over a pipe that takes so many bytes at once.
fn ends(pipe: usize) -> (WsStream, WsStream) {
    let (near, far) = tokio::io::duplex(pipe);
    let near = WsStream::new(Box::new(near), Role::Client);
    (near, WsStream::new(Box::new(far), Role::Server))
}

/// Writes the payload of a seed in random pieces, and ends.
async fn write_all(mut to: impl AsyncWrite + Unpin, seed: u64, length: usize) {
    let bytes = payload(seed, length);
    let (mut rest, mut random) = (&bytes[..], Random::new(seed));
    while !rest.is_empty() {
        let some = (1 + random.below(5000) as usize).min(rest.len());
        to.write_all(&rest[..some]).await.unwrap();
        if random.chance(0.2) {
            to.flush().await.unwrap();
        }
        rest = &rest[some..];
    }
    to.shutdown().await.unwrap();
}

/// Reads in random pieces to the end.
async fn read_all(mut from: impl AsyncRead + Unpin, seed: u64) -> Digest {
    let (mut random, mut all) = (Random::new(seed), Vec::new());
    loop {
        let start = all.len();
        all.resize(start + 1 + random.below(3000) as usize, 0);
        let n = from.read(&mut all[start..]).await.unwrap();
        all.truncate(start + n);
        if n == 0 {
            return Digest::of(&all);
        }
    }
}

#[tokio::test]
async fn every_byte_arrives_both_ways_through_pipes_of_any_size() {
    const LENGTH: usize = 200_000;
    for pipe in [1, 13, 100, 4096, 1 << 20] {
        let length = if pipe == 1 { LENGTH / 10 } else { LENGTH };
        let (near, far) = ends(pipe);
        // Each half has a task of its own: nobody may lose another's wake-up.
        let (near_read, near_write) = tokio::io::split(near);
        let (far_read, far_write) = tokio::io::split(far);
        let up = tokio::spawn(write_all(near_write, 1, length));
        let down = tokio::spawn(write_all(far_write, 2, length));
        let at_near = tokio::spawn(read_all(near_read, 3));
        let at_far = tokio::spawn(read_all(far_read, 4));
        soon(async {
            up.await.unwrap();
            down.await.unwrap();
            assert_eq!(at_far.await.unwrap(), Digest::of_payload(1, length as u64));
            assert_eq!(at_near.await.unwrap(), Digest::of_payload(2, length as u64));
        })
        .await;
    }
}

#[tokio::test]
async fn bytes_pass_over_sockets_in_large_frames_and_vectored_writes() {
    const LENGTH: usize = 2_000_000;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    for (writes, reads) in [(Role::Client, Role::Server), (Role::Server, Role::Client)] {
        let from = TcpStream::connect(at).await.unwrap();
        let (to, _) = listener.accept().await.unwrap();
        let mut from = WsStream::new(Box::new(from), writes);
        let to = WsStream::new(Box::new(to), reads);
        let writer = tokio::spawn(async move {
            let bytes = payload(5, LENGTH);
            let mut sent = 0;
            while sent < LENGTH {
                let mut slices = [IoSlice::new(&[]); 3];
                let rest = &bytes[sent..];
                let (a, b) = rest.split_at(rest.len().min(1000));
                let (b, c) = b.split_at(b.len().min(150_000));
                for (slice, part) in slices.iter_mut().zip([a, b, &c[..c.len().min(7)]]) {
                    *slice = IoSlice::new(part);
                }
                sent += from.write_vectored(&slices).await.unwrap();
            }
            from.shutdown().await.unwrap();
            from
        });
        let found = soon(read_all(to, 6)).await;
        assert_eq!(found, Digest::of_payload(5, LENGTH as u64));
        writer.await.unwrap();
    }
}

#[tokio::test]
async fn a_write_is_one_binary_frame() {
    let (mut server, mut client) = pair(Role::Server);
    server.write_all(b"hello").await.unwrap();
    server.write_all(&vec![7; 70_000]).await.unwrap();
    let wire = client.read(7 + 10 + 70_000).await;
    assert_eq!(&wire[..7], b"\x82\x05hello");
    assert_eq!(&wire[7..17], b"\x82\x7f\0\0\0\0\0\x01\x11\x70");

    let (mut client, mut server) = pair(Role::Client);
    client.write_all(b"hello").await.unwrap();
    client.write_all(b"hello").await.unwrap();
    let wire = server.read(22).await;
    assert_eq!(
        (&wire[..2], &wire[11..13]),
        (&b"\x82\x85"[..], &b"\x82\x85"[..])
    );
    assert_ne!(wire[2..6], wire[13..17], "each frame has a key of its own");
    assert_eq!(server.decoded().0, b"hellohello");
}

#[tokio::test]
async fn frames_are_no_longer_than_was_asked_for() {
    for role in ROLES {
        let (near, far) = tokio::io::duplex(1 << 16);
        let mut near = WsStream::new(Box::new(near), role).with_max_frame(100);
        near.write_all(&[1; 250]).await.unwrap();
        near.shutdown().await.unwrap();
        let mut wire = Vec::new();
        let mut far = far;
        far.read_to_end(&mut wire).await.unwrap();
        let header = if role == Role::Client { 6 } else { 2 };
        assert_eq!(wire.len(), 250 + 3 * header);
        for (start, length) in [(0, 100), (100 + header, 100), (200 + 2 * header, 50)] {
            assert_eq!((wire[start], wire[start + 1] & 0x7f), (0x82, length));
        }
    }
}

#[tokio::test]
async fn pings_are_answered_and_only_the_last_of_many() {
    for role in ROLES {
        let (mut ours, mut hand) = pair(role);
        hand.data(b"a").await;
        hand.control(Opcode::Ping, b"one").await;
        hand.data(b"b").await;
        let mut read = [0; 2];
        soon(ours.read_exact(&mut read)).await.unwrap();
        assert_eq!(&read, b"ab");
        assert_eq!(hand.next_control(Opcode::Pong).await, b"one");
        let mut flood = Vec::new();
        for i in 0..1000_u32 {
            let key = (role == Role::Server).then_some([1, 2, 3, 4]);
            gost_ws::encode_control(&mut flood, Opcode::Ping, &i.to_be_bytes(), key);
        }
        hand.send(&flood).await;
        hand.data(b"c").await;
        let mut one = vec![0; 1 << 16];
        assert_eq!(soon(ours.read(&mut one)).await.unwrap(), 1);
        assert_eq!(hand.next_control(Opcode::Pong).await, 999_u32.to_be_bytes());
    }
}

#[tokio::test]
async fn an_answer_waits_for_the_end_of_a_frame() {
    for role in ROLES {
        let (near, far) = tokio::io::duplex(10);
        let mut ours = WsStream::new(Box::new(near), role);
        let mut hand = crate::support::Hand::new(
            far,
            match role {
                Role::Client => Role::Server,
                Role::Server => Role::Client,
            },
        );
        // Part of a frame, all that there is room for.
        let sent = soon(ours.write(&[9; 50])).await.unwrap();
        assert!(sent < 50);
        hand.control(Opcode::Ping, b"p").await;
        let mut nothing = [0; 10];
        let read = std::future::poll_fn(|cx| {
            let mut buf = tokio::io::ReadBuf::new(&mut nothing);
            std::task::Poll::Ready(Pin::new(&mut ours).poll_read(cx, &mut buf).is_pending())
        });
        assert!(read.await);
        let (rest, wire) = tokio::join!(
            async {
                ours.write_all(&vec![9; 50 - sent]).await.unwrap();
                ours.shutdown().await.unwrap();
            },
            hand.rest(),
        );
        let () = rest;
        let pong = if role == Role::Client { 7 } else { 3 };
        let header = if role == Role::Client { 6 } else { 2 };
        assert_eq!(wire.len(), header + 50 + pong);
        assert_eq!(wire[header + 50], 0x8a);
        assert_eq!(hand.decoded(), (vec![9; 50], None));
    }
}

#[tokio::test]
async fn a_close_is_echoed_and_ends_both_directions() {
    for (close, echo) in [
        (Close::new(1000, "bye"), Close::new(1000, "")),
        (Close::new(1001, ""), Close::new(1001, "")),
        (Close::default(), Close::default()),
    ] {
        for role in ROLES {
            let (mut ours, mut hand) = pair(role);
            hand.data(b"last").await;
            hand.control(Opcode::Close, &close.encode()).await;
            let mut all = Vec::new();
            soon(ours.read_to_end(&mut all)).await.unwrap();
            assert_eq!(all, b"last");
            // The end follows at once: the peer may be waiting for it.
            hand.rest().await;
            assert_eq!(hand.decoded(), (vec![], Some(End::Closed(echo.clone()))));
            let error = ours.write(b"late").await.unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
            soon(ours.shutdown()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_close_for_a_reason_is_an_error_after_the_last_byte() {
    let (mut ours, mut hand) = pair(Role::Client);
    hand.data(b"last").await;
    let close = Close::new(1011, "out of\x07 memory");
    hand.control(Opcode::Close, &close.encode()).await;
    let mut all = Vec::new();
    let error = Error::from(soon(ours.read_to_end(&mut all)).await.unwrap_err());
    assert_eq!((&all[..], error.why()), (&b"last"[..], Why::Reset));
    assert_eq!(
        error.to_string(),
        "WebSocket: closed with code 1011 out of memory"
    );
    assert_eq!(soon(ours.read(&mut [0])).await.unwrap(), 0);
}

#[tokio::test]
async fn what_breaks_the_rules_is_told_to_both() {
    for (frame, text) in [
        ("c285000000006162636465", "RSV1 set"),
        ("8380010203048000", "bad opcode 3"),
        ("80811111111100", "continuation after FIN"),
        ("820161", "bad MASK"),
        ("89fe00ff", "len > 125 for control"),
    ] {
        let (mut ours, mut hand) = pair(Role::Server);
        hand.data(b"good").await;
        hand.send(&hex::decode(frame).unwrap()).await;
        let mut all = Vec::new();
        let error = Error::from(soon(ours.read_to_end(&mut all)).await.unwrap_err());
        assert_eq!((&all[..], error.why()), (&b"good"[..], Why::BadInput));
        assert_eq!(error.at_side(), Side::Client);
        assert_eq!(error.to_string(), format!("WebSocket: {text}"));
        hand.rest().await;
        let close = Close::new(1002, text);
        assert_eq!(hand.decoded(), (vec![], Some(End::Closed(close))));
    }
}

#[tokio::test]
async fn a_bare_end_is_an_end_but_not_within_a_frame() {
    for role in ROLES {
        let (mut ours, mut hand) = pair(role);
        hand.data(b"last").await;
        hand.io.shutdown().await.unwrap();
        let mut all = Vec::new();
        soon(ours.read_to_end(&mut all)).await.unwrap();
        assert_eq!(all, b"last");
        // The other direction goes on, and then there is nothing that a close could cut off.
        ours.write_all(b"more").await.unwrap();
        ours.shutdown().await.unwrap();
        hand.rest().await;
        let closed = Some(End::Closed(Close::new(1000, "")));
        assert_eq!(hand.decoded(), (b"more".to_vec(), closed));

        for cut in [&b"\x82"[..], b"\x89", b"\x82\xfe\x00"] {
            let (mut ours, mut hand) = pair(role);
            let cut = if role == Role::Client { &cut[..1] } else { cut };
            hand.send(cut).await;
            hand.io.shutdown().await.unwrap();
            let error = Error::from(soon(ours.read(&mut [0; 9])).await.unwrap_err());
            assert_eq!(error.why(), Why::Closed);
            assert_eq!(soon(ours.read(&mut [0; 9])).await.unwrap(), 0);
        }
    }
}

#[tokio::test]
async fn the_end_of_our_direction_leaves_the_other_open() {
    for role in ROLES {
        let (mut ours, mut hand) = pair(role);
        assert!(ours.half_close());
        ours.write_all(b"question").await.unwrap();
        soon(ours.shutdown()).await.unwrap();
        hand.rest().await;
        assert_eq!(
            hand.decoded(),
            (b"question".to_vec(), None),
            "no close frame"
        );
        // Nothing may be sent any more, not even an answer to a ping.
        hand.control(Opcode::Ping, b"").await;
        hand.data(b"answer").await;
        hand.io.shutdown().await.unwrap();
        let mut all = Vec::new();
        soon(ours.read_to_end(&mut all)).await.unwrap();
        assert_eq!(all, b"answer");
    }
}

#[tokio::test]
async fn without_half_close_the_end_is_a_close_frame() {
    let (near, far) = tokio::io::duplex(1000);
    let mut ours = WsStream::new(Box::new(near), Role::Client).with_half_close(false);
    assert!(!ours.half_close());
    ours.write_all(b"all").await.unwrap();
    ours.shutdown().await.unwrap();
    let mut hand = crate::support::Hand::new(far, Role::Server);
    hand.rest().await;
    let closed = Some(End::Closed(Close::new(1000, "")));
    assert_eq!(hand.decoded(), (b"all".to_vec(), closed));
}

#[tokio::test]
async fn an_abort_is_a_reset_of_the_socket() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (socket, _) = listener.accept().await.unwrap();
    Box::new(WsStream::new(Box::new(socket), Role::Server)).abort();
    let error = soon(client.read(&mut [0])).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn an_idle_connection_is_small() {
    assert!(size_of::<WsStream>() <= 448, "{}", size_of::<WsStream>());
}
