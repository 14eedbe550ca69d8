//! Amounts that may be used up.

use std::{net::Ipv4Addr, time::Duration};

use anyhow::{Context as _, Result, ensure};
use gost_testkit::{PATIENCE, peers, ports, process::Launch};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use gost_tests::Gost;

use super::support::{Far, Through, open};

const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;
const MEGA: usize = 1024 * 1024;

fn config(port: u16, far: &Far, quota: &str) -> String {
    format!(
        "services:
- {{name: s, addr: '127.0.0.1:{port}', handler: {{type: tcp}}, quotas: [q], forwarder: {{nodes: [{{name: t, addr: '{}'}}]}}}}
quotas: [{{name: q, {quota}}}]
",
        far.addr()
    )
}

/// Reads to the end, whatever that is.
async fn drain(stream: &mut TcpStream) -> Result<usize> {
    let mut buffer = vec![0; 64 * 1024];
    let reading = async {
        let mut got = 0;
        while let Ok(n @ 1..) = stream.read(&mut buffer).await {
            got += n;
        }
        got
    };
    timeout(PATIENCE, reading).await.context("no end")
}

/// True when a connection is served, false when it waits to be accepted.
async fn is_served(stream: &mut TcpStream) -> Result<bool> {
    let mut byte = [0];
    let read = timeout(Duration::from_millis(300), stream.read(&mut byte)).await;
    Ok(read.is_ok_and(|n| n.is_ok_and(|n| n == 1)))
}

fn used(folder: &std::path::Path) -> Result<u64> {
    let text = std::fs::read(folder.join("quota.json"))?;
    let json: serde_json::Value = serde_json::from_slice(&text)?;
    json["q"]["used"].as_u64().context("no number")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_used_up_ends_connections_also_after_a_restart() -> Result<()> {
    let (port, far) = (ports::tcp(), Far::start().await?);
    let quota = |limit: &str| {
        let store = "store: {type: file, file: '{folder}/quota.json'}";
        config(
            port,
            &far,
            &format!("limit: {limit}, direction: out, {store}"),
        )
    };
    let gost = Gost::start(&quota("5MB"), port).await?;
    let mut first = open(Through::Forward, HERE, port, &far).await?;
    let mut bytes = vec![0; 2 * MEGA];
    timeout(PATIENCE, first.read_exact(&mut bytes)).await??;
    let mut second = open(Through::Forward, HERE, port, &far).await?;
    let (a, b) = tokio::join!(drain(&mut first), drain(&mut second));
    let all = 2 * MEGA + a? + b?;
    // Whoever looked whether the port is open has used up some of it; what two move at the same
    // moment, up to a pipe each, may be too much by one.
    ensure!((4 * MEGA..=6 * MEGA + 200_000).contains(&all), "{all}");
    gost.process.line("used up").await?;
    // Whoever comes now waits.
    let mut waiting = open(Through::Forward, HERE, port, &far).await?;
    ensure!(!is_served(&mut waiting).await?, "served beyond the quota");
    drop(waiting);
    let folder = gost.stop().await?;
    ensure!(used(folder.path())? >= 5 * MEGA as u64, "remembered");
    let gost = Gost::start_in(folder, &quota("5MB"), port).await?;
    let mut waiting = open(Through::Forward, HERE, port, &far).await?;
    ensure!(!is_served(&mut waiting).await?, "forgotten by a restart");
    // More of it, and whoever waits is served.
    gost.reload(&quota("7MB")).await?;
    let more = drain(&mut waiting).await?;
    ensure!(more > 0, "{more} more");
    ensure!(all + more <= 7 * MEGA + 200_000, "{all} and {more} more");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_direction_may_count() -> Result<()> {
    let (port, far) = (ports::tcp(), Far::start().await?);
    let quota = "limit: 1MB, direction: In, store: {type: memory}";
    let _gost = Gost::start(&config(port, &far, quota), port).await?;
    let mut stream = open(Through::Forward, HERE, port, &far).await?;
    let mut bytes = vec![0; 4 * MEGA];
    timeout(PATIENCE, stream.read_exact(&mut bytes)).await??;
    let (mut reader, mut writer) = stream.split();
    let writing = async {
        let bytes = vec![0; 64 * 1024];
        while writer.write_all(&bytes).await.is_ok() {}
    };
    let reading = async { while let Ok(1..) = reader.read(&mut bytes).await {} };
    timeout(PATIENCE, async { tokio::join!(writing, reading) })
        .await
        .context("it does not end")?;
    // What was on its way is lost when the connection to the target is reset.
    ensure!(
        (1..=MEGA as u64 + 100_000).contains(&far.got()),
        "{}",
        far.got()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_that_is_over_limits_nothing() -> Result<()> {
    let (port, far) = (ports::tcp(), Far::start().await?);
    let quota = "limit: 1KB, expiresAt: '2020-01-01T00:00:00Z', store: {type: memory}";
    let _gost = Gost::start(&config(port, &far, quota), port).await?;
    let mut stream = open(Through::Forward, HERE, port, &far).await?;
    let mut bytes = vec![0; MEGA];
    timeout(PATIENCE, stream.read_exact(&mut bytes)).await??;
    Ok(())
}

/// Three daemons use up one quota, and one that comes later finds it used up.
#[tokio::test(flavor = "multi_thread")]
async fn daemons_share_a_quota_through_redis() -> Result<()> {
    let Some(server) = peers::need("redis-server") else {
        return Ok(());
    };
    let (redis, folder) = (ports::tcp(), tempfile::tempdir()?);
    let mut server = Launch::new(server)
        .args(["--port", &redis.to_string(), "--bind", "127.0.0.1"])
        .args([
            "--save",
            "",
            "--appendonly",
            "no",
            "--requirepass",
            "secret",
            "--dir",
        ])
        .arg(folder.path())
        .spawn()?;
    server.ready(redis).await?;
    let far = Far::start().await?;
    let quota = format!(
        "limit: 12MB, flush: 1s, store: {{type: redis, redis: {{addr: '127.0.0.1:{redis}', password: secret}}}}"
    );
    // Slow enough for all to learn of each other.
    let start = async || -> Result<(Gost, u16)> {
        let port = ports::tcp();
        let config = config(port, &far, &quota).replace("quotas: [q],", "quotas: [q], limiter: l,")
            + "limiters: [{name: l, limits: ['$ 2MB 2MB']}]\n";
        Ok((Gost::start(&config, port).await?, port))
    };
    let (one, two, three) = (start().await?, start().await?, start().await?);
    let use_up = async |port| drain(&mut open(Through::Forward, HERE, port, &far).await?).await;
    let (a, b, c) = tokio::join!(use_up(one.1), use_up(two.1), use_up(three.1));
    let used = a? + b? + c?;
    // What flows in a second may be too much.
    ensure!((11 * MEGA..=19 * MEGA).contains(&used), "{used}");
    let (_late, port) = start().await?;
    let mut waiting = open(Through::Forward, HERE, port, &far).await?;
    ensure!(!is_served(&mut waiting).await?, "used up for all");
    Ok(())
}

/// Who can't know what is left serves nobody until he does.
#[tokio::test(flavor = "multi_thread")]
async fn a_quota_whose_redis_is_away_serves_nobody_until_it_is_there() -> Result<()> {
    let Some(program) = peers::need("redis-server") else {
        return Ok(());
    };
    let (redis, port, far) = (ports::tcp(), ports::tcp(), Far::start().await?);
    let quota = format!("limit: 1GB, store: {{type: redis, redis: {{addr: '127.0.0.1:{redis}'}}}}");
    let gost = Gost::start(&config(port, &far, &quota), port).await?;
    gost.process.line("can't be stored").await?;
    let mut waiting = open(Through::Forward, HERE, port, &far).await?;
    ensure!(!is_served(&mut waiting).await?, "served without knowing");
    let folder = tempfile::tempdir()?;
    let mut server = Launch::new(program)
        .args([
            "--port",
            &redis.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
        ])
        .arg(folder.path())
        .spawn()?;
    server.ready(redis).await?;
    let mut byte = [0];
    timeout(PATIENCE, waiting.read_exact(&mut byte)).await??;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn quotas_that_mean_nothing_are_refused() -> Result<()> {
    let far = Far::start().await?;
    for (quota, said) in [
        ("limit: 10M", "unknown unit M"),
        ("limit: 1GB, startsAt: tomorrow", "tomorrow"),
        ("limit: 1GB, direction: up", "up"),
        ("limit: 1GB, store: {type: floppy}", "floppy"),
        ("limit: 1GB, store: {type: redis}", "redis"),
        (
            "limit: 1GB, store: {file: '/dev/null/quota.json'}",
            "/dev/null/quota.json",
        ),
    ] {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("gost.yaml");
        std::fs::write(&file, config(ports::tcp(), &far, quota))?;
        let output = gost_tests::gost_output(&["-C", &file.to_string_lossy()]).await?;
        let text = String::from_utf8_lossy(&output.stderr);
        ensure!(
            !output.status.success() && text.contains(said),
            "{quota}: {text}"
        );
    }
    Ok(())
}
