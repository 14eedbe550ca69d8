//! Plugins of whole configurations, from the client's side.

use std::time::Duration;

use anyhow::{Result, ensure};
use gost_testkit::{PATIENCE, ports, process::Signal, tcp};
use gost_tests::{Gost, curl, gost, through, web};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{BOTH, Plugin, says};

/// Starts the program with a service, that has these keys, and these sections.
pub(crate) async fn start(port: u16, service: &str, sections: &str) -> Result<Gost> {
    let config = format!(
        "log: {{level: debug}}
services:
- name: proxy
  addr: 127.0.0.1:{port}
{service}
{sections}"
    );
    Gost::start(&config, port).await
}

/// As the end-to-end test of the original has it.
#[tokio::test(flavor = "multi_thread")]
async fn users_that_a_plugin_knows() -> Result<()> {
    let web = web(b"hello").await?;
    for protocol in BOTH {
        let Some(plugin) = Plugin::start(protocol, "", &[]).await? else {
            return Ok(());
        };
        let port = ports::tcp();
        let sections = format!("authers: [{{name: a, {}}}]", plugin.section("auth", ""));
        let service = "  handler: {type: auto, auther: a}";
        let _gost = start(port, service, &sections).await?;
        let url = format!("http://127.0.0.1:{web}/");
        for scheme in ["http", "socks5"] {
            let proxy = format!("{scheme}://bob:secret@127.0.0.1:{port}");
            let got = through(&proxy, &url).await?;
            ensure!(got.starts_with("hello200"), "{protocol}: {scheme}: {got}");
            let proxy = format!("{scheme}://bob:wrong@127.0.0.1:{port}");
            let got = through(&proxy, &url).await?;
            ensure!(!got.contains("hello"), "{protocol}: {scheme}: {got}");
        }
        let is_of_client = |asked: &Value| {
            let client = asked["client"].as_str().unwrap_or_default();
            client.starts_with("127.0.0.1:")
        };
        let wanted = says(&json!({"username": "bob", "password": "wrong", "service": "proxy"}));
        plugin
            .asked("auth", |asked| wanted(asked) && is_of_client(asked))
            .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_targets_and_names_that_a_plugin_decides_on() -> Result<()> {
    let web = web(b"hello").await?;
    for protocol in BOTH {
        let Some(plugin) = Plugin::start(protocol, "", &[]).await? else {
            return Ok(());
        };
        let port = ports::tcp();
        let sections = format!(
            "admissions: [{{name: a, {}}}]
bypasses: [{{name: b, {}}}]
hosts: [{{name: h, {}}}]",
            plugin.section("admission", ""),
            plugin.section("bypass", ", timeout: 10s"),
            plugin.section("hosts", ""),
        );
        let service = "  handler: {type: auto}
  admission: a
  bypass: b
  hosts: h";
        let _gost = start(port, service, &sections).await?;
        let proxy = format!("http://127.0.0.1:{port}");
        let url = format!("http://www.hosts.test:{web}/");
        let got = through(&proxy, &url).await?;
        ensure!(got.starts_with("hello200"), "{protocol}: {got}");
        let got = through(&proxy, &format!("http://blocked.hosts.test:{web}/")).await?;
        ensure!(got.contains("403"), "{protocol}: {got}");
        let refused = curl(&["-x", &proxy, "--interface", "127.0.0.9", &url]).await?;
        ensure!(
            !refused.status.success(),
            "{protocol}: who is not admitted is cut off"
        );
        let is_of_other = |asked: &Value| {
            let addr = asked["addr"].as_str().unwrap_or_default();
            addr.starts_with("127.0.0.9:") && asked["service"] == "proxy"
        };
        plugin.asked("admission", is_of_other).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_a_plugin_chooses() -> Result<()> {
    let (web, node) = (web(b"hello").await?, ports::tcp());
    let _node = gost(&["-L", &format!("relay://127.0.0.1:{node}")], node).await?;
    for protocol in BOTH {
        let json = format!(
            r#"{{"name":"n1","addr":"127.0.0.1:{node}","connector":{{"type":"relay"}},"dialer":{{"type":"tcp"}}}}"#
        );
        let Some(plugin) = Plugin::start(protocol, "", &[("NODE", &json)]).await? else {
            return Ok(());
        };
        let port = ports::tcp();
        let hop = plugin.section("hop", "");
        for sections in [
            format!("chains: [{{name: c, hops: [{{name: h, {hop}}}]}}]"),
            format!("chains: [{{name: c, hops: [{{name: h}}]}}]\nhops: [{{name: h, {hop}}}]"),
        ] {
            let gost = start(port, "  handler: {type: auto, chain: c}", &sections).await?;
            let proxy = format!("socks5://127.0.0.1:{port}");
            for _ in 0..3 {
                let got = through(&proxy, &format!("http://127.0.0.1:{web}/")).await?;
                ensure!(got.starts_with("hello200"), "{protocol}: {got}");
            }
            gost.process.line("n1@").await?;
            let wanted = json!({"addr": format!("127.0.0.1:{web}")});
            plugin.asked("hop", says(&wanted)).await?;
            // What is configured as before is the same, with the nodes that it knows.
            gost.process.signal(Signal::SIGHUP)?;
            gost.process
                .line("0 changed, 0 stopped, 1 unchanged")
                .await?;
            let got = through(&proxy, &format!("http://127.0.0.1:{web}/")).await?;
            ensure!(got.starts_with("hello200"), "{protocol}: {got}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_a_plugin_resolves() -> Result<()> {
    let web = web(b"hello").await?;
    for protocol in BOTH {
        let Some(plugin) = Plugin::start(protocol, "", &[]).await? else {
            return Ok(());
        };
        let port = ports::tcp();
        let sections = format!(
            "resolvers: [{{name: r, {}}}]",
            plugin.section("resolver", "")
        );
        let service = "  handler: {type: auto}\n  resolver: r";
        let _gost = start(port, service, &sections).await?;
        let proxy = format!("socks5h://127.0.0.1:{port}");
        let got = through(&proxy, &format!("http://www.resolver.test:{web}/")).await?;
        ensure!(got.starts_with("hello200"), "{protocol}: {got}");
        let got = through(&proxy, &format!("http://localhost:{web}/")).await?;
        ensure!(
            !got.contains("hello"),
            "{protocol}: no other resolver is asked: {got}"
        );
        let wanted = json!({"host": "localhost"});
        plugin.asked("resolver", says(&wanted)).await?;
    }
    Ok(())
}

/// Whoever is asked on a client's behalf is told who that is.
#[tokio::test(flavor = "multi_thread")]
async fn plugins_are_told_whose_request_it_is() -> Result<()> {
    let (web, node) = (web(b"hello").await?, ports::tcp());
    let _node = gost(&["-L", &format!("relay://127.0.0.1:{node}")], node).await?;
    for protocol in BOTH {
        let json = format!(r#"{{"addr":"127.0.0.1:{node}","connector":{{"type":"relay"}}}}"#);
        let Some(plugin) = Plugin::start(protocol, "", &[("NODE", &json)]).await? else {
            return Ok(());
        };
        let port = ports::tcp();
        let of = |kind: &str| plugin.section(kind, ", timeout: 10s");
        let sections = format!(
            "authers: [{{name: a, auths: [{{username: bob, password: secret}}]}}]
bypasses: [{{name: b, {}}}]
hosts: [{{name: h, {}}}]
resolvers: [{{name: r, {}}}]
chains: [{{name: c, hops: [{{name: h, bypass: b, nodes: [{{name: n, addr: '127.0.0.1:{node}', bypass: b, connector: {{type: relay}}}}]}}, {{name: p, {}}}]}}]",
            of("bypass"),
            of("hosts"),
            of("resolver"),
            of("hop"),
        );
        let service = "  bypass: b
  hosts: h
  resolver: r
  handler: {type: auto, auther: a, chain: c}";
        let _gost = start(port, service, &sections).await?;
        let proxy = format!("socks5h://bob:secret@127.0.0.1:{port}");
        let got = through(&proxy, &format!("http://www.resolver.test:{web}/")).await?;
        ensure!(got.starts_with("hello200"), "{protocol}: {got}");
        let bob = says(&json!({"client": "bob"}));
        let bob_here = says(&json!({"client": "bob", "service": "proxy"}));
        plugin.asked("hosts", &bob).await?;
        plugin.asked("resolver", &bob).await?;
        let is_from_here = |asked: &Value| {
            let src = asked["src"].as_str().unwrap_or_default();
            let host = format!("www.resolver.test:{web}");
            bob(asked) && src.starts_with("127.0.0.1:") && asked["host"] == host
        };
        plugin.asked("hop", is_from_here).await?;
        // By name, by the address that the name has, and again for a hop and its node.
        for (question, _) in plugin.questions("bypass") {
            ensure!(bob_here(&question), "{protocol}: {question}");
        }
        let by_address = json!({"addr": format!("127.0.0.1:{web}")});
        plugin.asked("bypass", says(&by_address)).await?;
        ensure!(plugin.questions("bypass").len() >= 4, "{protocol}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_is_asked_again_for_limits_as_often_as_is_said() -> Result<()> {
    for protocol in BOTH {
        let Some(plugin) = Plugin::start(protocol, "", &[("LIMIT", "30000")]).await? else {
            return Ok(());
        };
        let (port, target) = (
            ports::tcp(),
            tcp::Server::start(tcp::Behaviour::Echo).await?,
        );
        let sections = format!("limiters: [{{name: l, {}}}]", plugin.section("limiter", ""));
        let service = format!(
            "  handler: {{type: tcp, limiter: l, metadata: {{limiter.refreshInterval: 1h}}}}
  limiter: l
  metadata: {{limiter.refreshInterval: 1s, limiter.scope: conn}}
  forwarder: {{nodes: [{{name: n, addr: '{}'}}]}}",
            target.address()
        );
        let _gost = start(port, &service, &sections).await?;
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let scope = |name: &str| {
            let questions = plugin.questions("limiter").into_iter();
            questions
                .filter(|(asked, _)| asked["scope"] == name)
                .count()
        };
        let asked = async {
            while scope("conn") < 3 {
                stream.write_all(b"x").await?;
                stream.read_exact(&mut [0]).await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            anyhow::Ok(())
        };
        timeout(PATIENCE, asked).await??;
        ensure!(scope("client") == 1, "{protocol}: {}", scope("client"));
        ensure!(scope("service") == 0, "{protocol}: {}", scope("service"));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn traffic_that_a_plugin_limits() -> Result<()> {
    static PAGE: [u8; 90_000] = [b'x'; 90_000];
    let web = web(&PAGE).await?;
    for protocol in BOTH {
        let Some(plugin) = Plugin::start(protocol, "", &[("LIMIT", "30000")]).await? else {
            return Ok(());
        };
        let port = ports::tcp();
        let sections = format!("limiters: [{{name: l, {}}}]", plugin.section("limiter", ""));
        let _gost = start(
            port,
            "  handler: {type: auto, limiter: l}\n  limiter: l",
            &sections,
        )
        .await?;
        let proxy = format!("socks5://127.0.0.1:{port}");
        let begin = std::time::Instant::now();
        let got = through(&proxy, &format!("http://127.0.0.1:{web}/")).await?;
        let took = begin.elapsed().as_secs_f64();
        ensure!(got.len() > PAGE.len(), "{protocol}: {} bytes", got.len());
        // The first 30000 bytes come at once, and perhaps some more for each scope that is asked.
        ensure!((1.0..14.0).contains(&took), "{protocol}: {took}");
        let target = format!("127.0.0.1:{web}");
        for wanted in [
            json!({"scope": "service", "network": "tcp", "addr": "", "src": ""}),
            json!({"scope": "conn", "network": "tcp", "addr": ""}),
            json!({"scope": "client", "network": "tcp", "addr": target, "client": ""}),
        ] {
            plugin.asked("limiter", says(&wanted)).await?;
        }
        let wanted = json!({"service": "proxy"});
        plugin.asked("limiter", says(&wanted)).await?;
        ensure!(plugin.questions("limiter").len() < 9, "{protocol}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn records_and_events_that_a_plugin_is_told() -> Result<()> {
    let web = web(b"hello").await?;
    for protocol in BOTH {
        let Some(plugin) = Plugin::start(protocol, "", &[]).await? else {
            return Ok(());
        };
        let port = ports::tcp();
        let sections = format!(
            "recorders: [{{name: r, {}}}]\nobservers: [{{name: o, {}}}]",
            plugin.section("recorder", ""),
            plugin.section("observer", ""),
        );
        let service = "  handler: {type: auto}
  recorders: [{name: r, record: recorder.service.handler, metadata: {color: red}}]
  observer: o
  metadata: {enableStats: true, observer.period: 1s}";
        let _gost = start(port, service, &sections).await?;
        let proxy = format!("http://127.0.0.1:{port}");
        let got = through(&proxy, &format!("http://127.0.0.1:{web}/")).await?;
        ensure!(got.starts_with("hello200"), "{protocol}: {got}");
        // The second is {"color":"red"}.
        let is_record = |asked: &Value| {
            let data = asked["data"].as_str().unwrap_or_default();
            data.starts_with("eyJ") && asked["metadata"] == "eyJjb2xvciI6InJlZCJ9"
        };
        plugin.asked("recorder", is_record).await?;
        for (kind, wanted) in [("status", "ready"), ("stats", "")] {
            let is_event = |event: &Value| {
                let is_state = wanted.is_empty() || event["status"]["state"] == wanted;
                event["type"] == kind && event["service"] == "proxy" && is_state
            };
            let has_event = |asked: &Value| {
                let mut events = asked["events"].as_array().into_iter().flatten();
                events.any(is_event)
            };
            plugin.asked("observer", has_event).await?;
        }
    }
    Ok(())
}

/// What no service uses yet is built all the same.
#[tokio::test(flavor = "multi_thread")]
async fn tables_of_tunnels_and_routes_are_built() -> Result<()> {
    let port = ports::tcp();
    let sections = "ingresses:
- {name: i1, rules: [{hostname: '*.example.com', endpoint: t1}]}
- {name: i2, plugin: {type: http, addr: 'http://127.0.0.1:1/'}}
routers:
- {name: r1, routes: [{dst: 10.0.0.0/8, gateway: 10.0.0.1}, {net: 11.0.0.0/8, gateway: g}]}
- {name: r2, plugin: {addr: '127.0.0.1:1'}}
sds: [{name: s1, plugin: {type: HTTP, addr: 'http://127.0.0.1:1/'}}]
rewriters: [{name: w1, plugin: {addr: '127.0.0.1:1'}}]";
    let service = "  handler: {type: auto}\n  rewriter: w1";
    let gost = start(port, service, sections).await?;
    gost.process.line("no handler changes bodies by it").await?;
    for (sections, wanted) in [
        (
            "ingresses: [{name: i, rules: [{hostname: a.test}]}]",
            "endpoint",
        ),
        (
            "routers: [{name: r, routes: [{dst: 10.0.0.0/8}]}]",
            "gateway",
        ),
        ("sds: [{name: s}]", "plugin"),
        ("rewriters: [{name: w}]", "plugin"),
        (
            "sds: [{name: s, plugin: {type: carrier pigeon, addr: x}}]",
            "pigeon",
        ),
        (
            "sds: [{name: s, plugin: {addr: 'http://x/'}}]",
            "not a gRPC target",
        ),
        (
            "sds: [{name: s, plugin: {type: http, addr: 'ftp://x/'}}]",
            "not a URL",
        ),
        (
            "climiters: [{name: c, plugin: {addr: 'x:1'}}]",
            "no plugins",
        ),
    ] {
        let config = format!("services: [{{name: s, addr: ':0'}}]\n{sections}");
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("gost.yaml");
        std::fs::write(&file, config)?;
        let output = gost_tests::gost_output(&["-C", &file.to_string_lossy()]).await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            !output.status.success() && said.contains(wanted),
            "{sections}: {said}"
        );
    }
    Ok(())
}
