//! Remote TCP ports and Unix sockets.

use std::{
    net::{Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use gost_testkit::{
    PATIENCE,
    payload::payload,
    peers, ports,
    process::{Launch, Signal},
    tcp,
};
use gost_tests::{ask, exchange};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UnixListener, UnixStream},
    task::JoinSet,
};

use crate::{Ours, pairs};

/// Echoes more than any window holds through one connection, both directions at once.
async fn echo(port: u16, seed: u64) -> Result<()> {
    let sent = payload(seed, 400_000);
    let (mut reader, mut writer) = TcpStream::connect(("127.0.0.1", port)).await?.into_split();
    let write = async {
        writer.write_all(&sent).await?;
        anyhow::Ok(())
    };
    let mut back = vec![0; sent.len()];
    let read = async {
        reader.read_exact(&mut back).await?;
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, async { tokio::try_join!(write, read) })
        .await
        .context("no echo")??;
    ensure!(back == sent, "other bytes came back");
    Ok(())
}

/// Many connections at once.
async fn echoes(port: u16) -> Result<()> {
    let mut clients = JoinSet::new();
    for seed in 0..12 {
        clients.spawn(echo(port, seed));
    }
    while let Some(done) = clients.join_next().await {
        done??;
    }
    Ok(())
}

/// A remote port through one node, in every mixture.
async fn through(node: &str) -> Result<()> {
    for (server, client) in pairs() {
        let target = tcp::Server::start(tcp::Behaviour::Echo).await?;
        let (port, remote) = (ports::tcp(), ports::tcp());
        let node = node.replace("NODE", &format!("127.0.0.1:{port}"));
        let (listen, _) = node.split_once('?').unwrap_or((&node, ""));
        let mut served = server.serve(&format!("{listen}?bind=true"), port).await?;
        let rtcp = format!("rtcp://127.0.0.1:{remote}/{}", target.address());
        let _client = client.start(&["-L", &rtcp, "-F", &node])?;
        served.ready(remote).await?;
        let done = echoes(remote).await;
        done.with_context(|| format!("{node}: server {server:?}, client {client:?}"))?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_through_relay_serves_many_at_once() -> Result<()> {
    through("relay://u:p@NODE").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_through_relay_without_delay_serves_many_at_once() -> Result<()> {
    through("relay://u:p@NODE?nodelay=true").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_through_socks5_serves_many_at_once() -> Result<()> {
    through("socks5://u:p@NODE").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_through_encrypted_channels_serves_many_at_once() -> Result<()> {
    for node in [
        "relay+tls://u:p@NODE",
        "relay+mwss://u:p@NODE",
        "socks5+wss://u:p@NODE",
    ] {
        through(node).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_alone_is_that_of_every_address() -> Result<()> {
    let target = tcp::Server::start(tcp::Behaviour::Echo).await?;
    for scheme in ["relay", "socks5"] {
        for (server, client) in pairs() {
            let (port, remote) = (ports::tcp(), ports::tcp());
            let listen = format!("{scheme}://127.0.0.1:{port}?bind=true");
            let mut served = server.serve(&listen, port).await?;
            let rtcp = format!("rtcp://:{remote}/{}", target.address());
            let node = format!("{scheme}://127.0.0.1:{port}");
            let _client = client.start(&["-L", &rtcp, "-F", &node])?;
            let ready = served.ready_at(([127, 0, 0, 2], remote).into()).await;
            ready.with_context(|| format!("{scheme}: server {server:?}, client {client:?}"))?;
            assert_eq!(exchange(remote, b"ping").await?, b"ping");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_may_be_ipv6() -> Result<()> {
    let target = tcp::Server::start_on(Ipv6Addr::LOCALHOST.into(), tcp::Behaviour::Echo).await?;
    for scheme in ["relay", "socks5"] {
        for (server, client) in pairs() {
            let (port, remote) = (ports::tcp(), ports::tcp());
            let at = |port: u16| SocketAddr::from((Ipv6Addr::LOCALHOST, port));
            let node = format!("{scheme}://{}", at(port));
            let mut served = server.start(&["-L", &format!("{node}?bind=true")])?;
            served.ready_at(at(port)).await?;
            let rtcp = format!("rtcp://{}/{}", at(remote), target.address());
            let _client = client.start(&["-L", &rtcp, "-F", &node])?;
            let ready = served.ready_at(at(remote)).await;
            ready.with_context(|| format!("{scheme}: server {server:?}, client {client:?}"))?;
            let mut visitor = TcpStream::connect(at(remote)).await?;
            visitor.write_all(b"ping").await?;
            let mut back = [0; 4];
            tokio::time::timeout(PATIENCE, visitor.read_exact(&mut back)).await??;
            assert_eq!(&back, b"ping");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_speaks_first_is_heard() -> Result<()> {
    for (server, client) in pairs() {
        let banner = Bytes::from_static(b"220 ready\r\n");
        let target = tcp::Server::start(tcp::Behaviour::Banner(banner.clone())).await?;
        let (port, remote) = (ports::tcp(), ports::tcp());
        let listen = format!("relay://127.0.0.1:{port}?bind=true");
        let mut served = server.serve(&listen, port).await?;
        let rtcp = format!("rtcp://127.0.0.1:{remote}/{}", target.address());
        let node = format!("relay://127.0.0.1:{port}");
        let _client = client.start(&["-L", &rtcp, "-F", &node])?;
        served.ready(remote).await?;
        let mut visitor = TcpStream::connect(("127.0.0.1", remote)).await?;
        let mut heard = vec![0; banner.len()];
        tokio::time::timeout(PATIENCE, visitor.read_exact(&mut heard)).await??;
        assert_eq!(heard, banner, "server {server:?}, client {client:?}");
    }
    Ok(())
}

/// The sessions that carry visitors have no half-close, so the target is not told; but the answer
/// to what was said comes back whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_that_ends_first_has_its_answer() -> Result<()> {
    let target = tcp::Server::start(tcp::Behaviour::Echo).await?;
    for scheme in ["relay", "socks5"] {
        let (port, remote) = (ports::tcp(), ports::tcp());
        let listen = format!("{scheme}://127.0.0.1:{port}?bind=true");
        let mut served = Ours.serve(&listen, port).await?;
        let rtcp = format!("rtcp://127.0.0.1:{remote}/{}", target.address());
        let node = format!("{scheme}://127.0.0.1:{port}");
        let _client = Ours.start(&["-L", &rtcp, "-F", &node])?;
        served.ready(remote).await?;
        let question = payload(3, 100_000);
        let answer = ask(remote, &question).await?;
        assert!(answer == question, "{scheme}: {} bytes", answer.len());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_to_the_node_may_lead_through_others() -> Result<()> {
    let target = tcp::Server::start(tcp::Behaviour::Echo).await?;
    let (first, second, remote) = (ports::tcp(), ports::tcp(), ports::tcp());
    let _first = Ours
        .serve(&format!("http://127.0.0.1:{first}"), first)
        .await?;
    let listen = format!("relay+mtcp://127.0.0.1:{second}?bind=true");
    let mut second_node = Ours.serve(&listen, second).await?;
    let args = [
        "-L",
        &format!("rtcp://127.0.0.1:{remote}/{}", target.address()),
        "-F",
        &format!("http://127.0.0.1:{first}"),
        "-F",
        &format!("relay+mtcp://127.0.0.1:{second}"),
    ];
    let _client = Ours.start(&args)?;
    second_node.ready(remote).await?;
    echoes(remote).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_port_comes_back_with_the_server_and_goes_with_the_client() -> Result<()> {
    let target = tcp::Server::start(tcp::Behaviour::Echo).await?;
    for (server, client) in pairs() {
        let (port, remote) = (ports::tcp(), ports::tcp());
        let listen = format!("relay://127.0.0.1:{port}?bind=true");
        let rtcp = format!("rtcp://127.0.0.1:{remote}/{}", target.address());
        let node = format!("relay://127.0.0.1:{port}");
        // The client is there first, and has to wait.
        let mut forwarder = client.start(&["-L", &rtcp, "-F", &node])?;
        for signal in [Signal::SIGKILL, Signal::SIGTERM] {
            let mut served = server.serve(&listen, port).await?;
            served.ready(remote).await?;
            assert_eq!(exchange(remote, b"ping").await?, b"ping");
            served.signal(signal)?;
            served.exit(PATIENCE).await?;
        }
        let mut served = server.serve(&listen, port).await?;
        served.ready(remote).await?;
        forwarder.signal(Signal::SIGKILL)?;
        forwarder.exit(PATIENCE).await?;
        let gone = async {
            while TcpStream::connect(("127.0.0.1", remote)).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, gone)
            .await
            .with_context(|| format!("{server:?} listens on for {client:?}"))?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_listen_is_told_and_nothing_listens() -> Result<()> {
    for (listen, node, said) in [
        (
            "relay://u:p@NODE?bind=true",
            "relay://u:wrong@NODE",
            "Unauthorized",
        ),
        ("relay://NODE", "relay://NODE", "Forbidden"),
        (
            "socks5://u:p@NODE?bind=true",
            "socks5://u:wrong@NODE",
            "refuses our user",
        ),
        ("socks5://NODE", "socks5://NODE", "not allowed"),
    ] {
        let (port, remote) = (ports::tcp(), ports::tcp());
        let at = |url: &str| url.replace("NODE", &format!("127.0.0.1:{port}"));
        let _served = Ours.serve(&at(listen), port).await?;
        let rtcp = format!("rtcp://127.0.0.1:{remote}/127.0.0.1:1");
        let client = Ours.start(&["-L", &rtcp, "-F", &at(node)])?;
        let line = client.line("accept: ").await?;
        assert!(line.contains(said), "{listen}: {line}");
        assert!(TcpStream::connect(("127.0.0.1", remote)).await.is_err());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_socket_leads_to_a_local_one() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let target = UnixListener::bind(path("target"))?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = target.accept().await {
            tokio::spawn(async move {
                let (mut reader, mut writer) = stream.split();
                // The visitor's end is the end.
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
            });
        }
    });
    let start = |args: &[&str]| {
        let launch = Launch::new(peers::gost_bin()?).args(args);
        launch.dir(folder.path()).spawn()
    };
    let port = ports::tcp();
    let node = format!("relay://127.0.0.1:{port}");
    let mut served = start(&["-L", &format!("{node}?bind=true")])?;
    served.ready(port).await?;
    let back = format!("runix://./remote{}", path("target"));
    let client = start(&["-L", &back, "-F", &node])?;
    client.line("bound").await?;
    for question in [&b"one"[..], b"two"] {
        let mut visitor = UnixStream::connect(path("remote")).await?;
        visitor.write_all(question).await?;
        let mut answer = vec![0; question.len()];
        tokio::time::timeout(PATIENCE, visitor.read_exact(&mut answer)).await??;
        assert_eq!(answer, question);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_chain_it_listens_here() -> Result<()> {
    let target = tcp::Server::start(tcp::Behaviour::Echo).await?;
    let port = ports::tcp();
    let rtcp = format!("rtcp://127.0.0.1:{port}/{}", target.address());
    let mut process = Ours.start(&["-L", &rtcp])?;
    process.ready(port).await?;
    echoes(port).await
}
