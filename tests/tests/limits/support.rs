//! A program with a configuration of its own, and measures of what passes through it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Result, ensure};
use gost_testkit::PATIENCE;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinSet,
    time::{Instant, timeout},
};

pub(crate) const MEGA: f64 = 1024.0 * 1024.0;

/// A server that sends for as long as it can, and counts what it gets.
pub(crate) struct Far {
    pub(crate) port: u16,
    got: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Far {
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (port, got) = (listener.local_addr()?.port(), Arc::<AtomicU64>::default());
        let mut tasks = JoinSet::new();
        let counter = got.clone();
        tasks.spawn(async move {
            let mut conns = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (mut reader, mut writer) = stream.into_split();
                let got = counter.clone();
                conns.spawn(async move {
                    let mut buffer = vec![0; 64 * 1024];
                    while let Ok(n @ 1..) = reader.read(&mut buffer).await {
                        got.fetch_add(n as u64, Relaxed);
                    }
                });
                conns.spawn(async move {
                    let buffer = vec![0; 64 * 1024];
                    while writer.write_all(&buffer).await.is_ok() {}
                });
            }
        });
        Ok(Self {
            port,
            got,
            _tasks: tasks,
        })
    }

    pub(crate) fn got(&self) -> u64 {
        self.got.load(Relaxed)
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }
}

/// A connection to a port of this machine, from an address of it.
pub(crate) async fn connect(from: Ipv4Addr, port: u16) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    let to = (Ipv4Addr::LOCALHOST, port).into();
    Ok(timeout(PATIENCE, socket.connect(to)).await??)
}

/// How a target is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Through<'a> {
    /// The service knows the target.
    Forward,
    Http,
    Socks5,
    /// With a user and the password `secret`.
    User(&'a str),
}

/// A connection to the far end through a service.
pub(crate) async fn open(
    through: Through<'_>,
    from: Ipv4Addr,
    port: u16,
    far: &Far,
) -> Result<TcpStream> {
    let mut stream = connect(from, port).await?;
    let negotiate = async {
        match through {
            Through::Forward => {}
            Through::Http => {
                let to = far.addr();
                let request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n");
                stream.write_all(request.as_bytes()).await?;
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await?);
                }
                ensure!(head.starts_with(b"HTTP/1.1 200"), "refused");
            }
            Through::Socks5 => {
                stream.write_all(&[5, 1, 0]).await?;
                let mut method = [0; 2];
                stream.read_exact(&mut method).await?;
                ensure!(method == [5, 0], "{method:?}");
                socks_connect(&mut stream, far).await?;
            }
            Through::User(name) => {
                stream.write_all(&[5, 1, 2]).await?;
                let mut method = [0; 2];
                stream.read_exact(&mut method).await?;
                ensure!(method == [5, 2], "{method:?}");
                let mut login = vec![1, u8::try_from(name.len())?];
                login.extend(name.as_bytes());
                login.push(6);
                login.extend(b"secret");
                stream.write_all(&login).await?;
                let mut status = [0; 2];
                stream.read_exact(&mut status).await?;
                ensure!(status == [1, 0], "{status:?}");
                socks_connect(&mut stream, far).await?;
            }
        }
        anyhow::Ok(())
    };
    timeout(PATIENCE, negotiate).await??;
    Ok(stream)
}

async fn socks_connect(stream: &mut TcpStream, far: &Far) -> Result<()> {
    let mut request = vec![5, 1, 0, 1, 127, 0, 0, 1];
    request.extend(far.port.to_be_bytes());
    stream.write_all(&request).await?;
    let mut reply = [0; 10];
    stream.read_exact(&mut reply).await?;
    ensure!(reply[1] == 0, "{reply:?}");
    Ok(())
}

/// How long is measured.
pub(crate) const TIME: Duration = Duration::from_secs(3);

/// What connections get in a while, in bytes per second each. What is on its way already when it
/// begins does not count.
pub(crate) async fn downloads(streams: &mut [TcpStream]) -> Result<Vec<f64>> {
    let start = Instant::now() + Duration::from_millis(300);
    let mut reading = JoinSet::new();
    let mut rates = vec![0.0; streams.len()];
    for (at, stream) in streams.iter_mut().enumerate() {
        let stream = TcpStream::from_std(duplicate(stream)?)?;
        reading.spawn(async move { (at, download(stream, start).await) });
    }
    while let Some(done) = reading.join_next().await {
        let (at, rate) = done?;
        rates[at] = rate?;
    }
    Ok(rates)
}

fn duplicate(stream: &TcpStream) -> Result<std::net::TcpStream> {
    use std::os::fd::AsFd as _;
    Ok(stream.as_fd().try_clone_to_owned()?.into())
}

async fn download(mut stream: TcpStream, start: Instant) -> Result<f64> {
    let mut buffer = vec![0; 64 * 1024];
    let mut got = 0;
    loop {
        let left = (start + TIME).saturating_duration_since(Instant::now());
        let Ok(read) = timeout(left, stream.read(&mut buffer)).await else {
            break;
        };
        let n = read?;
        ensure!(n > 0, "ended");
        if Instant::now() >= start {
            got += n;
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a measure")]
    let rate = got as f64 / TIME.as_secs_f64();
    Ok(rate)
}

/// What the far end gets of connections in a while, in bytes per second of all together.
pub(crate) async fn upload(streams: &mut [TcpStream], far: &Far) -> Result<f64> {
    let mut writing = JoinSet::new();
    for stream in streams {
        let mut stream = TcpStream::from_std(duplicate(stream)?)?;
        writing.spawn(async move {
            let buffer = vec![0; 64 * 1024];
            while stream.write_all(&buffer).await.is_ok() {}
        });
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (before, start) = (far.got(), Instant::now());
    tokio::time::sleep(TIME).await;
    let got = far.got() - before;
    #[expect(clippy::cast_precision_loss, reason = "a measure")]
    let rate = got as f64 / start.elapsed().as_secs_f64();
    Ok(rate)
}

/// Measures until it is as it should be, a few times at most: a machine that does other things at
/// the same time lets less pass, and counts late what passed before.
pub(crate) async fn steady(mut measure: impl AsyncFnMut() -> Result<()>) -> Result<()> {
    for _ in 0..4 {
        if measure().await.is_ok() {
            return Ok(());
        }
    }
    measure().await
}

/// A rate is what it should be.
pub(crate) fn about(rate: f64, wanted: f64, what: &str) -> Result<()> {
    let part = rate / wanted;
    ensure!(
        (0.85..1.06).contains(&part),
        "{what}: {rate:.0} bytes per second instead of {wanted:.0}"
    );
    Ok(())
}

/// An address of this machine.
pub(crate) const fn local(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, last)
}
