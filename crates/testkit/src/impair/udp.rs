//! An impaired path for datagrams.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::Impairment;
use super::lane::Lane;
use crate::udp::MAX_DATAGRAM;

/// Stands in front of a server and gives every client a socket of its own
/// towards it. It ends when it is dropped.
#[derive(Debug)]
pub struct UdpRelay {
    address: SocketAddr,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Shared {
    down: AtomicBool,
    passed: AtomicU64,
    lost: AtomicU64,
}

/// A datagram on its way and the socket that will send it.
struct Travelling {
    socket: Arc<UdpSocket>,
    /// Nothing for a connected socket.
    to: Option<SocketAddr>,
    data: Vec<u8>,
}

type Entrance = mpsc::UnboundedSender<Travelling>;

impl UdpRelay {
    /// Starts a relay on loopback, of the family of `server`.
    ///
    /// # Errors
    /// When no socket can be bound.
    pub async fn start(server: SocketAddr, path: Impairment) -> io::Result<Self> {
        let front = Arc::new(bind(server).await?);
        let address = front.local_addr()?;
        let shared = Arc::new(Shared::default());
        let mut tasks = JoinSet::new();
        let [there, back] = [0, 1].map(|direction| {
            let (entrance, exit) = mpsc::unbounded_channel();
            tasks.spawn(travel(
                Lane::new(path, direction),
                exit,
                Arc::clone(&shared),
            ));
            entrance
        });
        tasks.spawn(accept(front, server, there, back));
        Ok(Self {
            address,
            shared,
            _tasks: tasks,
        })
    }

    /// Where clients find it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Loses everything while `down`.
    pub fn set_down(&self, down: bool) {
        self.shared.down.store(down, Ordering::Relaxed);
    }

    /// Datagrams that went through, in both directions.
    pub fn passed(&self) -> u64 {
        self.shared.passed.load(Ordering::Relaxed)
    }

    /// Datagrams that were lost, in both directions.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }
}

/// An unconnected loopback socket of the family of `like`.
async fn bind(like: SocketAddr) -> io::Result<UdpSocket> {
    let ip: IpAddr = match like {
        SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    let socket = UdpSocket::bind((ip, 0)).await?;
    // What is lost is lost by intent, not for want of room.
    socket2::SockRef::from(&socket).set_recv_buffer_size(8 << 20)?;
    Ok(socket)
}

async fn accept(front: Arc<UdpSocket>, server: SocketAddr, there: Entrance, back: Entrance) {
    let mut upstream: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut answers = JoinSet::new();
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        // An error is an earlier answer's "port unreachable".
        let Ok((size, client)) = front.recv_from(&mut buffer).await else {
            continue;
        };
        let known = upstream.get(&client).map(Arc::clone);
        let socket = if let Some(socket) = known {
            socket
        } else {
            let Ok(socket) = bind(server).await.map(Arc::new) else {
                continue;
            };
            if socket.connect(server).await.is_err() {
                continue;
            }
            let (socket, front) = (Arc::clone(&socket), Arc::clone(&front));
            answers.spawn(answer(Arc::clone(&socket), front, client, back.clone()));
            upstream.insert(client, Arc::clone(&socket));
            socket
        };
        let data = buffer[..size].to_vec();
        if there
            .send(Travelling {
                socket,
                to: None,
                data,
            })
            .is_err()
        {
            return;
        }
    }
}

async fn answer(socket: Arc<UdpSocket>, front: Arc<UdpSocket>, client: SocketAddr, back: Entrance) {
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        let Ok(size) = socket.recv(&mut buffer).await else {
            continue;
        };
        let (socket, data) = (Arc::clone(&front), buffer[..size].to_vec());
        if back
            .send(Travelling {
                socket,
                to: Some(client),
                data,
            })
            .is_err()
        {
            return;
        }
    }
}

async fn travel(
    mut lane: Lane,
    mut exit: mpsc::UnboundedReceiver<Travelling>,
    shared: Arc<Shared>,
) {
    // The number keeps datagrams of one instant apart and in their order.
    let mut underway: BTreeMap<(Instant, u64), Travelling> = BTreeMap::new();
    let mut number = 0;
    loop {
        let due = underway.keys().next().map(|(at, _)| *at);
        tokio::select! {
            biased;
            entered = exit.recv() => {
                let Some(datagram) = entered else { return };
                let fate = lane.datagram(Instant::now(), datagram.data.len());
                match fate.filter(|_| !shared.down.load(Ordering::Relaxed)) {
                    Some(at) => drop(underway.insert((at, number), datagram)),
                    None => drop(shared.lost.fetch_add(1, Ordering::Relaxed)),
                }
                number += 1;
            }
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                let Some((_, datagram)) = underway.pop_first() else { continue };
                // The receiver may be gone, as on a real path.
                let _ = match datagram.to {
                    Some(to) => datagram.socket.send_to(&datagram.data, to).await,
                    None => datagram.socket.send(&datagram.data).await,
                };
                shared.passed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::PATIENCE;
    use crate::udp::{Behaviour, Server, client, receive};

    /// Sends `count` numbered datagrams through `path` and returns the order
    /// in which they reach the server.
    async fn order(path: Impairment, count: u64) -> Vec<u64> {
        let server = Server::start(Behaviour::Sink).await.unwrap();
        let relay = UdpRelay::start(server.address(), path).await.unwrap();
        let client = client(relay.address()).await.unwrap();
        for number in 0..count {
            client.send(&number.to_be_bytes()).await.unwrap();
        }
        let deadline = Instant::now() + PATIENCE;
        while relay.passed() + relay.lost() < count {
            assert!(
                Instant::now() < deadline,
                "{} + {}",
                relay.passed(),
                relay.lost()
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let passed = usize::try_from(relay.passed()).unwrap();
        let got = server.received_at_least(passed).await.unwrap();
        got.iter()
            .map(|one| u64::from_be_bytes(one.data[..].try_into().unwrap()))
            .collect()
    }

    #[tokio::test]
    async fn an_unimpaired_path_carries_all_sizes_both_ways() {
        for ip in ["127.0.0.1", "::1"] {
            let server = Server::start_on(ip.parse().unwrap(), Behaviour::Echo)
                .await
                .unwrap();
            let relay = UdpRelay::start(server.address(), Impairment::default())
                .await
                .unwrap();
            for size in [0, 1, MAX_DATAGRAM] {
                let client = client(relay.address()).await.unwrap();
                client.send(&vec![7; size]).await.unwrap();
                assert_eq!(receive(&client, PATIENCE).await.unwrap().len(), size);
            }
            assert_eq!((relay.passed(), relay.lost()), (6, 0));
        }
    }

    #[tokio::test]
    async fn the_same_seed_loses_the_same_datagrams() {
        let path = Impairment::loss(0.3);
        let first = order(path, 200).await;
        assert!((110..170).contains(&first.len()), "{}", first.len());
        assert!(first.is_sorted());
        assert_eq!(first, order(path, 200).await);
    }

    #[tokio::test]
    async fn reordered_datagrams_all_arrive() {
        let mut got = order(
            Impairment {
                reorder: 0.2,
                ..Impairment::default()
            },
            200,
        )
        .await;
        assert!(!got.is_sorted());
        got.sort_unstable();
        assert_eq!(got, (0..200).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn delay_holds_in_both_directions() {
        let server = Server::start(Behaviour::Echo).await.unwrap();
        let path = Impairment::delay(Duration::from_millis(40));
        let relay = UdpRelay::start(server.address(), path).await.unwrap();
        let client = client(relay.address()).await.unwrap();
        let start = Instant::now();
        client.send(b"ping").await.unwrap();
        receive(&client, PATIENCE).await.unwrap();
        assert!(start.elapsed() >= Duration::from_millis(80));
    }

    #[tokio::test]
    async fn a_path_that_is_down_loses_and_recovers() {
        let server = Server::start(Behaviour::Echo).await.unwrap();
        let relay = UdpRelay::start(server.address(), Impairment::default())
            .await
            .unwrap();
        let client = client(relay.address()).await.unwrap();
        relay.set_down(true);
        client.send(b"gone").await.unwrap();
        let deadline = Instant::now() + PATIENCE;
        while relay.lost() == 0 {
            assert!(Instant::now() < deadline, "not lost");
            tokio::task::yield_now().await;
        }
        relay.set_down(false);
        client.send(b"back").await.unwrap();
        assert_eq!(receive(&client, PATIENCE).await.unwrap(), b"back");
    }
}
