//! Remote UDP ports.

use std::net::{Ipv6Addr, SocketAddr};

use anyhow::{Context as _, Result, ensure};
use gost_testkit::{PATIENCE, ports, process::Process, udp};
use tokio::{net::UdpSocket, task::JoinSet};

use crate::{Ours, TheOriginals, Whose, pairs};

/// One client that asks and is answered, a few times.
async fn client(port: u16, number: u8) -> Result<()> {
    let socket = udp::client(([127, 0, 0, 1], port).into()).await?;
    for round in 0..5 {
        let sent = [number, round, 0, 255];
        socket.send(&sent).await?;
        let answer = udp::receive(&socket, PATIENCE).await?;
        ensure!(answer == sent, "client {number} got {answer:?}");
    }
    Ok(())
}

/// Many clients at once, each of which gets its own answers.
async fn clients(port: u16, count: u8) -> Result<()> {
    let mut all = JoinSet::new();
    for number in 0..count {
        all.spawn(client(port, number));
    }
    while let Some(done) = all.join_next().await {
        done??;
    }
    Ok(())
}

/// A server, a client for which it listens on a UDP port, and that port.
async fn remote(
    whose: (Whose, Whose),
    node: &str,
    options: &str,
    target: SocketAddr,
) -> Result<(Process, Process, u16)> {
    let (port, remote) = (ports::tcp(), ports::udp());
    let node = node.replace("NODE", &format!("127.0.0.1:{port}"));
    let listen = format!("{node}?bind=true&udp=true");
    let mut served = whose.0.serve(&listen, port).await?;
    let rudp = format!("rudp://127.0.0.1:{remote}/{target}{options}");
    let client = whose.1.start(&["-L", &rudp, "-F", &node])?;
    served.ready_udp(remote).await?;
    Ok((served, client, remote))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_serves_many_clients_at_once() -> Result<()> {
    for node in ["relay://u:p@NODE", "socks5://u:p@NODE"] {
        for (server, client) in pairs() {
            let target = udp::Server::start(udp::Behaviour::Echo).await?;
            let (_server, _client, port) =
                remote((server, client), node, "", target.address()).await?;
            // At its client's end, the original takes all visitors for one.
            let count = if client == TheOriginals { 1 } else { 50 };
            let done = clients(port, count).await;
            done.with_context(|| format!("{node}: server {server:?}, client {client:?}"))?;
        }
    }
    Ok(())
}

/// All but the empty one, for which the framing in a stream has no form.
#[tokio::test(flavor = "multi_thread")]
async fn datagrams_of_every_size_pass() -> Result<()> {
    let target = udp::Server::start(udp::Behaviour::Echo).await?;
    for node in ["relay://NODE", "socks5://NODE"] {
        let (_server, _client, port) = remote((Ours, Ours), node, "", target.address()).await?;
        let client = udp::client(([127, 0, 0, 1], port).into()).await?;
        for size in [1, 1_472, 4_097, 32_768, udp::MAX_DATAGRAM] {
            let sent = vec![size as u8; size];
            client.send(&sent).await?;
            let answer = udp::receive(&client, PATIENCE).await;
            let answer = answer.with_context(|| format!("{node}: {size} bytes"))?;
            assert!(answer == sent, "{node}: {size} bytes");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_arrives_whole() -> Result<()> {
    let target = udp::Server::start(udp::Behaviour::Echo).await?;
    for node in ["relay://NODE", "socks5://NODE"] {
        let (_server, _client, port) = remote((Ours, Ours), node, "", target.address()).await?;
        let client = udp::client(([127, 0, 0, 1], port).into()).await?;
        for number in 0..200_u8 {
            client.send(&[number; 100]).await?;
        }
        let mut numbers = Vec::new();
        for _ in 0..200 {
            let answer = udp::receive(&client, PATIENCE).await;
            let answer = answer.with_context(|| format!("{node}: {} came", numbers.len()))?;
            numbers.push(answer[0]);
        }
        assert_eq!(numbers, (0..200).collect::<Vec<_>>(), "{node}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_may_be_ipv6() -> Result<()> {
    let v6 = |port: u16| SocketAddr::from((Ipv6Addr::LOCALHOST, port));
    let target = udp::Server::start_on(Ipv6Addr::LOCALHOST.into(), udp::Behaviour::Echo).await?;
    for scheme in ["relay", "socks5"] {
        let (port, remote) = (ports::tcp(), ports::udp());
        let node = format!("{scheme}://{}", v6(port));
        let mut served = Ours.start(&["-L", &format!("{node}?bind=true&udp=true")])?;
        served.ready_at(v6(port)).await?;
        let rudp = format!("rudp://{}/{}", v6(remote), target.address());
        let _client = Ours.start(&["-L", &rudp, "-F", &node])?;
        served.ready_udp(remote).await?;
        let client = udp::client(v6(remote)).await?;
        for size in [1, 1_452, udp::MAX_DATAGRAM] {
            let sent = vec![size as u8; size];
            client.send(&sent).await?;
            let answer = udp::receive(&client, PATIENCE).await;
            let answer = answer.with_context(|| format!("{scheme}: {size} bytes"))?;
            assert!(answer == sent, "{scheme}: {size} bytes");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_client_is_forgotten_and_served_anew() -> Result<()> {
    let target = udp::Server::start(udp::Behaviour::Echo).await?;
    let (_server, running, port) =
        remote((Ours, Ours), "relay://NODE", "?ttl=300ms", target.address()).await?;
    let client = UdpSocket::bind("127.0.0.1:0").await?;
    client.connect(("127.0.0.1", port)).await?;
    for round in 0..2 {
        client.send(&[round]).await?;
        assert_eq!(udp::receive(&client, PATIENCE).await?, [round]);
        running.line(">-<").await?;
    }
    let all = target.received();
    assert_ne!(all[0].peer, all[1].peer, "a new way to the target");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_port_comes_back_with_the_server() -> Result<()> {
    let target = udp::Server::start(udp::Behaviour::Echo).await?;
    for scheme in ["relay", "socks5"] {
        let (port, remote) = (ports::tcp(), ports::udp());
        let listen = format!("{scheme}://127.0.0.1:{port}?bind=true&udp=true");
        let rudp = format!("rudp://127.0.0.1:{remote}/{}", target.address());
        let node = format!("{scheme}://127.0.0.1:{port}");
        let _client = Ours.start(&["-L", &rudp, "-F", &node])?;
        for round in 0..2 {
            let mut served = Ours.serve(&listen, port).await?;
            served.ready_udp(remote).await?;
            let done = clients(remote, 5).await;
            done.with_context(|| format!("{scheme}: round {round}"))?;
        }
    }
    Ok(())
}
