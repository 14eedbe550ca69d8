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

#[test]
fn the_future_is_small() {
    assert!(size_of::<Copy>() <= 320, "{}", size_of::<Copy>());
}
