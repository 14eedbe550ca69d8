//! An impaired path for streams.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::Impairment;
use super::lane::Lane;
use crate::tcp::reset;

/// Bytes that are treated as one, about ten segments.
const BLOCK: usize = 16 * 1024;
/// Blocks that may be underway in one direction before the sender must wait.
const UNDERWAY: usize = 1024;

/// Where a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// After this many bytes, counted over both directions.
    pub after: u64,
    /// In which way.
    pub how: How,
}

/// In which way a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Both sides see a reset.
    Reset,
    /// Both sides see an orderly end.
    Close,
    /// Nothing comes any more and nobody is told.
    Stall,
}

/// Stands in front of a server and passes connections on to it. It ends, with
/// all of them, when it is dropped.
#[derive(Debug)]
pub struct TcpRelay {
    address: SocketAddr,
    connections: Arc<AtomicU64>,
    control: watch::Sender<Control>,
    _tasks: JoinSet<()>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Control {
    down: bool,
    /// Counts the calls of [`TcpRelay::reset_all`].
    resets: u64,
}

impl TcpRelay {
    /// Starts a relay on loopback, of the family of `server`, that cuts every
    /// connection where `cut` says.
    ///
    /// # Errors
    /// When no socket can be bound.
    pub async fn start(server: SocketAddr, path: Impairment, cut: Option<Cut>) -> io::Result<Self> {
        let ip: IpAddr = match server {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        let listener = TcpListener::bind((ip, 0)).await?;
        let address = listener.local_addr()?;
        let connections = Arc::new(AtomicU64::new(0));
        let (control, watching) = watch::channel(Control::default());
        let mut tasks = JoinSet::new();
        let count = Arc::clone(&connections);
        tasks.spawn(async move {
            let mut carried = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                while carried.try_join_next().is_some() {}
                // Each connection has a sequence of decisions of its own.
                let number = count.fetch_add(1, Ordering::Relaxed);
                let path = Impairment {
                    seed: path.seed.wrapping_add(number),
                    ..path
                };
                carried.spawn(carry(client, server, path, cut, watching.clone()));
            }
        });
        Ok(Self {
            address,
            connections,
            control,
            _tasks: tasks,
        })
    }

    /// Where clients find it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections that have come so far.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Holds everything back while `down`; it goes on afterwards.
    pub fn set_down(&self, down: bool) {
        self.control.send_modify(|control| control.down = down);
    }

    /// Resets every connection there is, towards both sides.
    pub fn reset_all(&self) {
        self.control.send_modify(|control| control.resets += 1);
    }
}

/// Why one direction stopped.
enum Stop {
    /// Its sender ended in order, and the receiver was told.
    End,
    /// The whole connection ends like this.
    Cut(How),
}

/// What travels in one direction.
enum Item {
    Data(Bytes),
    End,
    Reset,
}

async fn carry(
    mut client: TcpStream,
    server: SocketAddr,
    path: Impairment,
    cut: Option<Cut>,
    control: watch::Receiver<Control>,
) {
    let Ok(mut upstream) = TcpStream::connect(server).await else {
        // What a client of an unreachable server sees.
        let _ = reset(&client);
        return;
    };
    if client
        .set_nodelay(true)
        .and_then(|()| upstream.set_nodelay(true))
        .is_err()
    {
        return;
    }
    let carried = AtomicU64::new(0);
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = upstream.split();
    let way = |direction| Way {
        lane: Lane::new(path, direction),
        cut,
        carried: &carried,
        control: control.clone(),
    };
    let how = {
        let there = way(0).run(&mut from_client, &mut to_server);
        let back = way(1).run(&mut from_server, &mut to_client);
        tokio::pin!(there, back);
        let both = async {
            let (first, other) = tokio::select! {
                stop = &mut there => (stop, back),
                stop = &mut back => (stop, there),
            };
            match first {
                Stop::Cut(how) => how,
                Stop::End => match other.await {
                    Stop::Cut(how) => how,
                    Stop::End => How::Close,
                },
            }
        };
        tokio::select! {
            how = both => how,
            () = all_reset(control.clone()) => How::Reset,
        }
    };
    match how {
        How::Reset => {
            // Whoever has gone already needs no reset.
            let _ = reset(&client);
            let _ = reset(&upstream);
        }
        How::Close => {
            let _ = to_client.shutdown().await;
            let _ = to_server.shutdown().await;
            // A close with unread bytes would be a reset.
            tokio::join!(drain(&mut from_client), drain(&mut from_server));
        }
        How::Stall => std::future::pending().await,
    }
}

async fn all_reset(mut control: watch::Receiver<Control>) {
    let before = control.borrow().resets;
    if control
        .wait_for(|control| control.resets != before)
        .await
        .is_err()
    {
        // The relay is going, and this task with it.
        std::future::pending::<()>().await;
    }
}

async fn drain(reader: &mut ReadHalf<'_>) {
    let mut block = vec![0; BLOCK];
    while matches!(reader.read(&mut block).await, Ok(1..)) {}
}

/// One direction of one connection.
struct Way<'a> {
    lane: Lane,
    cut: Option<Cut>,
    /// Bytes that both directions have carried.
    carried: &'a AtomicU64,
    control: watch::Receiver<Control>,
}

impl Way<'_> {
    async fn run(self, reader: &mut ReadHalf<'_>, writer: &mut WriteHalf<'_>) -> Stop {
        let (entrance, exit) = mpsc::channel(UNDERWAY);
        let Way {
            lane,
            cut,
            carried,
            control,
        } = self;
        tokio::select! {
            () = enter(lane, reader, entrance) => Stop::End,
            stop = leave(exit, writer, cut, carried, control) => stop,
        }
    }
}

/// Reads what enters; never returns, for the other end says when it is over.
async fn enter(mut lane: Lane, reader: &mut ReadHalf<'_>, entrance: mpsc::Sender<(Instant, Item)>) {
    let mut block = vec![0; BLOCK];
    loop {
        let item = match reader.read(&mut block).await {
            Ok(0) => Item::End,
            Ok(size) => Item::Data(Bytes::copy_from_slice(&block[..size])),
            Err(_) => Item::Reset,
        };
        let (size, is_last) = match &item {
            Item::Data(data) => (data.len(), false),
            Item::End | Item::Reset => (0, true),
        };
        let at = lane.block(Instant::now(), size);
        if entrance.send((at, item)).await.is_err() || is_last {
            std::future::pending::<()>().await;
        }
    }
}

/// Writes what is due, until the end or the cut.
async fn leave(
    mut exit: mpsc::Receiver<(Instant, Item)>,
    writer: &mut WriteHalf<'_>,
    cut: Option<Cut>,
    carried: &AtomicU64,
    mut control: watch::Receiver<Control>,
) -> Stop {
    while let Some((at, item)) = exit.recv().await {
        sleep_until(at).await;
        if control.wait_for(|control| !control.down).await.is_err() {
            break;
        }
        let mut data = match item {
            Item::Data(data) => data,
            Item::End if writer.shutdown().await.is_ok() => return Stop::End,
            Item::End | Item::Reset => return Stop::Cut(How::Reset),
        };
        let before = carried.fetch_add(data.len() as u64, Ordering::Relaxed);
        let mut last = None;
        if let Some(cut) = cut {
            let left = cut.after.saturating_sub(before);
            if left <= data.len() as u64 {
                data.truncate(left as usize);
                last = Some(cut.how);
            }
        }
        if writer.write_all(&data).await.is_err() {
            return Stop::Cut(How::Reset);
        }
        if let Some(how) = last {
            return Stop::Cut(how);
        }
    }
    Stop::Cut(How::Reset)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::PATIENCE;
    use crate::payload::{Digest, payload};
    use crate::tcp::{Behaviour, End, Server};

    async fn start(behaviour: Behaviour, path: Impairment, cut: Option<Cut>) -> (Server, TcpRelay) {
        let server = Server::start(behaviour).await.unwrap();
        let relay = TcpRelay::start(server.address(), path, cut).await.unwrap();
        (server, relay)
    }

    async fn connect(relay: &TcpRelay) -> TcpStream {
        TcpStream::connect(relay.address()).await.unwrap()
    }

    #[tokio::test]
    async fn everything_arrives_in_order_however_bad_the_path() {
        let path = Impairment {
            loss: 0.1,
            jitter: Duration::from_millis(3),
            retransmit: Duration::from_millis(5),
            ..Impairment::delay(Duration::from_millis(2))
        };
        let source = Behaviour::Source {
            seed: 5,
            len: 1 << 20,
        };
        let (server, relay) = start(source, path, None).await;
        let mut stream = connect(&relay).await;
        stream.write_all(b"towards the server").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut all = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut all))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(Digest::of(&all), Digest::of_payload(5, 1 << 20));
        assert_eq!(
            server.ended().await.unwrap().received,
            Digest::of(b"towards the server")
        );
        assert_eq!(relay.connections(), 1);
    }

    #[tokio::test]
    async fn a_half_closed_connection_goes_on() {
        let (_server, relay) = start(Behaviour::AnswerAfterEnd, Impairment::default(), None).await;
        let mut stream = connect(&relay).await;
        stream.write_all(b"question").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut answer))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(answer, b"question");
    }

    #[tokio::test]
    async fn delay_and_rate_take_their_time() {
        let path = Impairment {
            rate: Some(1_000_000),
            ..Impairment::delay(Duration::from_millis(30))
        };
        let (_server, relay) = start(Behaviour::Echo, path, None).await;
        let mut stream = connect(&relay).await;
        let begun = Instant::now();
        stream.write_all(&payload(1, 50_000)).await.unwrap();
        stream.read_exact(&mut vec![0; 50_000]).await.unwrap();
        // Twice the delay; and the bytes one after the other at least once.
        assert!(
            begun.elapsed() >= Duration::from_millis(110),
            "{:?}",
            begun.elapsed()
        );
    }

    #[tokio::test]
    async fn a_cut_comes_after_the_right_byte_and_in_the_right_way() {
        let source = Behaviour::Source {
            seed: 1,
            len: 1 << 20,
        };
        let cut = |how| {
            Some(Cut {
                after: 100_001,
                how,
            })
        };
        let mut all = Vec::new();

        let (_server, relay) = start(source.clone(), Impairment::default(), cut(How::Close)).await;
        connect(&relay).await.read_to_end(&mut all).await.unwrap();
        assert_eq!(Digest::of(&all), Digest::of_payload(1, 100_001));

        let (server, relay) = start(source.clone(), Impairment::default(), cut(How::Reset)).await;
        let error = connect(&relay)
            .await
            .read_to_end(&mut all)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(server.ended().await.unwrap().end, End::Reset);

        let (_server, relay) = start(source, Impairment::default(), cut(How::Stall)).await;
        let mut stream = connect(&relay).await;
        stream.read_exact(&mut vec![0; 100_001]).await.unwrap();
        let more = timeout(Duration::from_millis(50), stream.read_u8()).await;
        assert!(more.is_err(), "a stalled connection brought {more:?}");
    }

    #[tokio::test]
    async fn a_path_that_is_down_holds_back_and_goes_on() {
        let (_server, relay) = start(Behaviour::Echo, Impairment::default(), None).await;
        let mut stream = connect(&relay).await;
        relay.set_down(true);
        stream.write_all(b"x").await.unwrap();
        let early = timeout(Duration::from_millis(50), stream.read_u8()).await;
        assert!(early.is_err(), "came through a path that is down");
        relay.set_down(false);
        assert_eq!(
            timeout(PATIENCE, stream.read_u8()).await.unwrap().unwrap(),
            b'x'
        );
    }

    #[tokio::test]
    async fn resets_pass_through_and_can_be_made() {
        let (_server, relay) = start(Behaviour::ResetAfter(1), Impairment::default(), None).await;
        let mut stream = connect(&relay).await;
        stream.write_all(b"x").await.unwrap();
        let error = stream.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);

        let (server, relay) = start(Behaviour::Echo, Impairment::default(), None).await;
        let mut stream = connect(&relay).await;
        stream.write_all(b"x").await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'x');
        relay.reset_all();
        let error = stream.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(server.ended().await.unwrap().end, End::Reset);
    }
}
