//! KCP over a bad path: goodput, stalls, and a server that is killed.
//!
//! Ours and the reference run at the same time, each pair with a path of its own, and the same
//! settings; what the machine does meanwhile hits all of them alike.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use gost_testkit::{
    impair::{Impairment, UdpRelay},
    peers, ports,
    process::{Launch, Process},
    tcp::{Behaviour, Server},
};
use nix::sys::signal::Signal;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// What both ends are told.
const SETTINGS: [(&str, &str); 2] = [
    ("defaults", "kcp.key=bench"),
    (
        "fast, 256",
        "kcp.key=bench&kcp.mode=fast&kcp.sndwnd=256&kcp.rcvwnd=256",
    ),
];

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(100);

/// How long an answer may take before the connection counts as dead.
const LONGEST: Duration = Duration::from_mins(1);

/// How long one try to reach the server again may take.
const TRY: Duration = Duration::from_secs(2);

/// Measures for so many seconds, and prints a table.
pub(crate) fn run(gost: Option<PathBuf>, seconds: f64) -> Result<()> {
    let ours = match gost {
        Some(gost) => gost,
        None => peers::gost_bin()?,
    };
    let mut programs = vec![("ours", ours)];
    programs.extend(peers::peer("gost-reference").map(|path| ("reference", path)));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let rows = runtime.block_on(async {
        let mut work = Vec::new();
        for (settings, keys) in SETTINGS {
            for (label, program) in &programs {
                let (label, program) = (*label, program.clone());
                let length = Duration::from_secs_f64(seconds);
                work.push(tokio::spawn(async move {
                    let row = measure(&program, keys, length).await;
                    row.with_context(|| format!("{label}, {settings}"))
                        .map(|row| (settings, label, row))
                }));
            }
        }
        let mut rows = Vec::new();
        for row in work {
            rows.push(row.await??);
        }
        Ok::<_, anyhow::Error>(rows)
    })?;
    println!("2 % loss, 50 ms delay and up to 10 ms jitter each way, for {seconds} s");
    println!();
    println!(
        "| settings | program | Mbit/s down | longest gap ms | worst answer ms | after a restart s |"
    );
    println!("|---|---|---|---|---|---|");
    for (settings, label, row) in rows {
        let [gap, answer] = [row.gap, row.answer].map(|time| time.as_millis());
        let (rate, again) = (row.rate, row.again.as_secs_f64());
        println!("| {settings} | {label} | {rate:.2} | {gap} | {answer} | {again:.1} |");
    }
    Ok(())
}

/// What a pair has shown.
struct Row {
    /// Megabits of payload each second.
    rate: f64,
    /// The longest time that nothing arrived in.
    gap: Duration,
    /// The longest time that a small question took, beside that download.
    answer: Duration,
    /// From the start of another server in the place of one that was killed until a new connection
    /// worked.
    again: Duration,
}

async fn measure(program: &Path, keys: &str, length: Duration) -> Result<Row> {
    let endless = Behaviour::Source {
        seed: 1,
        len: u64::MAX,
    };
    let source = Server::start(endless).await?;
    let echo = Server::start(Behaviour::Echo).await?;
    let hop = ports::udp();
    let mut server = serve(program, keys, hop).await?;
    let impairment = Impairment {
        delay: Duration::from_millis(50),
        jitter: Duration::from_millis(10),
        loss: 0.02,
        ..Impairment::default()
    };
    let path = UdpRelay::start((Ipv4Addr::LOCALHOST, hop).into(), impairment).await?;
    let (_down, down) = client(program, keys, path.address(), &source).await?;
    let (_ask, ask) = client(program, keys, path.address(), &echo).await?;
    let until = Instant::now() + length;
    let (download, answer) = tokio::join!(download(down, until), questions(ask, until));
    let (bytes, gap) = download?;
    let answer = answer?;

    server.signal(Signal::SIGKILL)?;
    server.exit(LONGEST).await?;
    let _server = serve(program, keys, hop).await?;
    let began = Instant::now();
    while timeout(TRY, question(ask)).await.is_err() {
        ensure!(began.elapsed() < LONGEST, "dead since the restart");
    }
    Ok(Row {
        rate: bytes as f64 * 8e-6 / length.as_secs_f64(),
        gap,
        answer,
        again: began.elapsed(),
    })
}

async fn serve(program: &Path, keys: &str, hop: u16) -> Result<Process> {
    let listen = format!("relay+kcp://127.0.0.1:{hop}?{keys}");
    let mut server = Launch::new(program).args(["-L", &listen]).quiet().spawn()?;
    server.ready_udp(hop).await?;
    Ok(server)
}

/// A port that leads to a server through the path.
async fn client(
    program: &Path,
    keys: &str,
    path: SocketAddr,
    to: &Server,
) -> Result<(Process, SocketAddr)> {
    let port = ports::tcp();
    let listen = format!("tcp://127.0.0.1:{port}/{}", to.address());
    let node = format!("relay+kcp://{path}?{keys}");
    let launch = Launch::new(program).args(["-L", &listen, "-F", &node]);
    let mut client = launch.quiet().spawn()?;
    client.listening(port).await?;
    Ok((client, (Ipv4Addr::LOCALHOST, port).into()))
}

/// How much came, and the longest gap.
async fn download(from: SocketAddr, until: Instant) -> Result<(u64, Duration)> {
    let mut stream = TcpStream::connect(from).await?;
    // The reference sends no request before it has data.
    stream.write_all(b"!").await?;
    let mut buffer = vec![0; 1 << 16];
    let (mut bytes, mut gap) = (0, Duration::ZERO);
    while Instant::now() < until {
        let since = Instant::now();
        let read = timeout(LONGEST, stream.read(&mut buffer)).await;
        let read = read.context("the download stalls")??;
        ensure!(read > 0, "the download ended");
        gap = gap.max(since.elapsed());
        bytes += read as u64;
    }
    Ok((bytes, gap))
}

/// The longest time that an answer took on a connection of its own.
async fn questions(to: SocketAddr, until: Instant) -> Result<Duration> {
    let mut stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let mut worst = Duration::ZERO;
    while Instant::now() < until {
        let since = Instant::now();
        timeout(LONGEST, ask(&mut stream))
            .await
            .context("no answer")??;
        worst = worst.max(since.elapsed());
        tokio::time::sleep(PAUSE).await;
    }
    Ok(worst)
}

async fn ask(stream: &mut TcpStream) -> Result<()> {
    stream.write_all(&[7; 64]).await?;
    let mut answer = [0; 64];
    stream.read_exact(&mut answer).await?;
    Ok(())
}

/// A question on a new connection, until it is answered.
async fn question(to: SocketAddr) {
    loop {
        let asked = async {
            let mut stream = TcpStream::connect(to).await?;
            ask(&mut stream).await
        };
        if asked.await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
