//! Records that go elsewhere: over TCP and HTTP, and to redis.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use gost_testkit::{PATIENCE, ports, tcp};
use gost_tests::exchange;
use serde_json::Value;
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    time::timeout,
};

use crate::{posts, start};

#[tokio::test(flavor = "multi_thread")]
async fn tcp_and_http_get_records_too() -> Result<()> {
    let echo = tcp::Server::start(tcp::Behaviour::Echo).await?;
    let (port, target) = (ports::tcp(), echo.address());
    let raw = TcpListener::bind("127.0.0.1:0").await?;
    let (web, mut posts) = posts().await?;
    let config = format!(
        "services:
- name: s
  addr: 127.0.0.1:{port}
  handler: {{type: tcp}}
  forwarder: {{nodes: [{{name: n0, addr: '{target}'}}]}}
  recorders:
  - {{name: t, record: recorder.service.client.address}}
  - {{name: w, record: recorder.service.handler}}
recorders:
- {{name: t, tcp: {{addr: '{}', timeout: 5s}}}}
- {{name: w, http: {{url: '127.0.0.1:{web}/in', header: {{X-Key: k}}}}}}
",
        raw.local_addr()?
    );
    let (_gost, _folder) = start(&config).await?;
    for _ in 0..2 {
        ensure!(exchange(port, b"x").await? == b"x");
        let (mut record, _) = timeout(PATIENCE, raw.accept()).await??;
        let mut text = String::new();
        timeout(PATIENCE, record.read_to_string(&mut text)).await??;
        ensure!(text == "127.0.0.1", "{text}");
        let (head, body) = timeout(PATIENCE, posts.recv()).await?.context("a post")?;
        let head = head.to_ascii_lowercase();
        ensure!(head.starts_with("post /in http/1.1\r\n"), "{head}");
        ensure!(
            head.contains("content-type: application/json\r\n"),
            "{head}"
        );
        ensure!(head.contains("x-key: k\r\n"), "{head}");
        let record: Value = serde_json::from_str(&body)?;
        ensure!(
            record["service"] == "s" && record["inputBytes"] == 1,
            "{record}"
        );
    }
    Ok(())
}

/// A server of redis, ended when dropped.
async fn redis(port: u16) -> Result<Child> {
    let port = port.to_string();
    let server = Command::new("redis-server")
        .args(["--port", &port, "--bind", "127.0.0.1", "--save", ""])
        .args(["--requirepass", "pw"])
        .stdout(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("redis-server")?;
    let up = async {
        while TcpStream::connect(format!("127.0.0.1:{port}"))
            .await
            .is_err()
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, up).await.context("redis")?;
    Ok(server)
}

/// What redis answers to a command, as it prints it.
async fn ask(port: u16, command: &[&str]) -> Result<String> {
    let output = Command::new("redis-cli")
        .args(["-p", &port.to_string(), "-a", "pw", "--no-auth-warning"])
        .args(command)
        .output()
        .await?;
    Ok(String::from_utf8(output.stdout)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_gets_sets_lists_and_counts_and_may_be_away_for_a_while() -> Result<()> {
    let echo = tcp::Server::start(tcp::Behaviour::Echo).await?;
    let (port, db, target) = (ports::tcp(), ports::tcp(), echo.address());
    let server = redis(db).await?;
    let recorder = |name: &str, kind: &str| {
        format!(
            "- {{name: {name}, redis: {{addr: '127.0.0.1:{db}', password: pw, db: 1, key: {name}, type: '{kind}'}}}}\n"
        )
    };
    let config = format!(
        "services:
- name: s
  addr: 127.0.0.1:{port}
  handler: {{type: tcp}}
  forwarder: {{nodes: [{{name: n0, addr: '{target}'}}]}}
  recorders:
  - {{name: set, record: recorder.service.client.address}}
  - {{name: counts, record: recorder.service.router.dial.address}}
  - {{name: list, record: recorder.service.handler}}
recorders:
{}{}{}",
        recorder("set", ""),
        recorder("counts", "sset"),
        recorder("list", "list"),
    );
    let (gost, _folder) = start(&config).await?;
    let length = async |wanted: &str| -> Result<()> {
        let work = async {
            while ask(db, &["-n", "1", "LLEN", "list"]).await?.trim() != wanted {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            anyhow::Ok(())
        };
        timeout(PATIENCE, work).await.context("records in redis")?
    };
    for _ in 0..3 {
        ensure!(exchange(port, b"x").await? == b"x");
    }
    length("3").await?;
    ensure!(ask(db, &["-n", "1", "SMEMBERS", "set"]).await? == "127.0.0.1\n");
    let counts = ask(
        db,
        &["-n", "1", "ZRANGE", "counts", "0", "-1", "WITHSCORES"],
    )
    .await?;
    ensure!(counts == "127.0.0.1\n3\n", "{counts}");

    // Nobody waits for it, and it is said.
    drop(server);
    ensure!(exchange(port, b"x").await? == b"x");
    gost.line("records lost so far").await?;
    let _server = redis(db).await?;
    ensure!(exchange(port, b"x").await? == b"x");
    length("1").await?;
    Ok(())
}
