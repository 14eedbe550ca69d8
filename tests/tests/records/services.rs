//! What services tell observers, what they run, and where they log.

use anyhow::{Context as _, Result, ensure};
use gost_testkit::{PATIENCE, ports, tcp};
use gost_tests::{curl, exchange, web};
use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::time::timeout;

use crate::{lines, posts, start, until};

#[tokio::test(flavor = "multi_thread")]
async fn observers_are_told_of_states_and_of_what_has_moved() -> Result<()> {
    let (port, web) = (ports::tcp(), web(b"hello").await?);
    let (observer, mut posts) = posts().await?;
    let config = format!(
        "services:
- name: s
  addr: 127.0.0.1:{port}
  handler:
    type: auto
    auther: a
    observer: o
    metadata: {{observer.period: 1s}}
  observer: o
  metadata: {{enableStats: true, observer.period: 1s, observer.resetTraffic: true}}
authers: [{{name: a, auths: [{{username: ann, password: pw}}]}}]
observers: [{{name: o, plugin: {{type: http, addr: 'http://127.0.0.1:{observer}/observer'}}}}]
"
    );
    let (gost, _folder) = start(&config).await?;
    let mut next = async || -> Result<Vec<Value>> {
        let (_, body) = timeout(PATIENCE, posts.recv()).await?.context("events")?;
        let body: Value = serde_json::from_str(&body)?;
        body["events"].as_array().cloned().context("events")
    };
    for state in ["running", "ready"] {
        let events = next().await?;
        let expected = serde_json::json!([{
            "kind": "service", "service": "s", "type": "status",
            "status": {"state": state, "msg": format!("service s is {state}")}
        }]);
        ensure!(Value::Array(events.clone()) == expected, "{events:?}");
    }
    let proxy = format!("http://ann:pw@127.0.0.1:{port}");
    let url = format!("http://127.0.0.1:{web}/");
    curl(&["-p", "-x", &proxy, &url]).await?;
    curl(&["-x", &proxy, &url]).await?;
    curl(&["-x", &format!("http://127.0.0.1:{port}"), &url]).await?;
    // Requests on one connection are one.
    curl(&["-x", &proxy, &url, &url]).await?;
    // What is asked for in vain is a connection of the client's, too.
    let dead = format!("http://127.0.0.1:{}/", ports::tcp());
    curl(&["-p", "-x", &proxy, &dead]).await?;
    let (mut service, mut client) = (Value::Null, Value::Null);
    let mut input = 0;
    let complete = |service: &Value, client: &Value| {
        service["totalConns"].as_u64() >= Some(5)
            && service["currentConns"] == 0
            && client["totalConns"].as_u64() >= Some(4)
            && client["currentConns"] == 0
    };
    while !complete(&service, &client) {
        let events = next().await;
        for event in events.with_context(|| format!("after {service}, {client}"))? {
            ensure!(event["type"] == "stats", "{event}");
            if event["kind"] == "service" {
                // Those since the last report.
                input += event["stats"]["inputBytes"].as_u64().unwrap_or(0);
                service = event["stats"].clone();
            } else {
                ensure!(
                    event["kind"] == "handler" && event["client"] == "ann",
                    "{event}"
                );
                client = event["stats"].clone();
            }
        }
    }
    ensure!(client["totalConns"] == 4, "{client}");
    ensure!(service["totalErrs"] == 2, "{service}");
    ensure!(input > 300 && input < 2000, "{input}");
    ensure!(client["outputBytes"].as_u64() >= Some(10), "{client}");
    gost.signal(Signal::SIGTERM)?;
    let closed = loop {
        let events = next().await?;
        if events[0]["type"] == "status" {
            break events;
        }
    };
    ensure!(closed[0]["status"]["state"] == "closed", "{closed:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn services_run_their_commands_when_they_come_and_go() -> Result<()> {
    let port = ports::tcp();
    let say = |word: &str| format!("sh -c 'echo {word} >> FOLDER/said'");
    let service = format!(
        "services:
- name: s
  addr: 127.0.0.1:{port}
  handler: {{type: socks5}}
  metadata:
    preUp: [\"{}\", nosuchcommand]
    postUp: \"{}\"
    preDown: [\"{}\"]
    postDown: [\"{}\"]
",
        say("pre-up"),
        say("post-up"),
        say("pre-down"),
        say("post-down"),
    );
    let (gost, folder) = start(&service).await?;
    let said = folder.path().join("said");
    lines(&said, 2).await?;
    gost.line("[pre-up] nosuchcommand: No such file").await?;
    gost.signal(Signal::SIGHUP)?;
    gost.line("1 unchanged").await?;
    gost.signal(Signal::SIGTERM)?;
    let all = lines(&said, 4).await?.concat();
    ensure!(all == "pre-up\npost-up\npre-down\npost-down\n", "{all}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn services_log_where_they_are_told_to_and_files_are_put_aside() -> Result<()> {
    let echo = tcp::Server::start(tcp::Behaviour::Echo).await?;
    let (one, two, target) = (ports::tcp(), ports::tcp(), echo.address());
    let service = |name: &str, port: u16, more: &str| {
        format!(
            "- {{name: {name}, addr: '127.0.0.1:{port}', handler: {{type: tcp}}, {more} forwarder: {{nodes: [{{name: n, addr: '{target}'}}]}}}}\n"
        )
    };
    let config = format!(
        "services:
{}{}loggers:
- {{name: l, log: {{output: FOLDER/l.log, format: json, level: info, rotation: {{maxSize: 1, maxBackups: 1, compress: true}}}}}}
- {{name: quiet, log: {{output: FOLDER/quiet.log, format: text, level: error}}}}
- {{name: none}}
",
        service("named", one, "logger: l, loggers: [quiet],"),
        service("plain", two, "logger: none,"),
    );
    let (gost, folder) = start(&config).await?;
    // Enough for more than one file of a megabyte: two lines for each connection.
    std::fs::write(folder.path().join("before"), "")?;
    ensure!(exchange(two, b"x").await? == b"x");
    gost.line(">-<").await?;
    ensure!(exchange(one, b"x").await? == b"x");
    let file = folder.path().join("l.log");
    let lines = lines(&file, 3).await?;
    for line in &lines {
        let line: Value = serde_json::from_str(line)?;
        ensure!(
            line["logger"] == "l" && line["service"] == "named",
            "{line}"
        );
    }
    ensure!(lines[2].contains(">-<"), "{lines:?}");
    let quiet = std::fs::read_to_string(folder.path().join("quiet.log"))?;
    ensure!(quiet.is_empty(), "{quiet}");
    let main = until("lines of the other service", || {
        let main = gost.lines().join("\n");
        main.contains("\"service\":\"plain\"").then_some(main)
    })
    .await?;
    ensure!(!main.contains("\"service\":\"named\""), "{main}");
    Ok(())
}
