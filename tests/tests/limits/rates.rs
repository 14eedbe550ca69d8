//! Bytes per second: of services, connections, addresses, users; streams and datagrams.

use std::{net::Ipv4Addr, time::Duration};

use anyhow::{Result, ensure};
use gost_testkit::{ports, udp};
use gost_tests::{curl, gost, gost_output, socks5::Association, web};
use tokio::{
    net::{TcpStream, UdpSocket},
    time::{Instant, timeout},
};

use gost_tests::Gost;

use super::support::{Far, MEGA, Through, about, downloads, local, open, steady, upload};

const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// A service with a limiter `l`.
fn config(service: &str, limits: &str) -> String {
    format!("services:\n- {{{service}, limiter: l}}\nlimiters: [{{name: l, limits: [{limits}]}}]\n")
}

/// A forward to the far end.
fn forward(port: u16, far: &Far) -> String {
    format!(
        "name: s, addr: '127.0.0.1:{port}', handler: {{type: tcp}}, \
         forwarder: {{nodes: [{{name: t, addr: '{}'}}]}}",
        far.addr()
    )
}

/// The first of these gets so much per second.
async fn one(streams: &mut [TcpStream], wanted: f64) -> Result<()> {
    steady(async || about(downloads(streams).await?[0], wanted, "a download")).await
}

/// All of these together give so much per second.
async fn uploads(streams: &mut [TcpStream], far: &Far, wanted: f64) -> Result<()> {
    steady(async || about(upload(streams, far).await?, wanted, "uploads")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_limits_each_direction_of_all_together_and_of_each() -> Result<()> {
    let (port, far) = (ports::tcp(), Far::start().await?);
    let keys = "limiter.in=2MB&limiter.out=8MB&limiter.conn.out=5MB";
    let listen = format!("tcp://127.0.0.1:{port}/{}?{keys}", far.addr());
    let _gost = gost(&["-L", &listen], port).await?;
    let mut streams = Vec::new();
    for _ in 0..2 {
        streams.push(open(Through::Forward, HERE, port, &far).await?);
    }
    one(&mut streams[..1], 5.0 * MEGA).await?;
    steady(async || {
        let both = downloads(&mut streams).await?;
        about(both.iter().sum(), 8.0 * MEGA, "two downloads")
    })
    .await?;
    uploads(&mut streams, &far, 2.0 * MEGA).await
}

#[tokio::test(flavor = "multi_thread")]
async fn many_connections_of_all_kinds_share_one_limit() -> Result<()> {
    let (port, far) = (ports::tcp(), Far::start().await?);
    let (relay, tls) = (ports::tcp(), ports::tcp());
    let proxies = format!(
        "services:
- {{name: auto, addr: '127.0.0.1:{port}', handler: {{type: auto}}, limiter: l}}
- {{name: node, addr: '127.0.0.1:{relay}', handler: {{type: relay}}, listener: {{type: tls}}, limiter: l}}
- {{name: near, addr: '127.0.0.1:{tls}', handler: {{type: socks5, chain: c}}}}
chains:
- name: c
  hops: [{{name: h, nodes: [{{name: n, addr: '127.0.0.1:{relay}', connector: {{type: relay}}, dialer: {{type: tls}}}}]}}]
limiters: [{{name: l, limits: ['$ 8MB 8MB']}}]
"
    );
    let _gost = Gost::start(&proxies, port).await?;
    let mut streams = Vec::new();
    for _ in 0..6 {
        streams.push(open(Through::Http, HERE, port, &far).await?);
        streams.push(open(Through::Socks5, HERE, port, &far).await?);
        streams.push(open(Through::Socks5, HERE, tls, &far).await?);
    }
    steady(async || {
        let rates = downloads(&mut streams).await?;
        let least = rates.iter().copied().fold(f64::INFINITY, f64::min);
        ensure!(least > 0.1 * MEGA, "none is left out: {rates:?}");
        about(rates.iter().sum(), 8.0 * MEGA, "eighteen downloads")
    })
    .await?;
    uploads(&mut streams, &far, 8.0 * MEGA).await
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_and_networks_have_limits_that_their_connections_share() -> Result<()> {
    let (port, far) = (ports::tcp(), Far::start().await?);
    let limits = "'$$ 0 6MB', '127.0.0.2 0 2MB', '127.0.0.4/30 0 3MB'";
    let _gost = Gost::start(&config(&forward(port, &far), limits), port).await?;
    let mut streams = Vec::new();
    for from in [1, 2, 2, 5, 5, 6] {
        streams.push(open(Through::Forward, local(from), port, &far).await?);
    }
    steady(async || {
        let rates = downloads(&mut streams).await?;
        about(rates[0], 6.0 * MEGA, "who has no line")?;
        about(rates[1] + rates[2], 2.0 * MEGA, "an address")?;
        about(rates[3] + rates[4], 3.0 * MEGA, "an address of a network")?;
        about(rates[5], 3.0 * MEGA, "another one of it")
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn users_have_limits_that_their_connections_share() -> Result<()> {
    let (port, far) = (ports::tcp(), Far::start().await?);
    let config = format!(
        "services:
- {{name: s, addr: '127.0.0.1:{port}', handler: {{type: auto, auther: u, limiter: l}}}}
authers: [{{name: u, auths: [{{username: bob, password: secret}}, {{username: eve, password: secret}}, {{username: joe, password: secret}}]}}]
limiters: [{{name: l, limits: ['$$ 6MB 4MB', 'bob 1MB 2MB']}}]
"
    );
    let _gost = Gost::start(&config, port).await?;
    let mut streams = Vec::new();
    for user in ["bob", "bob", "eve", "eve", "joe"] {
        streams.push(open(Through::User(user), HERE, port, &far).await?);
    }
    steady(async || {
        let rates = downloads(&mut streams).await?;
        about(rates[0] + rates[1], 2.0 * MEGA, "bob")?;
        about(rates[2] + rates[3], 4.0 * MEGA, "eve")?;
        about(rates[4], 4.0 * MEGA, "joe")
    })
    .await?;
    uploads(&mut streams[..2], &far, MEGA).await?;
    drop(streams);
    // A request that is no tunnel is one's own, too.
    let body: &[u8] = Box::leak(vec![7; 6 << 20].into_boxed_slice());
    let (web, proxy) = (
        web(body).await?,
        format!("http://bob:secret@127.0.0.1:{port}"),
    );
    let start = Instant::now();
    let got = curl(&["-x", &proxy, &format!("http://127.0.0.1:{web}/")]).await?;
    ensure!(got.stdout == body, "whole");
    let took = start.elapsed().as_secs_f64();
    ensure!((2.5..15.0).contains(&took), "6 MB in {took} s");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_there_gets_the_limit_of_a_reload() -> Result<()> {
    let (port, far) = (ports::tcp(), Far::start().await?);
    let service = forward(port, &far);
    let gost = Gost::start(&config(&service, "'$ 1MB 1MB'"), port).await?;
    let mut streams = [open(Through::Forward, HERE, port, &far).await?];
    one(&mut streams, MEGA).await?;
    gost.reload(&config(&service, "'$$ 5MB 5MB'")).await?;
    one(&mut streams, 5.0 * MEGA).await?;
    gost.reload(&config(&service, "'127.0.0.1 2MB 2MB'"))
        .await?;
    one(&mut streams, 2.0 * MEGA).await?;
    // Without the limiter nobody is under it, but for those who were.
    gost.reload(&format!("services:\n- {{{service}}}\n"))
        .await?;
    let mut free = [open(Through::Forward, HERE, port, &far).await?];
    let rate = downloads(&mut free).await?[0];
    ensure!(rate > 5.0 * MEGA, "no limit: {rate}");
    one(&mut streams, 2.0 * MEGA).await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_scope_that_is_asked_for_is_limited() -> Result<()> {
    let (port, far) = (ports::tcp(), Far::start().await?);
    let limits = "'$ 1MB 1MB', '$$ 4MB 4MB'";
    let service = |scope: &str| {
        let service = forward(port, &far);
        config(
            &format!("{service}, metadata: {{limiter.scope: {scope}}}"),
            limits,
        )
    };
    let gost = Gost::start(&service("conn"), port).await?;
    let mut streams = [open(Through::Forward, HERE, port, &far).await?];
    one(&mut streams, 4.0 * MEGA).await?;
    gost.reload(&service("service")).await?;
    let mut streams = [open(Through::Forward, HERE, port, &far).await?];
    one(&mut streams, MEGA).await?;
    // A service limits no clients, and a handler nothing else.
    gost.reload(&service("client")).await?;
    let mut streams = [open(Through::Forward, HERE, port, &far).await?];
    ensure!(downloads(&mut streams).await?[0] > 5.0 * MEGA, "client");
    for (scope, is_limited) in [("client", true), ("conn", false), ("service", false)] {
        let config = format!(
            "services:
- {{name: s, addr: '127.0.0.1:{port}', handler: {{type: auto, limiter: l, metadata: {{limiter.scope: {scope}}}}}}}
limiters: [{{name: l, limits: ['$ 2MB 2MB', '$$ 1MB 1MB']}}]
"
        );
        gost.reload(&config).await?;
        let mut streams = [open(Through::Socks5, HERE, port, &far).await?];
        if is_limited {
            one(&mut streams, MEGA).await?;
        } else {
            ensure!(downloads(&mut streams).await?[0] > 5.0 * MEGA, "{scope}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_without_a_unit_is_one_of_bytes_and_is_warned_about() -> Result<()> {
    let (port, far) = (ports::tcp(), Far::start().await?);
    let config = config(&forward(port, &far), "'$ 500000 1000000'");
    let gost = Gost::start(&config, port).await?;
    gost.process.line("500000 lacks a unit").await?;
    let mut streams = [open(Through::Forward, HERE, port, &far).await?];
    one(&mut streams, 1e6).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_limit_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for (service, limits, said) in [
        ("limiter: l", "'$ 10M'", "unknown unit M"),
        ("limiter: l", "'$ many'", "many"),
        ("limiter: l", "'10.0.0.0/99 1MB'", "10.0.0.0/99"),
        ("limiter: nobody", "'$ 1MB'", "nobody"),
        (
            "handler: {type: auto, limiter: nobody}",
            "'$ 1MB'",
            "nobody",
        ),
        ("quotas: [nobody]", "'$ 1MB'", "nobody"),
        (
            "limiter: l, metadata: {limiter.scope: connection}",
            "'$ 1MB'",
            r#"limiter.scope: \"connection\" is none of service, conn and client"#,
        ),
        (
            "handler: {type: auto, limiter: l, metadata: {limiter.scope: user}}",
            "'$$ 1MB'",
            r#"limiter.scope: \"user\" is none of service, conn and client"#,
        ),
    ] {
        let file = folder.path().join("gost.yaml");
        let config = format!(
            "services:\n- {{name: s, addr: '127.0.0.1:{}', {service}}}\nlimiters: [{{name: l, limits: [{limits}]}}]\n",
            ports::tcp()
        );
        std::fs::write(&file, &config)?;
        let output = gost_output(&["-C", &file.to_string_lossy()]).await?;
        let text = String::from_utf8_lossy(&output.stderr);
        ensure!(
            !output.status.success() && text.contains(said),
            "{config}: {text}"
        );
    }
    Ok(())
}

/// Sends datagrams of 1000 bytes at `rate` for two seconds, and gives how much per second came.
async fn datagrams(
    rate: f64,
    send: &impl AsyncFn(&[u8]) -> Result<()>,
    receiver: &UdpSocket,
) -> Result<f64> {
    let payload = [7; 1000];
    let (start, time) = (Instant::now(), Duration::from_secs(2));
    let receive = async {
        let (mut buffer, mut got) = ([0; 2000], 0_u32);
        // What is sent at the end comes a little later.
        while let Ok(n) = timeout(time + time / 4, receiver.recv(&mut buffer)).await {
            got += u32::try_from(n?)?;
            if start.elapsed() > time {
                break;
            }
        }
        anyhow::Ok(f64::from(got) / start.elapsed().as_secs_f64())
    };
    let sending = async {
        let mut sent = 0.0;
        while start.elapsed() < time + Duration::from_millis(100) {
            while sent < rate * start.elapsed().as_secs_f64() {
                send(&payload).await?;
                sent += 1000.0;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        anyhow::Ok(())
    };
    let (got, sent) = tokio::join!(receive, sending);
    sent?;
    got
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_beyond_the_limit_are_dropped() -> Result<()> {
    let (port, target) = (ports::udp(), UdpSocket::bind("127.0.0.1:0").await?);
    let listen = format!(
        "udp://127.0.0.1:{port}/{}?limiter.in=500KB&limiter.out=1MB",
        target.local_addr()?
    );
    let _gost = gost_tests::gost_logged(&["-L", &listen]).await?;
    let client = udp::client(([127, 0, 0, 1], port).into()).await?;
    let send = async |data: &[u8]| Ok(client.send(data).await.map(drop)?);
    steady(async || {
        let got = datagrams(2.0 * MEGA, &send, &target).await?;
        about(got, 500.0 * 1024.0, "in")
    })
    .await?;
    client.send(b"who").await?;
    let mut buffer = [0; 2000];
    let (_, from) = timeout(gost_testkit::PATIENCE, target.recv_from(&mut buffer)).await??;
    let send = async |data: &[u8]| Ok(target.send_to(data, from).await.map(drop)?);
    steady(async || about(datagrams(4.0 * MEGA, &send, &client).await?, MEGA, "out")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn associations_are_limited_by_their_user() -> Result<()> {
    let (port, target) = (ports::tcp(), UdpSocket::bind("127.0.0.1:0").await?);
    let config = format!(
        "services:
- {{name: s, addr: '127.0.0.1:{port}', handler: {{type: socks5, auther: u, limiter: l, metadata: {{udp: true}}}}}}
authers: [{{name: u, auths: [{{username: bob, password: secret}}, {{username: eve, password: secret}}]}}]
limiters: [{{name: l, limits: ['bob 300KB']}}]
"
    );
    let _gost = Gost::start(&config, port).await?;
    let server = ([127, 0, 0, 1], port).into();
    let to = target.local_addr()?;
    let bob = Association::open(server, Some(("bob", "secret"))).await?;
    let send = async |data: &[u8]| bob.send(to, data).await;
    steady(async || {
        let got = datagrams(MEGA, &send, &target).await?;
        // The header of each datagram is limited, too.
        about(got, 300.0 * 1024.0 * 1000.0 / 1010.0, "bob")
    })
    .await?;
    let eve = Association::open(server, Some(("eve", "secret"))).await?;
    let send = async |data: &[u8]| eve.send(to, data).await;
    steady(async || {
        let got = datagrams(MEGA, &send, &target).await?;
        ensure!(got > 0.8 * MEGA, "eve: {got}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_under_a_busy_limit_is_served() -> Result<()> {
    let (port, far) = (ports::tcp(), Far::start().await?);
    let (web, proxy) = (web(b"hello").await?, format!("http://127.0.0.1:{port}"));
    let service = format!("name: s, addr: '127.0.0.1:{port}', handler: {{type: auto}}");
    let _gost = Gost::start(&config(&service, "'$ 2MB 2MB'"), port).await?;
    let mut busy = Vec::new();
    for _ in 0..20 {
        busy.push(open(Through::Socks5, HERE, port, &far).await?);
    }
    steady(async || {
        let requests = async {
            let mut longest = Duration::ZERO;
            for _ in 0..5 {
                let start = Instant::now();
                let got = curl(&["-x", &proxy, &format!("http://127.0.0.1:{web}/")]).await?;
                ensure!(got.stdout == b"hello", "an answer");
                longest = longest.max(start.elapsed());
            }
            anyhow::Ok(longest)
        };
        let (rates, longest) = tokio::join!(downloads(&mut busy), requests);
        let longest = longest?;
        ensure!(longest < Duration::from_secs(2), "{longest:?}");
        about(rates?.iter().sum(), 2.0 * MEGA, "the busy ones")
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_a_file_count_as_soon_as_it_changes() -> Result<()> {
    let (port, far) = (ports::tcp(), Far::start().await?);
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("limits");
    std::fs::write(&file, "$ 1MB 1MB # for now\n")?;
    let config = format!(
        "services:\n- {{{}, limiter: l}}\nlimiters: [{{name: l, file: {{path: '{{folder}}/limits'}}}}]\n",
        forward(port, &far)
    );
    let _gost = Gost::start_in(folder, &config, port).await?;
    let mut streams = [open(Through::Forward, HERE, port, &far).await?];
    one(&mut streams, MEGA).await?;
    std::fs::write(&file, "$ 4MB 4MB\n")?;
    let changed = async {
        while downloads(&mut streams).await?[0] < 3.0 * MEGA {}
        anyhow::Ok(())
    };
    timeout(gost_testkit::PATIENCE, changed).await??;
    one(&mut streams, 4.0 * MEGA).await
}
