//! UDP forwarding: every size, both families, bursts, many clients; what is lost is counted and
//! said, and an idle client is forgotten.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use anyhow::{Context as _, Result, ensure};
use gost_testkit::{PATIENCE, peers, ports, process::Process, tcp, udp};
use gost_tests::{dns, gost, gost_logged};
use tokio::{net::UdpSocket, process::Command, task::JoinSet};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// A forward from a port of the system's choice.
async fn forward(ip: IpAddr, target: SocketAddr, options: &str) -> Result<(Process, SocketAddr)> {
    let local = SocketAddr::new(ip, ports::udp());
    let listen = format!("udp://{local}/{target}{options}");
    Ok((gost_logged(&["-L", &listen]).await?, local))
}

async fn echo(client: &UdpSocket, sent: &[u8]) -> Result<()> {
    client.send(sent).await?;
    let answer = udp::receive(client, PATIENCE).await;
    let answer = answer.with_context(|| format!("{} bytes", sent.len()))?;
    ensure!(answer == sent, "{} bytes came back changed", sent.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_of_every_size_pass_on_both_families() -> Result<()> {
    for (near, far) in [(V4, V4), (V6, V6), (V4, V6), (V6, V4)] {
        let target = udp::Server::start_on(far, udp::Behaviour::Echo).await?;
        let (_gost, local) = forward(near, target.address(), "").await?;
        let client = udp::client(local).await?;
        for size in [0, 1, 512, 1_472, 4_097, 32_768, udp::MAX_DATAGRAM] {
            echo(&client, &vec![size as u8; size]).await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_pass_a_chain() -> Result<()> {
    let target = udp::Server::start(udp::Behaviour::Echo).await?;
    for node in ["relay://NODE", "socks5://NODE", "http://NODE"] {
        let port = ports::tcp();
        let node = node.replace("NODE", &format!("127.0.0.1:{port}"));
        let _node = gost(&["-L", &format!("{node}?udp=true")], port).await?;
        let local = SocketAddr::new(V4, ports::udp());
        let listen = format!("udp://{local}/{}", target.address());
        let _gost = gost_logged(&["-L", &listen, "-F", &node]).await?;
        let client = udp::client(local).await?;
        for size in [1, 1_472, 4_097, udp::MAX_DATAGRAM] {
            let done = echo(&client, &vec![size as u8; size]).await;
            done.with_context(|| node.clone())?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_arrives_whole_and_in_order() -> Result<()> {
    let target = udp::Server::start(udp::Behaviour::Echo).await?;
    for size in [10, 1_000] {
        let (_gost, local) = forward(V4, target.address(), "").await?;
        let client = udp::client(local).await?;
        // About as much as the system's buffer of a socket holds.
        for number in 0..100_u8 {
            client.send(&vec![number; size]).await?;
        }
        let mut numbers = Vec::new();
        for _ in 0..100 {
            let answer = udp::receive(&client, PATIENCE).await;
            let answer = answer.with_context(|| format!("{} came", numbers.len()))?;
            ensure!(answer.len() == size);
            numbers.push(answer[0]);
        }
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_may_have_many_answers() -> Result<()> {
    let target = udp::Server::start(udp::Behaviour::Repeat(30)).await?;
    let (_gost, local) = forward(V4, target.address(), "").await?;
    let client = udp::client(local).await?;
    client.send(b"go").await?;
    for _ in 0..30 {
        assert_eq!(udp::receive(&client, PATIENCE).await?, b"go");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_clients_have_their_own_answers() -> Result<()> {
    let target = udp::Server::start(udp::Behaviour::Echo).await?;
    let (_gost, local) = forward(V4, target.address(), "").await?;
    let mut clients = JoinSet::new();
    for number in 0..200_u8 {
        clients.spawn(async move {
            let client = udp::client(local).await?;
            for round in 0..5 {
                echo(&client, &[number, round]).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = clients.join_next().await {
        done??;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_client_is_forgotten_and_served_anew() -> Result<()> {
    let target = udp::Server::start(udp::Behaviour::Echo).await?;
    for options in ["?ttl=200ms", "?stateless=true"] {
        let (gost, local) = forward(V4, target.address(), options).await?;
        let client = udp::client(local).await?;
        let before = target.received().len();
        for round in 1..3 {
            echo(&client, b"x").await?;
            ended(&gost, round).await?;
        }
        let all = target.received();
        assert_ne!(all[before].peer, all[before + 1].peer, "{options}");
    }
    Ok(())
}

/// Waits until the log says that so many clients have ended.
async fn ended(gost: &Process, count: usize) -> Result<()> {
    let wait = async {
        while gost.lines().iter().filter(|l| l.contains(">-<")).count() < count {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .context("the client is not forgotten")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_away_ends_nothing() -> Result<()> {
    let target = SocketAddr::new(V4, ports::udp());
    let (_gost, local) = forward(V4, target, "").await?;
    let client = udp::client(local).await?;
    for _ in 0..3 {
        // Each is answered by the system, with an error that is not the client's business.
        client.send(b"lost").await?;
    }
    let socket = UdpSocket::bind(target).await?;
    let served = async {
        let mut buffer = [0; 16];
        // What was sent before may still arrive.
        while let Ok((n, from)) = socket.recv_from(&mut buffer).await {
            if &buffer[..n] == b"hello" {
                return socket.send_to(b"hello", from).await;
            }
        }
        Ok(0)
    };
    let (served, echoed) = tokio::join!(served, echo(&client, b"hello"));
    served?;
    echoed
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_is_counted_and_said() -> Result<()> {
    // A node that never answers: whatever comes meanwhile has to wait.
    let node = tcp::Server::start(tcp::Behaviour::Silent).await?;
    let local = SocketAddr::new(V4, ports::udp());
    let listen = format!("udp://{local}/127.0.0.1:9?readQueueSize=4");
    let node = format!("socks5://{}", node.address());
    let gost = gost_logged(&["-L", &listen, "-F", &node]).await?;
    let client = udp::client(local).await?;
    for _ in 0..20 {
        client.send(b"x").await?;
    }
    let line = gost.line("datagrams dropped").await?;
    ensure!(line.contains("\"warn\"") && line.contains("\"dropped\":"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn dig_asks_through_a_forward() -> Result<()> {
    let Some(dig) = peers::need("dig").map(Arc::new) else {
        return Ok(());
    };
    let server = dns::name_server().await?;
    for options in ["", "?keepalive=true", "?stateless=true"] {
        let (_gost, local) = forward(V4, server, options).await?;
        let mut questions = JoinSet::new();
        for number in 0..8 {
            let dig = dig.clone();
            questions.spawn(async move {
                let run = Command::new(&*dig)
                    .args(["@127.0.0.1", "-p", &local.port().to_string()])
                    .args(["+short", "+tries=1", "+time=15"])
                    .arg(format!("host-{number}.example"))
                    .kill_on_drop(true)
                    .output();
                anyhow::Ok(tokio::time::timeout(PATIENCE, run).await??)
            });
        }
        while let Some(output) = questions.join_next().await {
            let output = output??;
            let said = String::from_utf8_lossy(&output.stdout);
            assert_eq!(said, "192.0.2.33\n", "{options}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_target_nobody_is_asked() -> Result<()> {
    let local = SocketAddr::new(V4, ports::udp());
    let gost = gost_logged(&["-L", &format!("udp://{local}")]).await?;
    let client = udp::client(local).await?;
    client.send(b"hello").await?;
    let line = gost.line("no port").await?;
    ensure!(line.contains("\"warn\""), "{line}");
    Ok(())
}
