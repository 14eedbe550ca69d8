//! Two ends of a session, against each other.

#[allow(dead_code, reason = "each test program uses a part")]
mod support;

use std::{future::Future, pin::pin, task::Poll, time::Duration};

use gost_core::{
    error::{Error, Why},
    listener::Listener,
};
use gost_mux::{MuxOptions, Version};
use support::{
    VERSIONS, accept, conn, echo, exchange, open, pair, pattern, poll_once, settings, soon, tcp,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinSet,
    time::Instant,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_streams_carry_their_own_bytes() {
    for version in VERSIONS {
        let (near, far) = tcp().await;
        let settings = settings(version).with_backlog(3000);
        let session = gost_mux::client(conn(near), &settings).unwrap();
        let streams = gost_mux::server(conn(far), &settings).unwrap();
        let server = tokio::spawn(echo(streams));
        let mut work = JoinSet::new();
        for n in 0..3000 {
            let session = session.clone();
            let length = [1, 100, 5_000, 40_000][n % 4];
            work.spawn(async move { exchange(open(&session).await, &pattern(n, length)).await });
        }
        soon(work.join_all()).await;
        assert_eq!(session.streams(), 0);
        drop(session);
        soon(server).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bulk_goes_both_ways() {
    for version in VERSIONS {
        let (near, far) = tcp().await;
        let session = gost_mux::client(conn(near), &settings(version)).unwrap();
        let streams = gost_mux::server(conn(far), &settings(version)).unwrap();
        tokio::spawn(echo(streams));
        let mut work = JoinSet::new();
        for n in 0..3 {
            let session = session.clone();
            work.spawn(async move { exchange(open(&session).await, &pattern(n, 12 << 20)).await });
        }
        soon(work.join_all()).await;
    }
}

#[tokio::test]
async fn in_version_2_a_stream_that_is_not_read_holds_up_itself_alone() {
    let (session, mut streams) = pair(&settings(Version::V2));
    let mut stuck = open(&session).await;
    let flood = tokio::spawn(async move {
        let chunk = vec![1; 64 << 10];
        while stuck.write_all(&chunk).await.is_ok() {}
    });
    let unread = accept(&mut streams).await;
    tokio::spawn(echo(streams));
    for n in 0..50 {
        soon(exchange(open(&session).await, &pattern(n, 300_000))).await;
    }
    assert!(!flood.is_finished());
    assert!(!session.is_stalled());
    drop(unread);
    soon(flood).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn in_version_1_a_stream_that_is_not_read_stalls_the_session_until_it_ends() {
    let (session, mut streams) = pair(&settings(Version::V1));
    let mut stuck = open(&session).await;
    let flood = tokio::spawn(async move {
        let chunk = vec![1; 64 << 10];
        while stuck.write_all(&chunk).await.is_ok() {}
    });
    let unread = accept(&mut streams).await;
    tokio::spawn(echo(streams));
    while !session.is_stalled() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut late = open(&session).await;
    late.write_all(b"late").await.unwrap();
    let mut back = [0; 4];
    let waited = tokio::time::timeout(Duration::from_mins(1), late.read_exact(&mut back)).await;
    assert!(waited.is_err(), "the protocol has no way around");
    drop(unread);
    soon(late.read_exact(&mut back)).await.unwrap();
    assert!(!session.is_stalled());
    soon(flood).await.unwrap();
}

#[tokio::test]
async fn an_end_reads_as_an_end_and_stops_the_writer() {
    for version in VERSIONS {
        let (session, mut streams) = pair(&settings(version));
        let mut near = open(&session).await;
        let mut far = accept(&mut streams).await;
        near.write_all(b"last words").await.unwrap();
        near.shutdown().await.unwrap();
        let mut all = String::new();
        soon(far.read_to_string(&mut all)).await.unwrap();
        assert_eq!(all, "last words");
        let error = far.write_all(b"answer").await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
        let error = near.write_all(b"more").await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
        assert!(!near.half_close());
    }
}

#[tokio::test]
async fn a_stream_that_is_dropped_or_aborted_ends() {
    let (session, mut streams) = pair(&settings(Version::V1));
    for abort in [false, true] {
        let near = open(&session).await;
        let mut far = accept(&mut streams).await;
        if abort {
            near.abort();
        } else {
            drop(near);
        }
        assert_eq!(soon(far.read(&mut [0; 1])).await.unwrap(), 0);
    }
    assert_eq!(session.streams(), 0);
}

#[tokio::test]
async fn a_connection_that_is_lost_is_an_error_and_no_end() {
    for version in VERSIONS {
        let (near, far) = tcp().await;
        let session = gost_mux::client(conn(near), &settings(version)).unwrap();
        let mut stream = open(&session).await;
        let mut buffer = [0; 64];
        // The far end speaks by hand: one frame, then nothing more.
        let (mut read, mut write) = far.into_split();
        read.read_exact(&mut buffer[..8]).await.unwrap();
        let mut frame = buffer[..8].to_vec();
        frame[1] = 2;
        frame[2] = 3;
        frame.extend_from_slice(b"abc");
        write.write_all(&frame).await.unwrap();
        soon(stream.read_exact(&mut buffer[..3])).await.unwrap();
        drop((read, write));
        let error = Error::from(soon(stream.read(&mut buffer)).await.unwrap_err());
        assert_eq!(error.why(), Why::Reset);
        assert!(
            error
                .to_string()
                .starts_with("mux session with 192.0.2.1:2: ")
        );
        assert_eq!(soon(session.closed()).await.why(), Why::Reset);
        assert!(session.is_closed());
        assert_eq!(session.open().await.unwrap_err().why(), Why::Reset);
        assert!(stream.write_all(b"x").await.is_err());
    }
}

#[tokio::test]
async fn the_accepting_end_closes_when_the_connection_does() {
    let (near, far) = tokio::io::duplex(1 << 10);
    let mut streams = gost_mux::server(conn(far), &settings(Version::V1)).unwrap();
    let accepting = tokio::spawn(async move { streams.accept().await.unwrap_err() });
    drop(near);
    assert_eq!(soon(accepting).await.unwrap().why(), Why::Closed);
}

#[tokio::test]
async fn an_accept_that_is_cancelled_loses_no_stream() {
    let (session, mut streams) = pair(&settings(Version::V1));
    for round in 0..20 {
        {
            let mut accepting = pin!(streams.accept());
            assert!(poll_once(accepting.as_mut()).await.is_pending());
        }
        let mut near = open(&session).await;
        near.write_all(&[round]).await.unwrap();
        for _ in 0..round {
            // The stream arrives somewhere in between.
            tokio::task::yield_now().await;
        }
        {
            let mut accepting = pin!(streams.accept());
            if let Poll::Ready(incoming) = poll_once(accepting.as_mut()).await {
                // Not cancelled: it was there.
                let incoming = incoming.unwrap();
                assert_eq!(incoming.peer.port(), 2);
                drop(incoming);
                continue;
            }
        }
        let mut far = soon(accept(&mut streams)).await;
        assert_eq!(soon(far.read_u8()).await.unwrap(), round);
    }
}

#[tokio::test]
async fn who_opens_streams_accepts_none() {
    let (near, far) = tokio::io::duplex(1 << 10);
    let near = gost_mux::client(conn(near), &settings(Version::V1)).unwrap();
    let far = gost_mux::client(conn(far), &settings(Version::V1)).unwrap();
    let mut stream = open(&near).await;
    assert_eq!(soon(stream.read(&mut [0; 1])).await.unwrap(), 0);
    assert_eq!(far.streams(), 0);
}

#[tokio::test]
async fn streams_outlive_who_accepted_them_but_no_new_ones_come() {
    let (session, mut streams) = pair(&settings(Version::V2));
    let mut near = open(&session).await;
    let mut far = accept(&mut streams).await;
    let waiting = open(&session).await;
    drop(streams);
    for mut refused in [waiting, open(&session).await] {
        assert_eq!(soon(refused.read(&mut [0; 1])).await.unwrap(), 0);
    }
    far.write_all(b"still here").await.unwrap();
    let mut buffer = [0; 10];
    soon(near.read_exact(&mut buffer)).await.unwrap();
    assert_eq!(&buffer, b"still here");
    drop(far);
    // That was the last stream of the far end.
    soon(session.closed()).await;
}

#[tokio::test]
async fn what_was_written_arrives_though_all_is_dropped_at_once() {
    for version in VERSIONS {
        let (near, far) = tcp().await;
        let session = gost_mux::client(conn(near), &settings(version)).unwrap();
        let mut streams = gost_mux::server(conn(far), &settings(version)).unwrap();
        let mut near = open(&session).await;
        let sent = pattern(1, 100_000);
        near.write_all(&sent).await.unwrap();
        drop((near, session));
        let mut far = accept(&mut streams).await;
        let mut all = Vec::new();
        soon(far.read_to_end(&mut all)).await.unwrap();
        assert!(all == sent);
        assert_eq!(soon(streams.accept()).await.unwrap_err().why(), Why::Closed);
    }
}

#[tokio::test]
async fn garbage_ends_the_session_with_a_reason() {
    let (near, mut far) = tcp().await;
    let mut streams = gost_mux::server(conn(near), &settings(Version::V2)).unwrap();
    far.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let error = soon(streams.accept()).await.unwrap_err();
    assert!(error.to_string().contains("peer speaks smux version 71"));
    let error = soon(far.read(&mut [0; 1])).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_given_up_and_a_living_one_is_not() {
    let start = Instant::now();
    let (near, _far) = tokio::io::duplex(1 << 10);
    let session = gost_mux::client(conn(near), &settings(Version::V1)).unwrap();
    let error = session.closed().await;
    assert_eq!(error.why(), Why::TimedOut);
    assert_eq!(start.elapsed().as_secs(), 30);

    let (session, _streams) = pair(&settings(Version::V1));
    tokio::time::sleep(Duration::from_hours(2)).await;
    assert!(!session.is_closed());
}

#[tokio::test(start_paused = true)]
async fn without_keepalive_silence_is_no_reason() {
    let options = MuxOptions {
        keepalive_disabled: true,
        ..MuxOptions::default()
    };
    let (near, mut far) = tokio::io::duplex(1 << 10);
    let settings = options.settings(Version::V1).unwrap();
    let session = gost_mux::client(conn(near), &settings).unwrap();
    let mut buffer = [0; 1];
    let read = tokio::time::timeout(Duration::from_hours(2), far.read(&mut buffer)).await;
    assert!(read.is_err(), "nothing is sent");
    assert!(!session.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_given_up_some_time() {
    let options = MuxOptions {
        keepalive_disabled: true,
        ..MuxOptions::default()
    };
    let (near, _far) = tokio::io::duplex(1 << 10);
    let settings = options.settings(Version::V1).unwrap();
    let session = gost_mux::client(conn(near), &settings).unwrap();
    let mut stream = open(&session).await;
    let start = Instant::now();
    let error = loop {
        if let Err(error) = stream.write_all(&[0; 10_000]).await {
            break Error::from(error);
        }
    };
    assert_eq!(error.why(), Why::TimedOut);
    assert_eq!(start.elapsed().as_secs(), 600);
}

#[tokio::test(start_paused = true)]
async fn idle_sessions_end_when_told_so() {
    let idle = Some(Duration::from_mins(1));
    let (session, mut streams) = pair(&settings(Version::V1).with_idle_timeout(idle));
    for _ in 0..3 {
        let stream = open(&session).await;
        let far = accept(&mut streams).await;
        tokio::time::sleep(Duration::from_mins(10)).await;
        assert!(!session.is_closed());
        drop((stream, far));
        tokio::time::sleep(Duration::from_secs(50)).await;
    }
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(session.is_closed());
    assert_eq!(session.open().await.unwrap_err().why(), Why::Closed);
}

#[tokio::test]
async fn accepted_streams_are_bounded() {
    let settings = settings(Version::V1).with_max_accepted(2);
    let (session, mut streams) = pair(&settings);
    let mut near = Vec::new();
    for _ in 0..3 {
        near.push(open(&session).await);
    }
    let held = [accept(&mut streams).await, accept(&mut streams).await];
    let mut third = pin!(streams.accept());
    let mut end = [0; 1];
    let refused = near[2].read(&mut end);
    tokio::select! {
        _ = &mut third => panic!("a third stream"),
        read = soon(refused) => assert_eq!(read.unwrap(), 0),
    }
    drop(held);
    let near = open(&session).await;
    soon(third).await.unwrap();
    drop(near);
}

#[tokio::test]
async fn the_backlog_is_bounded() {
    let settings = settings(Version::V1).with_backlog(3);
    let (session, mut streams) = pair(&settings);
    let mut near = Vec::new();
    for _ in 0..5 {
        near.push(open(&session).await);
    }
    for refused in &mut near[3..] {
        assert_eq!(soon(refused.read(&mut [0; 1])).await.unwrap(), 0);
    }
    for _ in 0..3 {
        soon(accept(&mut streams)).await;
    }
    assert!(poll_once(pin!(streams.accept())).await.is_pending());
}

#[tokio::test]
async fn streams_know_the_connection() {
    let (session, mut streams) = pair(&settings(Version::V1));
    let near = session.open().await.unwrap();
    assert_eq!((near.meta.local.port(), near.meta.peer.port()), (1, 2));
    let incoming = streams.accept().await.unwrap();
    assert_eq!(incoming.peer.port(), 2);
    assert_eq!(streams.addr().port(), 1);
}

fn _futures_are_send(session: &gost_mux::Session) {
    fn send(_: impl Future + Send) {}
    send(session.open());
    send(session.closed());
}
