//! A change of the configuration costs those who are not concerned nothing.

use std::{
    fmt::Write as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use gost_testkit::{
    PATIENCE, peers, ports,
    process::{Launch, Process},
    tcp,
    usage::Usage,
};
use gost_tests::{exchange, gost, gost_logged};
use nix::sys::signal::Signal;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

const SERVICES: usize = 8;

/// Eight services that forward, of which the second half is different in every version. The
/// `version` shows on a service of its own.
fn config(ports: &[u16], version: usize, targets: [u16; 2], half: usize) -> String {
    let mut yaml = format!(
        "log: {{level: warn}}
services:
- name: version
  addr: 127.0.0.1:{}
  handler: {{type: tcp}}
  forwarder: {{nodes: [{{name: t, addr: '127.0.0.1:{}'}}]}}
",
        ports[SERVICES],
        targets[version % 2]
    );
    for (n, port) in ports[..SERVICES].iter().enumerate() {
        let change = if n < SERVICES / 2 { 0 } else { half };
        // Another listener, another handler, or both.
        let listener = if n % 2 == 0 { change } else { 0 };
        let handler = if n % 4 == 0 { 0 } else { change };
        writeln!(
            yaml,
            "- name: s{n}
  addr: 127.0.0.1:{port}
  handler: {{type: tcp, metadata: {{idleTimeout: {}s}}}}
  listener: {{type: tcp, metadata: {{keepalive.idle: {}s}}}}
  forwarder: {{nodes: [{{name: t, addr: '127.0.0.1:{}'}}]}}",
            1000 + handler,
            1000 + listener,
            targets[0]
        )
        .expect("text");
    }
    yaml
}

/// A server that says which version it stands for, and closes.
async fn banner(text: &'static [u8]) -> Result<u16> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.write_all(text).await;
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    Ok(port)
}

/// One exchange over a new connection.
async fn visit(port: u16) -> Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))
        .await
        .context("connect")?;
    ensure!(
        stream.read_u8().await.context("banner")? == b'0',
        "a stranger"
    );
    stream.write_all(b"ping").await.context("write")?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await.context("read")?;
    ensure!(&answer == b"ping", "other bytes");
    Ok(())
}

async fn until_version(port: u16, version: usize) -> Result<()> {
    let wanted = b"01"[version % 2];
    let asking = async {
        loop {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
            if stream.read_u8().await? == wanted {
                return anyhow::Ok(());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking)
        .await
        .context("no reload")?
}

/// How many descriptors the process holds once it has opened what it needs: each of its threads
/// opens the listeners for itself, and one may be there before the other.
async fn settled_descriptors(process: &Process) -> Result<u64> {
    let settling = async {
        let (mut last, mut same) = (0, 0);
        while same < 50 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let now = process.usage().descriptors;
            same = if now == last { same + 1 } else { 0 };
            last = now;
        }
        last
    };
    tokio::time::timeout(PATIENCE, settling)
        .await
        .context("descriptors come and go")
}

/// Waits until the process holds no more descriptors than that.
async fn descriptors_fall_to(process: &Process, most: u64) -> Result<()> {
    let waiting = async {
        while process.usage().descriptors > most {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .with_context(|| format!("{} descriptors, not {most}", process.usage().descriptors))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_reloads_under_load_cost_unchanged_services_nothing() -> Result<()> {
    let targets = [banner(b"0").await?, banner(b"1").await?];
    let ports: Vec<_> = (0..=SERVICES).map(|_| ports::tcp()).collect();
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("gost.yaml");
    std::fs::write(&file, config(&ports, 0, targets, 0))?;
    let mut gost = gost(&["-C", &file.to_string_lossy()], ports[0]).await?;
    until_version(ports[SERVICES], 0).await?;
    let before = settled_descriptors(&gost).await?;

    let running = Arc::new(AtomicBool::new(true));
    let visits = Arc::new(AtomicUsize::new(0));
    let mut load = JoinSet::new();
    for &port in &ports[..SERVICES] {
        // Those who come and go, and one who stays.
        let (on, visits) = (running.clone(), visits.clone());
        load.spawn(async move {
            while on.load(SeqCst) {
                visit(port).await.with_context(|| format!("port {port}"))?;
                visits.fetch_add(1, SeqCst);
            }
            Ok(())
        });
        let on = running.clone();
        load.spawn(async move {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
            stream.read_u8().await?;
            while on.load(SeqCst) {
                stream.write_all(b"x").await.context("write")?;
                stream.read_u8().await.context("read")?;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            anyhow::Ok(())
        });
    }
    let mut early = 0;
    for version in 1..=100 {
        std::fs::write(&file, config(&ports, version, targets, version / 2))?;
        gost.signal(Signal::SIGHUP)?;
        until_version(ports[SERVICES], version).await?;
        if version == 20 {
            early = gost.usage().anonymous;
        }
    }
    let late = gost.usage().anonymous;
    running.store(false, SeqCst);
    while let Some(done) = load.join_next().await {
        done??;
    }
    let visits = visits.load(SeqCst);
    ensure!(visits > 1000, "only {visits} visits");
    descriptors_fall_to(&gost, before).await?;
    ensure!(
        late < early + (2 << 20),
        "memory grew from {early} to {late}"
    );
    println!("{visits} visits; {early} bytes after 20 reloads, {late} after 100");
    gost.signal(Signal::SIGTERM)?;
    ensure!(gost.exit(PATIENCE).await?.success());
    let said = gost.lines().join("\n");
    ensure!(said.is_empty(), "{said}");
    Ok(())
}

fn forward(port: u16, to: u16, log: &Path) -> String {
    format!(
        "log: {{output: '{}'}}
services:
- name: s
  addr: 127.0.0.1:{port}
  handler: {{type: tcp}}
  forwarder: {{nodes: [{{name: t, addr: '127.0.0.1:{to}'}}]}}
",
        log.display()
    )
}

/// Waits until a file has a text.
async fn until_logged(file: &Path, text: &str) -> Result<String> {
    let waiting = async {
        loop {
            let log = std::fs::read_to_string(file).unwrap_or_default();
            if log.contains(text) {
                return log;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .with_context(|| format!("no {text:?} in the log"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_changes_nothing_and_the_log_moves_on() -> Result<()> {
    let echo = tcp::Server::start(tcp::Behaviour::Echo).await?;
    let (port, other) = (ports::tcp(), ports::tcp());
    let folder = tempfile::tempdir()?;
    let (file, log) = (folder.path().join("gost.yaml"), folder.path().join("log"));
    std::fs::write(&file, forward(port, echo.port(), &log))?;
    let gost = gost(&["-C", &file.to_string_lossy()], port).await?;

    let bad = forward(other, 1, &log).replace("handler:", "handlr: {}\n  handler:");
    std::fs::write(&file, bad.replace("type: tcp", "type: nosuch"))?;
    gost.signal(Signal::SIGHUP)?;
    let said = until_logged(&log, "nothing has changed").await?;
    ensure!(said.contains("unknown handler"), "{said}");
    ensure!(TcpStream::connect(("127.0.0.1", other)).await.is_err());
    ensure!(exchange(port, b"ping").await? == b"ping");

    // What turns logs over moves the file away, and then sends the signal.
    let old = folder.path().join("log.1");
    std::fs::rename(&log, &old)?;
    std::fs::write(&file, forward(other, echo.port(), &log))?;
    gost.signal(Signal::SIGHUP)?;
    until_logged(&log, "config reloaded: 0 services started, 1 changed").await?;
    ensure!(exchange(other, b"ping").await? == b"ping");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_is_read_again_at_regular_times() -> Result<()> {
    let echo = tcp::Server::start(tcp::Behaviour::Echo).await?;
    let (port, other) = (ports::tcp(), ports::tcp());
    let folder = tempfile::tempdir()?;
    let (file, log) = (folder.path().join("gost.yaml"), folder.path().join("log"));
    std::fs::write(&file, forward(port, echo.port(), &log))?;
    let mut gost = gost(&["-R", "50ms", "-C", &file.to_string_lossy()], port).await?;
    std::fs::write(&file, forward(other, echo.port(), &log))?;
    gost.ready(other).await?;
    ensure!(exchange(other, b"ping").await? == b"ping");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_that_stays_is_said_once() -> Result<()> {
    let echo = tcp::Server::start(tcp::Behaviour::Echo).await?;
    let port = ports::tcp();
    let config = format!(
        "{{\"services\": [{{\"name\": \"s\", \"addr\": \"127.0.0.1:{port}\", \"handler\": \
         {{\"type\": \"tcp\"}}, \"forwarder\": {{\"nodes\": [{{\"name\": \"t\", \"addr\": \
         \"{}\"}}]}}}}]}}",
        echo.address()
    );
    let web = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/gost.json", web.local_addr()?);
    let mut gost = Launch::new(peers::gost_bin()?)
        .args(["-R", "10ms", "-C", &url])
        .spawn()?;
    let answer = async |status: &str, body: &str| -> Result<()> {
        let (mut client, _) = tokio::time::timeout(PATIENCE, web.accept()).await??;
        let _ = client.read(&mut [0; 4096]).await?;
        let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: ");
        let text = format!("{head}{}\r\n\r\n{body}", body.len());
        Ok(client.write_all(text.as_bytes()).await?)
    };
    answer("200 OK", &config).await?;
    gost.ready(port).await?;
    for _ in 0..5 {
        answer("500 No", "").await?;
    }
    gost.line("nothing has changed").await?;
    let lines = gost.lines();
    for part in ["nothing has changed", "status 500"] {
        let count = lines.iter().filter(|line| line.contains(part)).count();
        ensure!(count == 1, "{part}: {lines:?}");
    }
    ensure!(exchange(port, b"ping").await? == b"ping");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn services_of_the_command_line_go_on_through_a_signal() -> Result<()> {
    let echo = tcp::Server::start(tcp::Behaviour::Echo).await?;
    let port = ports::tcp();
    let listen = format!("tcp://127.0.0.1:{port}/{}", echo.address());
    let gost = gost_logged(&["-L", &listen]).await?;
    gost.signal(Signal::SIGHUP)?;
    gost.line("config reloaded: 0 services started, 0 changed, 0 stopped, 1 unchanged")
        .await?;
    ensure!(exchange(port, b"ping").await? == b"ping");
    ensure!(Usage::of(gost.id())?.descriptors > 0);
    Ok(())
}
