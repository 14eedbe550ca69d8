//! UDP servers with a known behaviour.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::PATIENCE;

/// The largest datagram that UDP over IPv4 carries.
pub const MAX_DATAGRAM: usize = 65_507;

/// What a server does with every datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Sends it back.
    Echo,
    /// Sends it back this many times.
    Repeat(usize),
    /// Keeps it and says nothing.
    Sink,
}

/// A datagram that a server has received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Where it came from.
    pub peer: SocketAddr,
    /// What it held.
    pub data: Vec<u8>,
}

/// A running server; it ends when it is dropped. It remembers every datagram,
/// so it is no target for a benchmark.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    log: Arc<Log>,
    socket: Arc<UdpSocket>,
    _tasks: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Log {
    datagrams: Mutex<Vec<Received>>,
    grown: Notify,
}

impl Server {
    /// Starts a server on a port of 127.0.0.1 that the system chooses.
    ///
    /// # Errors
    /// When no socket can be bound.
    pub async fn start(behaviour: Behaviour) -> io::Result<Self> {
        Self::start_on(Ipv4Addr::LOCALHOST.into(), behaviour).await
    }

    /// Starts a server on a port of `ip` that the system chooses.
    ///
    /// # Errors
    /// When no socket can be bound.
    pub async fn start_on(ip: IpAddr, behaviour: Behaviour) -> io::Result<Self> {
        let socket = Arc::new(UdpSocket::bind((ip, 0)).await?);
        // The server is never what loses a burst.
        socket2::SockRef::from(&*socket).set_recv_buffer_size(8 << 20)?;
        let address = socket.local_addr()?;
        let log = Arc::new(Log::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(Arc::clone(&socket), behaviour, Arc::clone(&log)));
        Ok(Self {
            address,
            log,
            socket,
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

    /// Every datagram so far, oldest first.
    pub fn received(&self) -> Vec<Received> {
        self.log
            .datagrams
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits until at least `count` datagrams have come, and returns all.
    ///
    /// # Errors
    /// When they do not come within [`PATIENCE`]; the text says how many did.
    pub async fn received_at_least(&self, count: usize) -> Result<Vec<Received>> {
        let wait = async {
            loop {
                let grown = self.log.grown.notified();
                tokio::pin!(grown);
                grown.as_mut().enable();
                let datagrams = self.received();
                if datagrams.len() >= count {
                    return datagrams;
                }
                grown.await;
            }
        };
        let got = || format!("{} of {count} datagrams came", self.received().len());
        timeout(PATIENCE, wait).await.with_context(got)
    }

    /// Sends a datagram that nobody asked for.
    ///
    /// # Errors
    /// When the system refuses to send it.
    pub async fn send(&self, data: &[u8], to: SocketAddr) -> io::Result<()> {
        self.socket.send_to(data, to).await.map(drop)
    }
}

async fn serve(socket: Arc<UdpSocket>, behaviour: Behaviour, log: Arc<Log>) {
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        // An error is an earlier answer's "port unreachable": not our end.
        let Ok((size, peer)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        let data = &buffer[..size];
        let received = Received {
            peer,
            data: data.to_vec(),
        };
        log.datagrams
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(received);
        log.grown.notify_waiters();
        let times = match behaviour {
            Behaviour::Echo => 1,
            Behaviour::Repeat(times) => times,
            Behaviour::Sink => 0,
        };
        for _ in 0..times {
            // The client may be gone.
            let _ = socket.send_to(data, peer).await;
        }
    }
}

/// A client socket of 127.0.0.1 or `::1`, connected to `to`.
///
/// # Errors
/// When no socket can be bound.
pub async fn client(to: SocketAddr) -> io::Result<UdpSocket> {
    let local: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    };
    let socket = UdpSocket::bind((local, 0)).await?;
    socket.connect(to).await?;
    Ok(socket)
}

/// Receives one datagram.
///
/// # Errors
/// When none comes within `patience`, or the socket has an error.
pub async fn receive(socket: &UdpSocket, patience: Duration) -> Result<Vec<u8>> {
    let mut buffer = vec![0; MAX_DATAGRAM];
    let size = timeout(patience, socket.recv(&mut buffer))
        .await
        .context("no datagram came")??;
    buffer.truncate(size);
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::payload;

    #[tokio::test]
    async fn echo_answers_every_size() {
        for ip in ["127.0.0.1", "::1"] {
            let server = Server::start_on(ip.parse().unwrap(), Behaviour::Echo)
                .await
                .unwrap();
            let client = client(server.address()).await.unwrap();
            for size in [0, 1, 1000, MAX_DATAGRAM] {
                let data = payload(size as u64, size);
                client.send(&data).await.unwrap();
                assert_eq!(receive(&client, PATIENCE).await.unwrap(), data);
            }
            assert_eq!(server.received().len(), 4);
        }
    }

    #[tokio::test]
    async fn a_repeater_answers_more_than_once_and_a_sink_never() {
        let server = Server::start(Behaviour::Repeat(3)).await.unwrap();
        let asking = client(server.address()).await.unwrap();
        asking.send(b"x").await.unwrap();
        for _ in 0..3 {
            assert_eq!(receive(&asking, PATIENCE).await.unwrap(), b"x");
        }
        assert!(receive(&asking, Duration::from_millis(50)).await.is_err());

        let server = Server::start(Behaviour::Sink).await.unwrap();
        let asking = client(server.address()).await.unwrap();
        asking.send(b"y").await.unwrap();
        let got = server.received_at_least(1).await.unwrap();
        assert_eq!(
            got,
            [Received {
                peer: asking.local_addr().unwrap(),
                data: b"y".to_vec()
            }]
        );
        assert!(receive(&asking, Duration::from_millis(50)).await.is_err());
    }

    #[tokio::test]
    async fn a_server_may_speak_unasked() {
        let server = Server::start(Behaviour::Sink).await.unwrap();
        let hearing = client(server.address()).await.unwrap();
        server
            .send(b"news", hearing.local_addr().unwrap())
            .await
            .unwrap();
        assert_eq!(receive(&hearing, PATIENCE).await.unwrap(), b"news");
    }
}
