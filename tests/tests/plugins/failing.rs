//! Plugins that fail: every answer has its time and its length, and a rule.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use gost_core::{
    addr::{Addr, Network, Target},
    policy::{
        Admission, Asker, Authenticator, Bypass, BypassQuery, Credentials, Family, HostMapper,
        Observer, Recorder, Resolver,
    },
};
use gost_testkit::ports;
use gost_tests::{through, web};

use crate::{BOTH, Plugin, working::start};

const MODES: [&str; 4] = ["slow", "error", "garbage", "huge"];

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_has_its_rule() -> Result<()> {
    for (protocol, mode) in BOTH.iter().flat_map(|p| MODES.map(|mode| (*p, mode))) {
        let Some(plugin) = Plugin::start(protocol, mode, &[]).await? else {
            return Ok(());
        };
        let row = format!("{protocol}, {mode}");
        let timeout = if mode == "slow" { "300ms" } else { "10s" };
        let begin = Instant::now();
        let asker = Asker::default();
        let auther = plugin.made::<dyn Authenticator>("auth", timeout).await?;
        let given = Credentials {
            username: "bob".into(),
            password: "secret".into(),
        };
        ensure!(auther.authenticate(&given, &asker).await.is_none(), "{row}");
        let admission = plugin.made::<dyn Admission>("admission", timeout).await?;
        ensure!(
            !admission.admit(Network::Tcp, &Addr::Any, &asker).await,
            "{row}"
        );
        let bypass = plugin.made::<dyn Bypass>("bypass", timeout).await?;
        let query = BypassQuery {
            target: Target::tcp(Addr::from_host("open.test", 80)),
            ..BypassQuery::default()
        };
        ensure!(bypass.contains(&query, &asker).await, "{row}");
        ensure!(!bypass.leads_around(&query, &asker).await, "{row}");
        let hosts = plugin.made::<dyn HostMapper>("hosts", timeout).await?;
        let found = hosts.lookup("a.hosts.test", Family::Any, &asker).await;
        ensure!(found.is_none(), "{row}: {found:?}");
        let resolver = plugin.made::<dyn Resolver>("resolver", timeout).await?;
        let found = resolver
            .resolve("a.resolver.test", Family::Any, &asker)
            .await;
        let reason = found.err().map(|error| error.to_string());
        let wanted = match (protocol, mode) {
            (_, "slow") => "no answer within 300ms",
            (_, "huge") => "more than 1048576 bytes",
            ("http", "error") => "HTTP status 500",
            ("http", _) => "can't be understood",
            (_, "error") => "gRPC status 13: out of\\norder",
            (_, _) => "decode",
        };
        let is_said = reason
            .as_deref()
            .is_some_and(|reason| reason.contains(wanted));
        ensure!(is_said, "{row}: {reason:?}");
        let recorder = plugin.made::<dyn Recorder>("recorder", timeout).await?;
        let recorded = recorder.record(bytes::Bytes::from_static(b"x"), &"null".into());
        ensure!(recorded.await.is_err(), "{row}");
        let observer = plugin.made::<dyn Observer>("observer", timeout).await?;
        let event = gost_core::policy::Event::Status {
            service: "s".into(),
            state: "ready",
            text: String::new(),
        };
        ensure!(observer.observe(&[event]).await.is_err(), "{row}");
        let took = begin.elapsed();
        ensure!(took < Duration::from_secs(30), "{row}: {took:?}");
    }
    Ok(())
}

/// Down, then there, then down again: those who ask notice by themselves.
#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_comes_back_is_asked_again() -> Result<()> {
    let web = web(b"hello").await?;
    let url = format!("http://127.0.0.1:{web}/");
    for protocol in BOTH {
        let Some(plugin) = Plugin::start(protocol, "", &[]).await? else {
            return Ok(());
        };
        // A relay in front of the plugin can be stopped and started at the same address.
        let (front, port) = (ports::tcp(), ports::tcp());
        let addr = plugin
            .addr("auth")
            .replace(&plugin.port.to_string(), &front.to_string());
        let sections = format!(
            "authers: [{{name: a, plugin: {{type: {protocol}, addr: '{addr}', timeout: 3s}}}}]"
        );
        let gost = start(port, "  handler: {type: http, auther: a}", &sections).await?;
        let proxy = format!("http://bob:secret@127.0.0.1:{port}");
        let relay = format!("tcp://127.0.0.1:{front}/127.0.0.1:{}", plugin.port);
        for _ in 0..2 {
            for _ in 0..5 {
                let got = through(&proxy, &url).await?;
                ensure!(got.contains("407"), "{protocol}: {got}");
            }
            let _relay = gost_tests::gost(&["-L", &relay], front).await?;
            let got = through(&proxy, &url).await?;
            ensure!(got.starts_with("hello200"), "{protocol}: {got}");
        }
        gost.process.line("answers again").await?;
        let lines = gost.process.lines();
        let warned = |line: &&String| line.contains("auther a: plugin") && line.contains("warn");
        let warnings = lines.iter().filter(warned).count();
        ensure!(
            warnings == 1,
            "{protocol}: {warnings} lines for 10 failures"
        );
        ensure!(!lines.iter().any(|line| line.contains("open sesame")));
    }
    Ok(())
}

/// A plugin that fails shuts a service, and leads nothing around a chain.
#[tokio::test(flavor = "multi_thread")]
async fn a_bypass_that_fails_keeps_out_of_services_and_on_chains() -> Result<()> {
    let (web, dead) = (web(b"hello").await?, ports::tcp());
    let url = format!("http://127.0.0.1:{web}/");
    for (protocol, mode) in BOTH.iter().flat_map(|p| MODES.map(|mode| (*p, mode))) {
        let Some(plugin) = Plugin::start(protocol, mode, &[]).await? else {
            return Ok(());
        };
        let port = ports::tcp();
        let bypass = format!(
            "bypasses: [{{name: b, {}}}]",
            plugin.section("bypass", ", timeout: 1s")
        );
        let service = "  handler: {type: http}\n  bypass: b";
        {
            let _gost = start(port, service, &bypass).await?;
            let got = through(&format!("http://127.0.0.1:{port}"), &url).await?;
            ensure!(got.contains("403"), "{protocol}, {mode}: {got}");
        }
        // The only node is dead: what arrives has gone around it.
        let chain = format!(
            "{bypass}
chains:
- name: c
  hops:
  - name: h
    bypass: b
    nodes: [{{name: n, addr: '127.0.0.1:{dead}', connector: {{type: relay}}, dialer: {{type: tcp}}}}]"
        );
        let _gost = start(port, "  handler: {type: http, chain: c}", &chain).await?;
        let got = through(&format!("http://127.0.0.1:{port}"), &url).await?;
        ensure!(!got.contains("hello"), "{protocol}, {mode}: {got}");
    }
    Ok(())
}
