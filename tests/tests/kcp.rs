//! The kcp channel between whole programs: restarts, reloads, statistics, memory, and kcptun.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use gost_testkit::{
    PATIENCE, peers, ports,
    process::{Launch, Process},
    tcp::{Behaviour, Server},
};
use gost_tests::{exchange, gost, gost_logged};
use nix::sys::signal::Signal;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// Starts a program and waits until it has a UDP port.
async fn on_udp(launch: Launch, port: u16) -> Result<Process> {
    let mut process = launch.spawn()?;
    process.ready_udp(port).await?;
    Ok(process)
}

async fn server(address: &str, port: u16) -> Result<Process> {
    on_udp(Launch::new(peers::gost_bin()?).args(["-L", address]), port).await
}

/// A local port that leads to `target` through a node.
async fn client(target: &Server, node: &str) -> Result<(Process, u16)> {
    let port = ports::tcp();
    let listen = format!("tcp://127.0.0.1:{port}/{}", target.address());
    Ok((gost(&["-L", &listen, "-F", node], port).await?, port))
}

/// A connection over which an echo has answered.
async fn connected(port: u16) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    still_works(&mut stream).await?;
    Ok(stream)
}

async fn still_works(stream: &mut TcpStream) -> Result<()> {
    let mut answer = [0; 4];
    stream.write_all(b"ping").await?;
    timeout(PATIENCE, stream.read_exact(&mut answer))
        .await
        .context("no answer")??;
    ensure!(&answer == b"ping", "other bytes");
    Ok(())
}

/// Whether a new connection is answered, before long.
async fn answers(port: u16, patience: Duration) -> bool {
    timeout(patience, connected(port))
        .await
        .is_ok_and(|done| done.is_ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_killed_and_started_again_is_found_again() -> Result<()> {
    let echo = Server::start(Behaviour::Echo).await?;
    let port = ports::udp();
    let address = format!("relay+kcp://127.0.0.1:{port}?kcp.key=k");
    let mut first = server(&address, port).await?;
    // A sign of life each second: until one is missing nobody knows that the server is gone.
    let (_client, local) = client(&echo, &format!("{address}&kcp.keepalive=1")).await?;
    let _idle = connected(local).await?;

    first.signal(Signal::SIGKILL)?;
    first.exit(PATIENCE).await?;
    let _second = server(&address, port).await?;
    let began = Instant::now();
    while !answers(local, Duration::from_millis(500)).await {
        ensure!(began.elapsed() < Duration::from_secs(15), "still dead");
    }
    Ok(())
}

fn configuration(file: &Path, port: u16, keys: &str) -> Result<()> {
    let text = format!(
        "log: {{level: info}}
services:
- name: kcp
  addr: 127.0.0.1:{port}
  handler: {{type: relay}}
  listener: {{type: kcp, metadata: {{{keys}}}}}
"
    );
    Ok(std::fs::write(file, text)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_changes_keeps_its_socket_and_sessions() -> Result<()> {
    let echo = Server::start(Behaviour::Echo).await?;
    let port = ports::udp();
    let folder = tempfile::tempdir()?;
    let (file, json) = (folder.path().join("a.yaml"), folder.path().join("kcp.json"));
    let named = format!("c: '{}'", json.display());
    std::fs::write(&json, r#"{"key": "one"}"#)?;
    configuration(&file, port, &named)?;
    let server = gost_logged(&["-C", &file.to_string_lossy()]).await?;
    let node = format!("relay+kcp://127.0.0.1:{port}?kcp.key");
    let (_a, one) = client(&echo, &format!("{node}=one")).await?;
    let mut old = connected(one).await?;

    for (keys, key) in [
        (format!("{named}, kcp.mode: fast"), "one"),
        (format!("{named}, kcp.key: two"), "two"),
    ] {
        configuration(&file, port, &keys)?;
        server.signal(Signal::SIGHUP)?;
        server
            .line("config reloaded: 0 services started, 1 changed")
            .await?;
        still_works(&mut old).await?;
        let (_new, local) = client(&echo, &format!("{node}={key}")).await?;
        connected(local).await?;
    }

    // What the file says is a change, too.
    configuration(&file, port, &named)?;
    server.signal(Signal::SIGHUP)?;
    std::fs::write(&json, r#"{"key": "three"}"#)?;
    server.signal(Signal::SIGHUP)?;
    let (_new, three) = client(&echo, &format!("{node}=three")).await?;
    let began = Instant::now();
    while !answers(three, Duration::from_millis(500)).await {
        ensure!(began.elapsed() < PATIENCE, "the new key is not there");
    }
    still_works(&mut old).await?;

    // One that can't be had changes nothing.
    std::fs::write(&json, r#"{"key": "four", "smuxver": 3}"#)?;
    server.signal(Signal::SIGHUP)?;
    server.line("nothing has changed").await?;
    let (_new, again) = client(&echo, &format!("{node}=three")).await?;
    connected(again).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_key_draws_a_warning_and_a_key_is_not_shown() -> Result<()> {
    let port = ports::udp();
    let open = gost_logged(&["-L", &format!("relay+kcp://127.0.0.1:{port}")]).await?;
    open.line("kcp.key is not set").await?;
    let port = ports::udp();
    let address = format!("relay+kcp://127.0.0.1:{port}?kcp.key=opensesame");
    let closed = gost_logged(&["-L", &address, "-D"]).await?;
    let said = closed.lines().join("\n");
    ensure!(!said.contains("kcp.key is not set"), "{said}");
    ensure!(!said.contains("opensesame"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_has_the_statistics_logged() -> Result<()> {
    let echo = Server::start(Behaviour::Echo).await?;
    let port = ports::udp();
    let address = format!("relay+kcp://127.0.0.1:{port}?kcp.key=k");
    let server = server(&address, port).await?;
    let (_client, local) = client(&echo, &address).await?;
    connected(local).await?;
    server.signal(Signal::SIGUSR1)?;
    let said = server.line("KCP SNMP").await?;
    for count in ["RetransSegs", "LostSegs", "FECRecovered", "RepeatSegs"] {
        ensure!(said.contains(count), "{said}");
    }
    ensure!(answers(local, PATIENCE).await, "the signal ended it");
    Ok(())
}

/// The options of kcptun, and what they are with us.
const THEIRS: [&str; 7] = ["--key", "k", "--crypt", "aes", "--mode", "fast", "--quiet"];
const OURS: &str =
    "kcp.key=k&kcp.crypt=aes&kcp.mode=fast&kcp.mtu=1350&kcp.sndwnd=1024&kcp.rcvwnd=1024";

#[tokio::test(flavor = "multi_thread")]
async fn kcptun_at_either_end() -> Result<()> {
    let (Some(theirs_near), Some(theirs_far)) =
        (peers::need("kcptun-client"), peers::need("kcptun-server"))
    else {
        return Ok(());
    };
    let echo = Server::start(Behaviour::Echo).await?;
    let target = echo.address().to_string();
    for ours_is_near in [true, false] {
        let (udp, tcp) = (ports::udp(), ports::tcp());
        let place = format!("127.0.0.1:{udp}");
        let local = format!("127.0.0.1:{tcp}");
        let far = if ours_is_near {
            Launch::new(&theirs_far)
                .args(["-l", &place, "-t", &target])
                .args(THEIRS)
        } else {
            let address = format!("forward+kcp://{place}/{target}?{OURS}");
            Launch::new(peers::gost_bin()?).args(["-L", &address])
        };
        let _far = on_udp(far, udp).await?;
        let near = if ours_is_near {
            let node = format!("forward+kcp://{place}?{OURS}");
            Launch::new(peers::gost_bin()?).args(["-L", &format!("tcp://{local}"), "-F", &node])
        } else {
            Launch::new(&theirs_near)
                .args(["-l", &local, "-r", &place])
                .args(THEIRS)
        };
        let mut near = near.spawn()?;
        near.ready(tcp).await?;
        let text: Vec<u8> = (0..200_000_u32).map(|n| (n * 7 / 8) as u8).collect();
        ensure!(exchange(tcp, &text[..4]).await? == text[..4]);
        let stream = TcpStream::connect(("127.0.0.1", tcp)).await?;
        let (mut read, mut write) = stream.into_split();
        let sent = text.clone();
        let sending = tokio::spawn(async move {
            let _ = write.write_all(&sent).await;
            write
        });
        let mut back = vec![0; text.len()];
        timeout(PATIENCE, read.read_exact(&mut back)).await??;
        ensure!(back == text, "other bytes came back");
        drop(sending.await?);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_over_one_session_are_small() -> Result<()> {
    const CONNECTIONS: u64 = 400;
    let echo = Server::start(Behaviour::Echo).await?;
    let port = ports::udp();
    let address = format!("relay+kcp://127.0.0.1:{port}?kcp.key=k");
    let server = server(&address, port).await?;
    let (client, local) = client(&echo, &address).await?;
    let mut idle = Vec::new();
    for _ in 0..50 {
        idle.push(connected(local).await?);
    }
    // What others share with the program changes as they come and go.
    let memory = || server.usage().rss + client.usage().rss;
    let before = memory();
    for _ in 0..CONNECTIONS {
        idle.push(connected(local).await?);
    }
    let each = memory().saturating_sub(before) / CONNECTIONS;
    println!("{each} bytes for each connection");
    // A build for debugging has larger tasks.
    let most = if cfg!(debug_assertions) { 20 } else { 10 };
    ensure!(each < most << 10, "{each} bytes for each connection");
    Ok(())
}
