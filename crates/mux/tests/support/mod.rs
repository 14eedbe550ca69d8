//! Two ends of a session, and what is done over their streams.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
    time::Duration,
};

use gost_core::{
    addr::Addr,
    conn::{Conn, Meta},
    listener::{Accepted, Listener},
    stream::Stream,
};
use gost_mux::{MuxOptions, MuxSettings, Session, Streams, Version};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

pub(crate) const VERSIONS: [Version; 2] = [Version::V1, Version::V2];

/// Waits for what should take milliseconds.
pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), work)
        .await
        .expect("in time")
}

/// What a future has to say now.
pub(crate) async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

pub(crate) fn settings(version: Version) -> MuxSettings {
    MuxOptions::default().settings(version).unwrap()
}

pub(crate) fn conn(stream: impl Stream) -> Conn {
    let addr = |port| Addr::from_host("192.0.2.1", port);
    Conn::stream(stream, Meta::new(addr(1), addr(2)))
}

/// Both ends of a session in memory.
pub(crate) fn pair(settings: &MuxSettings) -> (Session, Streams) {
    let (near, far) = tokio::io::duplex(64 << 10);
    (
        gost_mux::client(conn(near), settings).unwrap(),
        gost_mux::server(conn(far), settings).unwrap(),
    )
}

/// Both ends of a TCP connection.
pub(crate) async fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (far, _) = listener.accept().await.unwrap();
    (near, far)
}

pub(crate) async fn open(session: &Session) -> Box<dyn Stream> {
    session.open().await.unwrap().into_stream().unwrap().0
}

pub(crate) async fn accept(streams: &mut Streams) -> Box<dyn Stream> {
    let accepted = streams.accept().await.unwrap().finish().await.unwrap();
    let Accepted::One(conn) = accepted else {
        panic!("not one stream")
    };
    conn.into_stream().unwrap().0
}

/// Sends back what comes, on all streams, until the session ends.
pub(crate) async fn echo(mut streams: Streams) {
    loop {
        let Ok(incoming) = streams.accept().await else {
            return;
        };
        let Ok(Accepted::One(conn)) = incoming.finish().await else {
            return;
        };
        tokio::spawn(async move {
            let (mut stream, _) = conn.into_stream().unwrap();
            let mut buffer = vec![0; 16 << 10];
            while let Ok(n @ 1..) = stream.read(&mut buffer).await {
                if stream.write_all(&buffer[..n]).await.is_err() {
                    return;
                }
            }
            let _ = stream.shutdown().await;
        });
    }
}

/// Bytes that differ from stream to stream.
pub(crate) fn pattern(seed: usize, length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (seed.wrapping_mul(31) + at.wrapping_mul(7) + at / 251) as u8)
        .collect()
}

/// Sends bytes and compares what comes back. The end is sent only afterwards: there is no
/// half-close.
pub(crate) async fn exchange(stream: Box<dyn Stream>, sent: &[u8]) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut back = vec![0; sent.len()];
    let (wrote, read) = tokio::join!(writer.write_all(sent), reader.read_exact(&mut back));
    wrote.unwrap();
    read.unwrap();
    assert!(back == sent, "other bytes came back");
    writer.shutdown().await.unwrap();
    assert_eq!(reader.read(&mut back).await.unwrap(), 0);
}
