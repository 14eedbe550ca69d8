//! Datagrams through a pair.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use gost_testkit::{PATIENCE, payload::payload, process::udp_is_bound, udp};
use gost_tests::socks5::Association;
use tokio::{net::UdpSocket, task::JoinSet, time::timeout};

use crate::{
    pair::{Nodes, Other},
    streams::tail,
    table::{Datagrams, Pairing, Program, Protocol},
    targets::Targets,
};

/// The sizes that pass. The original cuts what is larger than its buffer of 4 KiB.
const fn sizes(protocol: &Protocol, pairing: Pairing) -> &'static [usize] {
    if pairing.needs_reference() {
        return &[1, 1400, 4000];
    }
    match protocol.datagrams {
        Datagrams::All => &[0, 1, 1400, 4000, 20_000, 65_000],
        Datagrams::NotEmpty | Datagrams::None => &[1, 1400, 4000, 20_000, 65_000],
    }
}

/// Sends a datagram of every size, and compares what comes back.
async fn echoed(socket: &UdpSocket, seed: u64, sizes: &[usize]) -> Result<()> {
    for size in sizes {
        let sent = payload(seed + *size as u64, *size);
        socket.send(&sent).await?;
        let got = udp::receive(socket, PATIENCE).await;
        let got = got.with_context(|| format!("{size} bytes"))?;
        ensure!(got == sent, "{size} bytes came back as {}", got.len());
    }
    Ok(())
}

/// Clients at once, each with datagrams of its own.
pub(crate) async fn clients(port: u16, count: u64, sizes: &'static [usize]) -> Result<()> {
    let mut tasks = JoinSet::new();
    for seed in 0..count {
        tasks.spawn(async move {
            let socket = udp::client(([127, 0, 0, 1], port).into()).await?;
            for round in 0..5 {
                echoed(&socket, 1000 * seed + round, sizes).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

pub(crate) async fn forwarded(nodes: &Nodes, protocol: &Protocol, pairing: Pairing) -> Result<()> {
    let port = nodes.other(protocol, Other::Datagrams)?;
    clients(port, 8, sizes(protocol, pairing)).await
}

/// A client that speaks SOCKS5 to the client node, and reaches two targets by one association.
pub(crate) async fn associated(
    targets: &Targets,
    nodes: &Nodes,
    protocol: &Protocol,
) -> Result<()> {
    let port = nodes.other(protocol, Other::Socks5)?;
    let association = Association::open(([127, 0, 0, 1], port).into(), None).await?;
    echo_of_two(association, targets).await
}

/// A client that speaks SOCKS5 to the server node, with a password, and with noise in between.
pub(crate) async fn associated_alone(
    targets: &Targets,
    nodes: &Nodes,
    protocol: &Protocol,
    pairing: Pairing,
) -> Result<()> {
    let server = nodes.server(protocol)?.parse()?;
    let wrong = Association::open(server, Some(("alice", "guess"))).await;
    ensure!(wrong.is_err(), "a wrong password will do");
    let association = Association::open(server, Some(("alice", "secret"))).await?;
    // The original ends an association with the first datagram that it can't read.
    if pairing.server() == Program::Ours {
        for noise in [
            &b""[..],
            b"\0",
            b"\0\0\0",
            b"\0\0\0\x09abc",
            b"\0\0\0\x01\x7f\0\0\x01\0\0",
        ] {
            association.send_raw(noise).await?;
        }
    }
    echo_of_two(association, targets).await
}

async fn echo_of_two(mut association: Association, targets: &Targets) -> Result<()> {
    let second = udp::Server::start(udp::Behaviour::Echo).await?;
    for (round, target) in [targets.datagrams.address(), second.address()]
        .into_iter()
        .cycle()
        .take(8)
        .enumerate()
    {
        let sent = payload(round as u64, 900);
        association.send(target, &sent).await?;
        let (from, got) = association.receive().await?;
        ensure!(got == sent, "{} other bytes came back", got.len());
        ensure!(from == target, "an answer of {target} came from {from}");
    }
    Ok(())
}

/// Clients of a UDP port that the server node has bound for the client node.
pub(crate) async fn remote(nodes: &Nodes, protocol: &Protocol, pairing: Pairing) -> Result<()> {
    let port = nodes.other(protocol, Other::RemoteUdp)?;
    let bound = async {
        while !udp_is_bound(port) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, bound)
        .await
        .with_context(|| format!("nothing is bound; {}", tail(nodes)))?;
    // With two clients the original mixes up their frames and starts anew, again and again.
    let count = if pairing.needs_reference() { 1 } else { 8 };
    // Both protocols frame these alike, and have no empty ones.
    let sizes = sizes(protocol, pairing);
    let from = sizes.iter().position(|size| *size > 0).unwrap_or_default();
    clients(port, count, &sizes[from..]).await
}
