use std::time::Duration;

use gost_core::stream::Stream;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    (client, listener.accept().await.unwrap().0)
}

/// A client, a target, and the running copy between them.
async fn proxied(options: CopyOptions) -> (TcpStream, TcpStream, tokio::task::JoinHandle<Outcome>) {
    let (client, near) = pair().await;
    let (far, target) = pair().await;
    let near: Box<dyn Stream> = Box::new(near);
    (
        client,
        target,
        tokio::spawn(copy(near, Box::new(far), options)),
    )
}

fn payload(len: usize, seed: u8) -> Vec<u8> {
    (0..len)
        .map(|i| {
            (i as u8)
                .wrapping_mul(31)
                .wrapping_add((i >> 8) as u8)
                .wrapping_add(seed)
        })
        .collect()
}

#[tokio::test]
async fn moves_much_both_ways_and_counts_it() {
    let (client, target, task) = proxied(CopyOptions::default()).await;
    let (mut client_read, mut client_write) = client.into_split();
    let (mut target_read, mut target_write) = target.into_split();
    const LEN: usize = 5_000_000;
    let up = tokio::spawn(async move {
        client_write.write_all(&payload(LEN, 1)).await.unwrap();
        client_write.shutdown().await.unwrap();
    });
    let down = tokio::spawn(async move {
        target_write.write_all(&payload(LEN, 2)).await.unwrap();
        target_write.shutdown().await.unwrap();
    });
    let (mut got_up, mut got_down) = (Vec::new(), Vec::new());
    let (a, b) = tokio::join!(
        target_read.read_to_end(&mut got_up),
        client_read.read_to_end(&mut got_down)
    );
    a.unwrap();
    b.unwrap();
    up.await.unwrap();
    down.await.unwrap();
    assert!(got_up == payload(LEN, 1) && got_down == payload(LEN, 2));
    let outcome = task.await.unwrap();
    assert_eq!((outcome.input, outcome.output), (LEN as u64, LEN as u64));
    assert!(outcome.error.is_none());
}

#[tokio::test]
async fn a_half_close_leaves_the_answer_its_way() {
    let (mut client, mut target, task) = proxied(CopyOptions::default()).await;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    let mut question = String::new();
    target.read_to_string(&mut question).await.unwrap();
    assert_eq!(question, "question");
    let answer = payload(3_000_000, 3);
    target.write_all(&answer).await.unwrap();
    drop(target);
    let mut got = Vec::new();
    client.read_to_end(&mut got).await.unwrap();
    assert!(got == answer);
    assert!(task.await.unwrap().error.is_none());
}

#[tokio::test]
async fn a_reset_is_passed_on_as_a_reset() {
    let (mut client, target, task) = proxied(CopyOptions::default()).await;
    Box::new(target).abort();
    let error = client.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let error = task.await.unwrap().error.unwrap();
    assert_eq!((error.why(), error.at_side()), (Why::Reset, Side::Target));
}

/// An end that has something to say and takes nothing.
#[derive(Debug)]
struct Refusing {
    says: &'static [u8],
    error: std::io::ErrorKind,
}

impl tokio::io::AsyncRead for Refusing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        // A little at a time.
        let (now, later) = self.says.split_at(self.says.len().min(5));
        into.put_slice(now);
        self.says = later;
        Poll::Ready(Ok(()))
    }
}

impl tokio::io::AsyncWrite for Refusing {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Err(self.error.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Stream for Refusing {
    fn into_raw(self: Box<Self>) -> Result<RawStream, Box<dyn Stream>> {
        Err(self)
    }

    fn abort(self: Box<Self>) {}

    fn half_close(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn what_a_target_says_before_it_takes_no_more_is_passed_on() {
    for error in [
        std::io::ErrorKind::BrokenPipe,
        std::io::ErrorKind::ConnectionReset,
    ] {
        let (mut client, near) = pair().await;
        let says = b"413 Content Too Large";
        client.write_all(b"too much").await.unwrap();
        near.readable().await.unwrap();
        let far = Refusing { says, error };
        let task = tokio::spawn(copy(Box::new(near), Box::new(far), CopyOptions::default()));
        let mut got = vec![0; says.len()];
        client.read_exact(&mut got).await.unwrap();
        assert_eq!(got, says);
        let outcome = task.await.unwrap();
        assert_eq!(outcome.output, says.len() as u64);
        assert_eq!(outcome.error.unwrap().at_side(), Side::Target);
        let end = client.read(&mut [0]).await;
        if error == std::io::ErrorKind::BrokenPipe {
            assert_eq!(end.unwrap(), 0);
        } else {
            assert_eq!(end.unwrap_err().kind(), error);
        }
    }
}

#[tokio::test]
async fn a_slow_reader_gets_everything() {
    let (mut client, mut target, task) = proxied(CopyOptions::default()).await;
    let sent = payload(4_000_000, 4);
    let writer = tokio::spawn({
        let sent = sent.clone();
        async move {
            target.write_all(&sent).await.unwrap();
            target.shutdown().await.unwrap();
            target
        }
    });
    let mut got = Vec::new();
    let mut chunk = [0; 1500];
    loop {
        let n = client.read(&mut chunk).await.unwrap();
        if n == 0 {
            break;
        }
        got.extend_from_slice(&chunk[..n]);
        tokio::task::yield_now().await;
    }
    assert!(got == sent);
    drop(client);
    drop(writer.await.unwrap());
    assert_eq!(task.await.unwrap().output, sent.len() as u64);
}

#[tokio::test(start_paused = true)]
async fn silence_ends_an_idle_copy() {
    let (_client, near) = tokio::io::duplex(64);
    let (far, _target) = tokio::io::duplex(64);
    let options = CopyOptions {
        idle: Some(Duration::from_secs(30)),
        ..CopyOptions::default()
    };
    let outcome = copy(Box::new(near), Box::new(far), options).await;
    assert_eq!(outcome.error.unwrap().why(), Why::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_closes_ends_after_a_while() {
    let (client, near) = tokio::io::duplex(64);
    let (far, _target) = tokio::io::duplex(64);
    drop(client);
    let start = Instant::now();
    let outcome = copy(Box::new(near), Box::new(far), CopyOptions::default()).await;
    assert!(outcome.error.is_none());
    assert!(start.elapsed() >= HALF_CLOSED_IDLE);
}

/// An end that has no half-close, and may write some bytes to say that it is over, as TLS does.
struct Deaf(tokio::io::DuplexStream, &'static [u8]);

impl tokio::io::AsyncRead for Deaf {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl tokio::io::AsyncWrite for Deaf {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        while !self.1.is_empty() {
            let words = self.1;
            let n = std::task::ready!(Pin::new(&mut self.0).poll_write(cx, words))?;
            self.1 = &words[n..];
        }
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl Stream for Deaf {
    fn into_raw(self: Box<Self>) -> Result<RawStream, Box<dyn Stream>> {
        Err(self)
    }

    fn abort(self: Box<Self>) {}

    fn half_close(&self) -> bool {
        false
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_is_told_in_full_to_who_is_slow_to_take_it() {
    let (near, mut client) = tokio::io::duplex(8);
    let (mut target, far) = tokio::io::duplex(64);
    let near = Deaf(near, b"that is all");
    let task = tokio::spawn(copy(Box::new(near), Box::new(far), CopyOptions::default()));
    target.write_all(b"12345678").await.unwrap();
    drop(target);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut got = String::new();
    client.read_to_string(&mut got).await.unwrap();
    assert_eq!(got, "12345678that is all");
    assert!(task.await.unwrap().error.is_none());
}

type End = tokio::io::DuplexStream;

/// A client, a target that is reached through what has no half-close, and the copy between them.
fn over_deaf() -> (End, End, tokio::task::JoinHandle<Outcome>) {
    let (client, near) = tokio::io::duplex(64);
    let (far, target) = tokio::io::duplex(64);
    let copy = copy(
        Box::new(near),
        Box::new(Deaf(far, b"")),
        CopyOptions::default(),
    );
    (client, target, tokio::spawn(copy))
}

#[tokio::test(start_paused = true)]
async fn a_client_that_had_its_answer_is_gone_when_it_ends() {
    let (mut client, mut target, task) = over_deaf();
    client.write_all(b"question").await.unwrap();
    target.read_exact(&mut [0; 8]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(30)).await;
    target.write_all(b"answer").await.unwrap();
    client.read_exact(&mut [0; 6]).await.unwrap();
    let start = Instant::now();
    client.shutdown().await.unwrap();
    assert_eq!(
        target.read(&mut [0]).await.unwrap(),
        0,
        "the target is told"
    );
    let waited = start.elapsed();
    assert!(waited >= Duration::from_millis(30), "{waited:?}");
    assert!(waited < Duration::from_millis(40), "{waited:?}");
    assert!(task.await.unwrap().error.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_waits_for_its_answer_gets_it() {
    let (mut client, mut target, task) = over_deaf();
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    target.read_exact(&mut [0; 8]).await.unwrap();
    for part in [b"ans", b"wer"] {
        tokio::time::sleep(Duration::from_secs(4)).await;
        target.write_all(part).await.unwrap();
    }
    let start = Instant::now();
    drop(target);
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "answer");
    assert!(start.elapsed() < Duration::from_millis(10));
    assert!(task.await.unwrap().error.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_slow_to_read_gets_its_answer_though_it_has_ended() {
    let (mut client, mut target, task) = over_deaf();
    client.write_all(b"question").await.unwrap();
    target.read_exact(&mut [0; 8]).await.unwrap();
    let sent = payload(300, 5);
    target.write_all(&sent[..64]).await.unwrap();
    client.read_exact(&mut [0; 1]).await.unwrap();
    client.shutdown().await.unwrap();
    let target = tokio::spawn({
        let rest = sent[64..].to_vec();
        async move {
            target.write_all(&rest).await.unwrap();
            target
        }
    });
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut got = vec![0; 299];
    client.read_exact(&mut got).await.unwrap();
    assert!(got == sent[1..]);
    drop(target.await.unwrap());
    assert_eq!(task.await.unwrap().output, 300);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_cannot_be_told_learns_soon_that_the_target_has_ended() {
    let (mut target, near) = tokio::io::duplex(64);
    let (far, mut client) = tokio::io::duplex(64);
    let task = tokio::spawn(copy(
        Box::new(Deaf(far, b"")),
        Box::new(near),
        CopyOptions::default(),
    ));
    client.write_all(b"question").await.unwrap();
    target.read_exact(&mut [0; 8]).await.unwrap();
    target.write_all(b"answer").await.unwrap();
    target.shutdown().await.unwrap();
    let start = Instant::now();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "answer");
    assert!(start.elapsed() <= Duration::from_millis(20));
    assert!(task.await.unwrap().error.is_none());
}

#[test]
fn the_future_is_small() {
    assert!(size_of::<Copy>() <= 320, "{}", size_of::<Copy>());
}
