//! TCP servers with a known behaviour, and a record of how each connection
//! went.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::PATIENCE;
use crate::payload::{self, Digest, Digester};

/// Bytes read or written at once.
const BLOCK: usize = 64 * 1024;

/// What a server does with every connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Sends back what it reads, as it comes; ends when the client ends.
    Echo,
    /// Reads to the end and sends nothing.
    Sink,
    /// Sends [`payload::payload`]`(seed, len)`, ends its direction, reads on.
    Source {
        /// Names the stream.
        seed: u64,
        /// Its length in bytes.
        len: u64,
    },
    /// Speaks first, as SSH or SMTP servers do, then echoes.
    Banner(Bytes),
    /// Reads to the end and only then sends everything back: the answer
    /// arrives only where half-closed connections are carried.
    AnswerAfterEnd,
    /// Sends this, ends its direction first, and reads on to the client's end.
    EndFirst(Bytes),
    /// Resets the connection after it has read this many bytes.
    ResetAfter(usize),
    /// Reads nothing and sends nothing until the server is dropped.
    Silent,
}

/// How a connection ended, as the server saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The client ended its direction in order.
    Closed,
    /// The connection was reset.
    Reset,
    /// Any other error.
    Failed(io::ErrorKind),
    /// The server itself reset it, as [`Behaviour::ResetAfter`] says.
    ByServer,
}

/// One connection that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The address that the connection came from.
    pub peer: SocketAddr,
    /// What the server read from it.
    pub received: Digest,
    /// Why it ended.
    pub end: End,
}

/// A running server; its task and its connections end when it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    accepted: Arc<AtomicU64>,
    ended: Mutex<mpsc::UnboundedReceiver<Ended>>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Starts a server on a port of 127.0.0.1 that the system chooses.
    ///
    /// # Errors
    /// When no socket can be bound.
    pub async fn start(behaviour: Behaviour) -> io::Result<Self> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), behaviour).await
    }

    /// Starts a server on a port of `ip` that the system chooses.
    ///
    /// # Errors
    /// When no socket can be bound.
    pub async fn start_on(ip: IpAddr, behaviour: Behaviour) -> io::Result<Self> {
        Self::start_at((ip, 0).into(), behaviour).await
    }

    /// Starts a server at `address`.
    ///
    /// # Errors
    /// When it cannot be bound.
    pub async fn start_at(address: SocketAddr, behaviour: Behaviour) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let accepted = Arc::new(AtomicU64::new(0));
        let (report, ended) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, behaviour, Arc::clone(&accepted), report));
        Ok(Self {
            address,
            accepted,
            ended: Mutex::new(ended),
            _tasks: tasks,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port on which it listens.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// The next connection that has ended, each told once.
    ///
    /// # Errors
    /// When none ends within [`PATIENCE`].
    pub async fn ended(&self) -> Result<Ended> {
        let mut ended = self.ended.lock().await;
        let next = timeout(PATIENCE, ended.recv())
            .await
            .context("no connection has ended")?;
        next.context("the server has ended")
    }
}

async fn accept(
    listener: TcpListener,
    behaviour: Behaviour,
    accepted: Arc<AtomicU64>,
    report: mpsc::UnboundedSender<Ended>,
) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, peer)) = listener.accept().await else {
            // Out of descriptors: give the connections time to end.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        accepted.fetch_add(1, Ordering::Relaxed);
        let (behaviour, report) = (behaviour.clone(), report.clone());
        connections.spawn(async move {
            let mut seen = Digester::default();
            let end = match serve(stream, &behaviour, &mut seen).await {
                Ok(end) => end,
                Err(error) => match error.kind() {
                    io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => End::Reset,
                    kind => End::Failed(kind),
                },
            };
            // Nobody has to listen.
            let _ = report.send(Ended {
                peer,
                received: seen.finish(),
                end,
            });
        });
    }
}

async fn serve(
    mut stream: TcpStream,
    behaviour: &Behaviour,
    seen: &mut Digester,
) -> io::Result<End> {
    stream.set_nodelay(true)?;
    match behaviour {
        Behaviour::Echo => echo(&mut stream, seen).await?,
        Behaviour::Sink => drain(&mut stream, seen).await?,
        Behaviour::Source { seed, len } => {
            let (mut reader, mut writer) = stream.split();
            let send = async {
                let mut block = vec![0; BLOCK];
                let mut sent = 0;
                while sent < *len {
                    let size = usize::try_from(len - sent).map_or(BLOCK, |left| left.min(BLOCK));
                    payload::fill(*seed, sent, &mut block[..size]);
                    writer.write_all(&block[..size]).await?;
                    sent += size as u64;
                }
                writer.shutdown().await
            };
            let receive = async {
                let mut block = vec![0; BLOCK];
                loop {
                    match reader.read(&mut block).await? {
                        0 => return io::Result::Ok(()),
                        size => seen.update(&block[..size]),
                    }
                }
            };
            tokio::try_join!(send, receive)?;
        }
        Behaviour::Banner(text) => {
            stream.write_all(text).await?;
            echo(&mut stream, seen).await?;
        }
        Behaviour::AnswerAfterEnd => {
            let mut all = Vec::new();
            let outcome = stream.read_to_end(&mut all).await;
            seen.update(&all);
            outcome?;
            stream.write_all(&all).await?;
            stream.shutdown().await?;
        }
        Behaviour::EndFirst(text) => {
            stream.write_all(text).await?;
            stream.shutdown().await?;
            drain(&mut stream, seen).await?;
        }
        Behaviour::ResetAfter(count) => {
            let mut bytes = vec![0; *count];
            stream.read_exact(&mut bytes).await?;
            seen.update(&bytes);
            reset(&stream)?;
            return Ok(End::ByServer);
        }
        Behaviour::Silent => std::future::pending().await,
    }
    Ok(End::Closed)
}

async fn echo(stream: &mut TcpStream, seen: &mut Digester) -> io::Result<()> {
    // Small, because a thousand idle connections are ordinary.
    let mut block = vec![0; 4096];
    loop {
        match stream.read(&mut block).await? {
            0 => return stream.shutdown().await,
            size => {
                seen.update(&block[..size]);
                stream.write_all(&block[..size]).await?;
            }
        }
    }
}

async fn drain(stream: &mut TcpStream, seen: &mut Digester) -> io::Result<()> {
    let mut block = vec![0; BLOCK];
    loop {
        match stream.read(&mut block).await? {
            0 => return Ok(()),
            size => seen.update(&block[..size]),
        }
    }
}

/// Makes the close of `stream` a reset instead of an orderly end.
///
/// # Errors
/// When the socket has no such option.
pub fn reset(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).set_linger(Some(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::payload;

    async fn connect(server: &Server) -> TcpStream {
        TcpStream::connect(server.address()).await.unwrap()
    }

    async fn rest(stream: &mut TcpStream) -> Vec<u8> {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        all
    }

    #[tokio::test]
    async fn echo_sends_back_everything_and_ends_with_the_client() {
        let server = Server::start(Behaviour::Echo).await.unwrap();
        let data = payload(1, 1 << 20);
        let (mut reader, mut writer) = connect(&server).await.into_split();
        let send = async {
            writer.write_all(&data).await.unwrap();
            writer.shutdown().await.unwrap();
        };
        let mut back = Vec::new();
        let ((), outcome) = tokio::join!(send, reader.read_to_end(&mut back));
        outcome.unwrap();
        assert_eq!(Digest::of(&back), Digest::of(&data));
        let ended = server.ended().await.unwrap();
        assert_eq!(
            (ended.received, ended.end),
            (Digest::of(&data), End::Closed)
        );
        assert_eq!(server.accepted(), 1);
    }

    #[tokio::test]
    async fn a_sink_counts_what_it_read_and_says_nothing() {
        let server = Server::start_on("::1".parse().unwrap(), Behaviour::Sink)
            .await
            .unwrap();
        let mut stream = connect(&server).await;
        stream.write_all(&payload(2, 100_000)).await.unwrap();
        stream.shutdown().await.unwrap();
        assert!(rest(&mut stream).await.is_empty());
        let ended = server.ended().await.unwrap();
        assert_eq!(ended.received, Digest::of_payload(2, 100_000));
        assert_eq!(ended.peer, stream.local_addr().unwrap());
    }

    #[tokio::test]
    async fn a_source_sends_its_stream_while_it_reads() {
        let server = Server::start(Behaviour::Source {
            seed: 3,
            len: 300_001,
        })
        .await
        .unwrap();
        let mut stream = connect(&server).await;
        let data = rest(&mut stream).await;
        assert_eq!(Digest::of(&data), Digest::of_payload(3, 300_001));
        stream.write_all(b"after its end").await.unwrap();
        drop(stream);
        assert_eq!(
            server.ended().await.unwrap().received,
            Digest::of(b"after its end")
        );
    }

    #[tokio::test]
    async fn a_banner_comes_before_any_question() {
        let server = Server::start(Behaviour::Banner("220 hi\r\n".into()))
            .await
            .unwrap();
        let mut stream = connect(&server).await;
        let mut banner = [0; 8];
        stream.read_exact(&mut banner).await.unwrap();
        assert_eq!(&banner, b"220 hi\r\n");
        stream.write_all(b"QUIT").await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(rest(&mut stream).await, b"QUIT");
    }

    #[tokio::test]
    async fn an_answer_comes_only_after_the_end() {
        let server = Server::start(Behaviour::AnswerAfterEnd).await.unwrap();
        let mut stream = connect(&server).await;
        stream.write_all(b"question").await.unwrap();
        let early = timeout(Duration::from_millis(50), stream.read_u8()).await;
        assert!(early.is_err(), "answered before the end");
        stream.shutdown().await.unwrap();
        assert_eq!(rest(&mut stream).await, b"question");
    }

    #[tokio::test]
    async fn a_server_that_ends_first_hears_what_follows() {
        let server = Server::start(Behaviour::EndFirst("bye".into()))
            .await
            .unwrap();
        let mut stream = connect(&server).await;
        assert_eq!(rest(&mut stream).await, b"bye");
        stream.write_all(b"more").await.unwrap();
        drop(stream);
        let ended = server.ended().await.unwrap();
        assert_eq!(
            (ended.received, ended.end),
            (Digest::of(b"more"), End::Closed)
        );
    }

    #[tokio::test]
    async fn resets_are_told_apart_from_ends_on_both_sides() {
        let server = Server::start(Behaviour::ResetAfter(3)).await.unwrap();
        let mut stream = connect(&server).await;
        stream.write_all(b"abc").await.unwrap();
        let error = stream.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(server.ended().await.unwrap().end, End::ByServer);

        let server = Server::start(Behaviour::Sink).await.unwrap();
        let mut stream = connect(&server).await;
        stream.write_all(b"abc").await.unwrap();
        reset(&stream).unwrap();
        drop(stream);
        assert_eq!(server.ended().await.unwrap().end, End::Reset);
    }

    #[tokio::test]
    async fn a_dropped_server_ends_its_connections() {
        let server = Server::start(Behaviour::Silent).await.unwrap();
        let mut stream = connect(&server).await;
        while server.accepted() == 0 {
            tokio::task::yield_now().await;
        }
        drop(server);
        assert!(matches!(
            timeout(PATIENCE, stream.read(&mut [0])).await.unwrap(),
            Ok(0) | Err(_)
        ));
    }
}
