//! Bytes through a port, and servers where they end.

use std::{net::SocketAddr, time::Duration};

use gost_testkit::{
    payload::{Digest, payload},
    soon,
    tcp::{Behaviour, Server},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

/// Names what is downloaded, and what is uploaded.
const DOWN: u64 = 3;
const UP: u64 = 4;

/// Reads so many bytes.
///
/// # Panics
///
/// When fewer come.
pub async fn read(stream: &mut (impl AsyncRead + Unpin), len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    soon(stream.read_exact(&mut bytes)).await.expect("bytes");
    bytes
}

/// Connects to a port where an echo answers.
///
/// # Panics
///
/// When it does not.
pub async fn echoed(at: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(at).await.expect("a connection");
    for text in [b"ping", b"pong"] {
        stream.write_all(text).await.expect("to write");
        assert_eq!(read(&mut stream, 4).await, text);
    }
    stream
}

/// Whether an echo answers at a port, before long.
///
/// # Panics
///
/// When nobody listens there.
pub async fn answers(at: SocketAddr, patience: Duration) -> bool {
    let mut stream = TcpStream::connect(at).await.expect("a connection");
    let mut back = [0; 4];
    stream.write_all(b"ping").await.is_ok()
        && tokio::time::timeout(patience, stream.read_exact(&mut back))
            .await
            .is_ok_and(|read| read.is_ok())
}

/// So many connections at once, each with an echo.
///
/// # Panics
///
/// When one of them fails.
pub async fn many(at: SocketAddr, count: usize) {
    let mut work: JoinSet<_> = (0..count).map(|_| echoed(at)).collect();
    soon(async {
        while work
            .join_next()
            .await
            .transpose()
            .expect("an echo")
            .is_some()
        {}
    })
    .await;
}

/// An echo, a source and a sink of so many bytes.
#[derive(Debug)]
pub struct Targets {
    /// Says what it is told.
    pub echo: Server,
    /// Says something known.
    pub source: Server,
    /// Listens.
    pub sink: Server,
    len: usize,
}

impl Targets {
    /// Starts them.
    ///
    /// # Panics
    ///
    /// When there is no port left.
    pub async fn start(len: usize) -> Self {
        let start = async |behaviour| Server::start(behaviour).await.expect("a port");
        let source = Behaviour::Source {
            seed: DOWN,
            len: len as u64,
        };
        Self {
            echo: start(Behaviour::Echo).await,
            source: start(source).await,
            sink: start(Behaviour::Sink).await,
            len,
        }
    }

    /// All of them.
    pub fn all(&self) -> [&Server; 3] {
        [&self.echo, &self.source, &self.sink]
    }

    /// Sees that bytes get through a port that leads to one of them.
    ///
    /// # Panics
    ///
    /// When they don't.
    pub async fn carried(&self, at: SocketAddr, target: &Server) {
        if target.port() == self.echo.port() {
            many(at, 30).await;
        } else if target.port() == self.source.port() {
            self.downloaded(at).await;
        } else {
            self.uploaded(at).await;
        }
    }

    /// Downloads through a port that leads to the source.
    ///
    /// # Panics
    ///
    /// When something else comes.
    pub async fn downloaded(&self, at: SocketAddr) {
        let mut stream = TcpStream::connect(at).await.expect("a connection");
        let all = read(&mut stream, self.len).await;
        assert!(all == payload(DOWN, self.len), "other bytes came");
    }

    /// Uploads through a port that leads to the sink.
    ///
    /// # Panics
    ///
    /// When something else arrives.
    pub async fn uploaded(&self, at: SocketAddr) {
        let mut stream = TcpStream::connect(at).await.expect("a connection");
        let all = payload(UP, self.len);
        soon(stream.write_all(&all)).await.expect("to write");
        stream.shutdown().await.expect("to end");
        // Whoever asks a client whether it listens reaches the sink, too.
        let mut received = self.sink.ended().await.expect("an end").received;
        while received.len == 0 {
            received = self.sink.ended().await.expect("an end").received;
        }
        assert_eq!(received, Digest::of(&all));
    }
}
