//! The kcp listener.

use std::{
    collections::VecDeque,
    fmt, io,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use async_trait::async_trait;
use gost_core::{
    addr::{Addr, Network},
    build::{self, Build},
    conn::{Conn, Io, Meta},
    error::Result,
    listener::{Incoming, Listener},
    meter::Meter,
    packet::Packet,
};
use gost_mux::MuxListener;
use gost_net::{
    Metered, fake_tcp,
    listen::listen_addr,
    udp::{self, UdpConn},
};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{
    door::Door, endpoint::Endpoint, link::Bell, options::KcpListenerOptions, settings::Settings,
    statistics::Watch, stream::KcpStream,
};

/// Sessions of a socket at once. Whoever knows the key can begin one with a single datagram, from
/// any address that he likes to write on it.
const MOST: usize = 16_384;

/// Sessions that may wait to be served when nothing else is said.
const BACKLOG: usize = 128;

/// A socket that is listened on, perhaps by several listeners while one takes the place of
/// another. Its sessions outlive both.
struct Held {
    local: Addr,
    settings: Mutex<(Arc<Settings>, usize)>,
    /// The socket, until somebody waits for sessions: until then it may still be another's.
    socket: Mutex<Option<Socket>>,
    waiting: Mutex<VecDeque<(KcpStream, Addr)>>,
    came: Notify,
    listeners: AtomicUsize,
    bell: Mutex<Option<Arc<Bell>>>,
}

/// What datagrams come through.
enum Socket {
    Udp(UdpSocket),
    FakeTcp(gost_fake_tcp::Listening),
}

/// Listens to sessions.
struct KcpListener {
    held: Arc<Held>,
    meter: Meter,
    /// How sessions are to be run from the first time on that this listener waits for one: until
    /// then the socket may still be another's.
    settings: Option<(Arc<Settings>, usize)>,
    _watch: Option<Arc<Watch>>,
}

pub(crate) async fn build(options: KcpListenerOptions, build: Build) -> Result<Box<dyn Listener>> {
    let settings = Settings::new(&options.kcp, &build.place)?;
    let mux = settings.mux.clone();
    let backlog = match options.backlog {
        0 => BACKLOG,
        backlog => backlog,
    };
    let settings = (settings, backlog);
    let held = hold(&build.addr, &build.door, &settings).await?;
    held.listeners.fetch_add(1, Relaxed);
    let listener = KcpListener {
        held,
        meter: build.door.meter.clone(),
        settings: Some(settings),
        _watch: Watch::start(),
    };
    Ok(Box::new(MuxListener::new(listener, mux)))
}

/// Opens a socket, or takes over that of another listener of the program.
async fn hold(
    at: &str,
    door: &build::Door,
    settings: &(Arc<Settings>, usize),
) -> Result<Arc<Held>> {
    let addr = listen_addr(at).await?;
    let netns = door.netns.as_deref().unwrap_or_default();
    let place = format!("{addr} {} {netns}", settings.0.network);
    let taken = (addr.port() != 0).then(|| door.held.get::<Held>(&place));
    if let Some(held) = taken.flatten() {
        return Ok(held);
    }
    let socket = Socket::open(at, door, &settings.0).await?;
    let held = Arc::new(Held {
        local: socket.local_addr()?.into(),
        settings: Mutex::new(settings.clone()),
        socket: Mutex::new(Some(socket)),
        waiting: Mutex::default(),
        came: Notify::new(),
        listeners: AtomicUsize::new(0),
        bell: Mutex::default(),
    });
    if addr.port() != 0 {
        door.held.hold(&place, &held);
    }
    Ok(held)
}

impl Socket {
    async fn open(at: &str, door: &build::Door, settings: &Settings) -> Result<Self> {
        let class = settings.dscp << 2;
        if settings.network == Network::FakeTcp {
            return Ok(Self::FakeTcp(fake_tcp::listen(at, door, class).await?));
        }
        let socket = udp::bind(at, door).await?;
        if class != 0 {
            let options = socket2::SockRef::from(&socket);
            let set = if socket.local_addr()?.is_ipv4() {
                options.set_tos_v4(class)
            } else {
                options.set_tclass_v6(class)
            };
            if let Err(error) = set {
                tracing::warn!("listen on {at}: dscp: {error}");
            }
        }
        Ok(Self::Udp(socket))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Udp(socket) => socket.local_addr(),
            Self::FakeTcp(listening) => listening.local_addr(),
        }
    }
}

impl Held {
    /// Begins to serve, if nobody did.
    fn start(self: &Arc<Self>) -> Result<()> {
        let Some(socket) = self.socket.lock().take() else {
            return Ok(());
        };
        let io: Box<dyn Packet> = match socket {
            Socket::Udp(socket) => Box::new(UdpConn::new(socket)?),
            Socket::FakeTcp(listening) => Box::new(listening.serve()?),
        };
        let endpoint = Endpoint::new(io, self.clone(), &self.local.to_string())?;
        *self.bell.lock() = Some(endpoint.bell());
        tokio::spawn(endpoint.run());
        Ok(())
    }
}

impl Door for Arc<Held> {
    fn settings(&self) -> Option<Arc<Settings>> {
        let (settings, backlog) = self.settings.lock().clone();
        let room = self.waiting.lock().len() < backlog;
        (room && !self.is_closed()).then_some(settings)
    }

    fn enter(&self, stream: KcpStream, peer: Addr) {
        self.waiting.lock().push_back((stream, peer));
        self.came.notify_one();
    }

    fn is_closed(&self) -> bool {
        self.listeners.load(Relaxed) == 0
    }

    fn most(&self) -> usize {
        MOST
    }
}

#[async_trait]
impl Listener for KcpListener {
    async fn accept(&mut self) -> Result<Incoming> {
        if let Some(settings) = self.settings.take() {
            *self.held.settings.lock() = settings;
        }
        self.held.start()?;
        loop {
            let next = self.held.waiting.lock().pop_front();
            if let Some((stream, peer)) = next {
                // Another may be waiting for the next.
                if !self.held.waiting.lock().is_empty() {
                    self.held.came.notify_one();
                }
                let meta = Meta::new(self.held.local.clone(), peer.clone());
                let conn = Conn {
                    io: Io::Stream(Metered::wrap(Box::new(stream), &self.meter)),
                    meta: Box::new(meta),
                };
                return Ok(Incoming::ready(peer, conn));
            }
            self.held.came.notified().await;
        }
    }

    fn addr(&self) -> Addr {
        self.held.local.clone()
    }

    fn network(&self) -> Network {
        Network::Udp
    }
}

impl Drop for KcpListener {
    fn drop(&mut self) {
        if self.held.listeners.fetch_sub(1, Relaxed) == 1 {
            self.held.waiting.lock().clear();
            if let Some(bell) = &*self.held.bell.lock() {
                bell.ring();
            }
        }
    }
}

impl fmt::Debug for KcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KcpListener({})", self.held.local)
    }
}
