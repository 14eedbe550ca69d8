//! Names that a resolver of ours turns into addresses, with the name servers of others.

mod hostile;
mod servers;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use gost_testkit::{
    PATIENCE, peers, ports,
    process::{Launch, Process},
};
use gost_tests::{gost, gost_output};
use tokio::net::UdpSocket;

use self::servers::{Dnsmasq, Gost, Unbound, certificate, resolving, web_at, web_of_both};

/// As the end-to-end tests of the original have it: one name that the server knows, and one that
/// nobody does.
#[tokio::test(flavor = "multi_thread")]
async fn a_resolver_finds_what_its_server_knows_and_nothing_else() -> Result<()> {
    let Some(dns) = Dnsmasq::start(&["/echo.test/127.0.0.1", "/nomapped.test/"]).await? else {
        return Ok(());
    };
    let web = web_at("127.0.0.1", "hello-gost").await?;
    let server = format!("{{addr: '127.0.0.1:{}', timeout: 3s}}", dns.port);
    let gost = Gost::resolving(&server, None).await?;
    for scheme in ["http", "socks5h", "socks4a"] {
        let found = gost.get_with(scheme, "echo.test", web).await?;
        ensure!(found == "hello-gost", "{scheme}: {found}");
        let found = gost.get_with(scheme, "ECHO.TEST.", web).await?;
        ensure!(found == "hello-gost", "{scheme}: {found}");
        // The system would know this one.
        for nobody in ["nomapped.test", "localhost"] {
            let found = gost.get_with(scheme, nobody, web).await?;
            ensure!(found.is_empty(), "{scheme} {nobody}: {found}");
        }
    }
    // A table of hosts stands before it.
    let (_, resolvers) = resolving(&server);
    let hosts = "hosts: [{name: t, mappings: [{hostname: nomapped.test, ip: 127.0.0.1}]}]";
    let keys = "hosts: t, resolver: r, handler: {type: auto}";
    let gost = Gost::start(keys, &format!("{resolvers}\n{hosts}"), None).await?;
    for name in ["nomapped.test", "echo.test"] {
        ensure!(gost.get(name, web).await? == "hello-gost", "{name}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_are_asked_by_every_protocol_also_through_a_chain() -> Result<()> {
    let Some(unbound) = Unbound::start().await? else {
        return Ok(());
    };
    let web = web_at("127.0.0.1", "found").await?;
    let node = ports::tcp();
    let relay = gost(&["-L", &format!("relay://127.0.0.1:{node}")], node).await?;
    for (scheme, server) in unbound.servers() {
        let gost = Gost::resolving(&format!("{{addr: '{server}'}}"), None).await?;
        for name in ["echo.test", "large.test"] {
            let found = gost.get(name, web).await?;
            ensure!(
                found == "found",
                "{scheme} {name}: {:#?}",
                gost.program.process.lines()
            );
        }
        ensure!(gost.get("nobody.test", web).await?.is_empty());

        // On a command line.
        let port = ports::tcp();
        let service = format!("auto://127.0.0.1:{port}?resolver={server}");
        let inline = gost_tests::gost(&["-L", &service], port).await?;
        let proxy = format!("socks5h://127.0.0.1:{port}");
        let url = format!("http://echo.test:{web}/");
        let output = gost_tests::curl(&["-x", &proxy, &url]).await?;
        ensure!(output.stdout == b"found", "{scheme}: {:?}", inline.lines());

        let (keys, sections) = resolving(&format!("{{addr: '{server}', chain: c}}"));
        let chain = format!(
            "chains: [{{name: c, hops: [{{name: h, nodes: [{{name: n, addr: '127.0.0.1:{node}', connector: {{type: relay}}}}]}}]}}]\n{sections}"
        );
        let gost = Gost::start(keys, &chain, None).await?;
        let found = gost.get("echo.test", web).await?;
        ensure!(
            found == "found",
            "{scheme}: {:#?}",
            gost.program.process.lines()
        );
        let address = server.split("//").nth(1).unwrap_or_default();
        let address = address.split('/').next().unwrap_or_default();
        relay.line(address).await?;
    }
    // What did not fit into a datagram came over TCP.
    ensure!(unbound.asked("large.test", "A") >= 5);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostname_is_what_the_certificate_must_be_for() -> Result<()> {
    let Some(unbound) = Unbound::start().await? else {
        return Ok(());
    };
    let web = web_at("127.0.0.1", "found").await?;
    let ours = unbound.certificate();
    for (scheme, server) in unbound.servers().into_iter().skip(2) {
        for (hostname, trusted, found) in [
            ("dns.test", Some(&*ours), true),
            ("other.test", Some(&*ours), false),
            ("dns.test", None, false),
            ("", None, true),
        ] {
            let config = format!("{{addr: '{server}', hostname: '{hostname}'}}");
            let gost = Gost::resolving(&config, trusted).await?;
            let got = gost.get("echo.test", web).await?;
            ensure!((got == "found") == found, "{scheme} {hostname}: {got}");
            let lines = gost.program.process.lines();
            let warned = lines.iter().any(|line| line.contains("is not verified"));
            ensure!(warned == hostname.is_empty(), "{scheme} {hostname}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn families_are_preferred_or_the_only_ones_and_the_other_is_there_to_fall_back() -> Result<()>
{
    let Some(unbound) = Unbound::start().await? else {
        return Ok(());
    };
    let server = |more: &str| format!("{{addr: '127.0.0.1:{}', {more}}}", unbound.plain);
    let (both, six) = (web_of_both().await?, web_at("::1", "six").await?);
    for (keys, of_both, of_six) in [
        ("prefer: ''", "four", "six"),
        ("prefer: ipv4", "four", "six"),
        ("prefer: ipv6", "six", "six"),
        ("only: ip4", "four", ""),
        ("only: ipv6", "six", "six"),
        ("only: ipv6, prefer: ipv4", "six", "six"),
    ] {
        let gost = Gost::resolving(&server(keys), None).await?;
        let found = gost.get("both.test", both).await?;
        ensure!(found == of_both, "{keys}: {found}");
        // Nobody listens at the IPv4 address.
        let found = gost.get("both.test", six).await?;
        ensure!(found == of_six, "{keys}: {found}");
        let found = gost.get("four.test", both).await?;
        let has_four = if keys.starts_with("only: ipv6") {
            ""
        } else {
            "four"
        };
        ensure!(found == has_four, "{keys}: {found}");
    }
    // The interface of a service says which of the addresses can be reached.
    let (_, sections) = resolving(&server("prefer: ipv6"));
    let keys = "resolver: r, interface: 127.0.0.5, handler: {type: auto}";
    let gost = Gost::start(keys, &sections, None).await?;
    let found = gost.get("both.test", both).await?;
    ensure!(found == "four", "{found}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_kept_as_the_server_or_the_configuration_says() -> Result<()> {
    let Some(mut unbound) = Unbound::start().await? else {
        return Ok(());
    };
    let web = web_at("127.0.0.1", "found").await?;
    let server = |more: &str| format!("{{addr: '127.0.0.1:{}', {more}}}", unbound.plain);
    for (keys, name, times) in [
        ("ttl: 0", "echo.test", 1),
        ("ttl: -1s", "echo.test", 3),
        ("ttl: 1m", "brief.test", 1),
        ("ttl: 100ms", "echo.test", 3),
    ] {
        let gost = Gost::resolving(&server(keys), None).await?;
        let before = unbound.asked(name, "A");
        for _ in 0..3 {
            ensure!(gost.get(name, web).await? == "found", "{keys}");
            // Longer than the shortest of these times.
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        // It says so a little later.
        let asked = || unbound.asked(name, "A") - before;
        let start = Instant::now();
        while asked() < times && start.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        ensure!(asked() == times, "{keys}: asked {} times", asked());
    }
    let patient = Gost::resolving(&server("async: true"), None).await?;
    let strict = Gost::resolving(&server("timeout: 500ms"), None).await?;
    for gost in [&patient, &strict] {
        ensure!(gost.get("brief.test", web).await? == "found");
    }
    unbound.stop().await?;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    // An old answer is better than none, where that is wanted.
    ensure!(patient.get("brief.test", web).await? == "found");
    ensure!(strict.get("brief.test", web).await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_are_asked_in_order_and_silence_has_an_end() -> Result<()> {
    let Some(dns) = Dnsmasq::start(&["/echo.test/127.0.0.1"]).await? else {
        return Ok(());
    };
    let web = web_at("127.0.0.1", "found").await?;
    let silent = UdpSocket::bind("127.0.0.1:0").await?;
    let config = format!(
        "{{addr: ' '}}, {{addr: '{}', timeout: 300ms}}, {{addr: 'tcp://127.0.0.1:{}'}}",
        silent.local_addr()?,
        dns.port
    );
    let gost = Gost::resolving(&config, None).await?;
    let start = Instant::now();
    ensure!(gost.get("echo.test", web).await? == "found");
    let took = start.elapsed();
    ensure!(
        took >= Duration::from_millis(300) && took < Duration::from_secs(5),
        "{took:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn hops_and_nodes_find_their_nodes_by_their_own_resolver() -> Result<()> {
    let Some(dns) = Dnsmasq::start(&["/node.test/127.0.0.1", "/web.test/127.0.0.9"]).await? else {
        return Ok(());
    };
    let (web, node) = (web_at("127.0.0.1", "found").await?, ports::tcp());
    let _node = gost(&["-L", &format!("relay://127.0.0.1:{node}")], node).await?;
    let (_, resolvers) = resolving(&format!("{{addr: '127.0.0.1:{}'}}", dns.port));
    for (hop, of_node) in [("resolver: r,", ""), ("", "resolver: r,")] {
        let sections = format!(
            "{resolvers}
chains: [{{name: c, hops: [{{name: h, {hop} nodes: [{{name: n, {of_node} addr: 'node.test:{node}', connector: {{type: relay}}}}]}}]}}]"
        );
        let gost = Gost::start("handler: {type: auto, chain: c}", &sections, None).await?;
        ensure!(
            gost.get("127.0.0.1", web).await? == "found",
            "{hop} {of_node}"
        );
        // Names of targets are not its business: they go to the node as they are.
        ensure!(
            gost.get("localhost", web).await? == "found",
            "{hop} {of_node}"
        );
        ensure!(
            gost.get("web.test", web).await?.is_empty(),
            "{hop} {of_node}"
        );
    }
    let port = ports::tcp();
    let _inline = gost(
        &[
            "-L",
            &format!("auto://127.0.0.1:{port}"),
            "-F",
            &format!("relay://node.test:{node}?resolver=127.0.0.1:{}", dns.port),
        ],
        port,
    )
    .await?;
    let proxy = format!("http://127.0.0.1:{port}");
    let url = format!("http://127.0.0.1:{web}/");
    ensure!(gost_tests::curl(&["-x", &proxy, &url]).await?.stdout == b"found");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_counts_from_the_reload_on() -> Result<()> {
    let (one, two) = (
        Dnsmasq::start(&["/echo.test/127.0.0.1"]).await?,
        Dnsmasq::start(&["/echo.test/127.0.0.2"]).await?,
    );
    let (Some(one), Some(two)) = (one, two) else {
        return Ok(());
    };
    let web = web_at("127.0.0.1", "found").await?;
    let config = |dns: &Dnsmasq| resolving(&format!("{{addr: '127.0.0.1:{}'}}", dns.port));
    let (keys, sections) = config(&one);
    let gost = Gost::start(keys, &sections, None).await?;
    ensure!(gost.get("echo.test", web).await? == "found");
    gost.reload(keys, &config(&two).1).await?;
    ensure!(gost.get("echo.test", web).await?.is_empty());
    gost.reload(keys, &sections).await?;
    ensure!(gost.get("echo.test", web).await? == "found");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_said_and_nothing_starts() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("gost.yaml");
    for (server, expected) in [
        ("{addr: 'quic://1.1.1.1'}", "scheme"),
        ("{addr: '1.1.1.1:dns'}", "1.1.1.1:dns"),
        ("{addr: 1.1.1.1, prefer: ipv5}", "ipv5"),
        ("{addr: 1.1.1.1, only: both}", "both"),
        ("{addr: 1.1.1.1, clientIP: here}", "clientIP"),
        ("{addr: 1.1.1.1, chain: nosuch}", "nosuch"),
    ] {
        let (keys, sections) = resolving(server);
        std::fs::write(
            &file,
            format!("services: [{{name: s, addr: '127.0.0.1:0', {keys}}}]\n{sections}\n"),
        )?;
        let output = gost_output(&["-C", &file.to_string_lossy()]).await?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(
            !output.status.success() && said.contains(expected),
            "{server}: {said}"
        );
    }
    Ok(())
}

/// A name server in Python that is asked over HTTPS, without HTTP/2.
async fn doh(folder: &std::path::Path) -> Result<(Process, u16)> {
    certificate(folder).await?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/doh.py");
    let process = Launch::new(peers::peer("python3").unwrap_or_else(|| "python3".into()))
        .args([script, "cert.pem", "key.pem"])
        .dir(folder)
        .spawn()?;
    let line = process.line_within("listening ", PATIENCE).await?;
    let port = line.rsplit(' ').next().unwrap_or_default().parse()?;
    Ok((process, port))
}

#[tokio::test(flavor = "multi_thread")]
async fn https_without_http2_will_do_and_what_is_no_answer_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (_server, port) = doh(folder.path()).await?;
    let web = web_at("127.0.0.1", "found").await?;
    for (path, said) in [
        ("", ""),
        ("/dns-query", ""),
        ("/teapot", "418"),
        ("/enormous", "longer than 65535"),
    ] {
        let config = format!("{{addr: 'https://127.0.0.1:{port}{path}'}}");
        let gost = Gost::resolving(&config, None).await?;
        let found = gost.get("anything.example", web).await?;
        ensure!((found == "found") == said.is_empty(), "{path}: {found}");
        if !said.is_empty() {
            gost.program.process.line(said).await?;
        }
    }
    Ok(())
}
