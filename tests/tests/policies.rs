//! Who may, and where to: by whole configurations, from the client's side.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result, ensure};
use gost_testkit::{PATIENCE, ports, tcp, udp};
use gost_tests::{Gost, curl, gost, gost_output, through, web};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream, UdpSocket, UnixStream},
};

/// An HTTP and SOCKS proxy with `more` keys of the service, and other sections.
fn proxy(port: u16, more: &str, sections: &str) -> String {
    format!(
        "log: {{level: debug}}
services:
- name: proxy
  addr: 127.0.0.1:{port}
  handler: {{type: auto}}
{more}
{sections}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bypass_of_a_service_refuses_targets_by_name_and_by_address() -> Result<()> {
    let (port, web) = (ports::tcp(), web(b"hello").await?);
    let config = |matchers: &str| {
        let sections = format!("bypasses: [{{name: b, matchers: [{matchers}]}}]");
        proxy(port, "  bypass: b", &sections)
    };
    let gost = Gost::start(&config("localhost, '10.0.0.0/8'"), port).await?;
    let http = format!("http://127.0.0.1:{port}");
    let socks5h = format!("socks5h://127.0.0.1:{port}");
    ensure!(
        through(&http, &format!("http://127.0.0.1:{web}/"))
            .await?
            .starts_with("hello200")
    );
    for target in ["localhost", "LOCALHOST.", "10.1.2.3"] {
        let got = through(&http, &format!("http://{target}:{web}/")).await?;
        ensure!(got.contains("403"), "{target}: {got}");
        let got = through(&socks5h, &format!("http://{target}:{web}/")).await?;
        ensure!(!got.contains("hello"), "{target}: {got}");
    }
    // What a name turns out to be counts, too, and so does every name of this machine.
    gost.reload(&config("'127.0.0.0/8', '::1'")).await?;
    for target in [
        "127.0.0.1",
        "localhost",
        "0.0.0.0",
        "[::]",
        "[::ffff:127.0.0.1]",
    ] {
        let got = through(&http, &format!("http://{target}:{web}/")).await?;
        ensure!(got.contains("403"), "{target}: {got}");
    }
    gost.reload(&config("'*:1'")).await?;
    ensure!(
        through(&http, &format!("http://localhost:{web}/"))
            .await?
            .starts_with("hello200")
    );
    Ok(())
}

/// As the end-to-end tests of the original have it: the only node is dead, so that what arrives
/// has gone around it.
#[tokio::test(flavor = "multi_thread")]
async fn bypasses_of_hops_and_nodes_lead_around_them() -> Result<()> {
    let (dead, web) = (ports::tcp(), web(b"hello").await?);
    let lists = [
        ("matchers: [127.0.0.1]", true),
        ("matchers: [10.0.0.0/8]", false),
        ("whitelist: true, matchers: [10.0.0.0/8]", true),
        ("whitelist: true, matchers: [127.0.0.1]", false),
        ("reverse: true, matchers: [127.0.0.1]", false),
        ("network: udp, matchers: [127.0.0.1]", false),
    ];
    for level in ["hop", "node"] {
        for (list, around) in lists {
            let port = ports::tcp();
            let (hop, node) = if level == "hop" {
                ("bypass: b,", "")
            } else {
                ("", "bypasses: [b],")
            };
            let config = format!(
                "services:
- name: proxy
  addr: 127.0.0.1:{port}
  handler: {{type: http, chain: c}}
chains:
- name: c
  hops: [{{name: h, {hop} nodes: [{{name: n, {node} addr: '127.0.0.1:{dead}', connector: {{type: http}}}}]}}]
bypasses: [{{name: b, {list}}}]
"
            );
            let _gost = Gost::start(&config, port).await?;
            let got = through(
                &format!("http://127.0.0.1:{port}"),
                &format!("http://127.0.0.1:{web}/"),
            )
            .await?;
            ensure!(got.starts_with("hello") == around, "{level} {list}: {got}");
        }
    }
    Ok(())
}

/// What the program says of a configuration that it does not start with.
async fn refused(config: &str) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("gost.yaml");
    std::fs::write(&file, config)?;
    let output = gost_output(&["-C", &file.to_string_lossy()]).await?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(!output.status.success(), "started: {config}");
    Ok(text)
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_nobody_has_and_lists_that_mean_nothing_are_refused() -> Result<()> {
    let sections = "bypasses: [{name: b}]\nadmissions: [{name: a}]\nhosts: [{name: t}]";
    for keys in [
        "bypass: nobody",
        "bypasses: [b, nobody]",
        "admission: nobody",
        "admissions: [a, nobody]",
        "hosts: nobody",
        "climiter: nobody",
        "rlimiter: nobody",
    ] {
        let text = refused(&proxy(ports::tcp(), &format!("  {keys}"), sections)).await?;
        ensure!(text.contains("nobody"), "{keys}: {text}");
    }
    for (section, said) in [
        (
            "bypasses: [{name: b, matchers: ['10.0.0.0/99']}]",
            "10.0.0.0/99",
        ),
        ("bypasses: [{name: b, network: upd}]", "upd"),
        (
            "admissions: [{name: a, matchers: ['10.0.0.0/99']}]",
            "10.0.0.0/99",
        ),
        (
            "hosts: [{name: t, mappings: [{hostname: a.org, ip: 1.2.3}]}]",
            "1.2.3",
        ),
        ("climiters: [{name: l, limits: ['$ many']}]", "many"),
        ("rlimiters: [{name: l, limits: ['nobody 1']}]", "nobody"),
    ] {
        let text = refused(&proxy(ports::tcp(), "", section)).await?;
        ensure!(text.contains(said), "{section}: {text}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_has_bypasses_too() -> Result<()> {
    let (port, web) = (ports::tcp(), web(b"hello").await?);
    let http = format!("http://127.0.0.1:{port}");
    let listen = format!("{http}?bypass=~127.0.0.1,.example.com");
    let _gost = gost(&["-L", &listen], port).await?;
    ensure!(
        through(&http, &format!("http://127.0.0.1:{web}/"))
            .await?
            .starts_with("hello200")
    );
    let got = through(&http, &format!("http://127.0.0.2:{web}/")).await?;
    ensure!(got.contains("403"), "{got}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admission_decides_whose_connections_are_taken() -> Result<()> {
    let (port, web) = (ports::tcp(), web(b"hello").await?);
    let config =
        |key: &str, list: &str| proxy(port, &format!("  {key}"), &format!("admissions: {list}"));
    let gost = Gost::start(
        &config("admission: a", "[{name: a, matchers: [127.0.0.2]}]"),
        port,
    )
    .await?;
    let url = format!("http://127.0.0.1:{web}/");
    let from = async |client: &str| -> Result<bool> {
        let proxy = format!("http://127.0.0.1:{port}");
        let output = curl(&["--interface", client, "-x", &proxy, &url]).await?;
        Ok(output.stdout == b"hello")
    };
    for (key, list, first, second) in [
        (
            "admission: a",
            "[{name: a, matchers: [127.0.0.2]}]",
            true,
            false,
        ),
        (
            "admission: a",
            "[{name: a, whitelist: true, matchers: [127.0.0.2/32]}]",
            false,
            true,
        ),
        (
            "admission: a",
            "[{name: a, reverse: true, matchers: [127.0.0.0/8]}]",
            true,
            true,
        ),
        ("admission: a", "[{name: a, whitelist: true}]", false, false),
        (
            "admissions: [a, b]",
            "[{name: a, whitelist: true, matchers: [127.0.0.0/8]}, {name: b, matchers: [127.0.0.1]}]",
            false,
            true,
        ),
    ] {
        gost.reload(&config(key, list)).await?;
        ensure!(from("127.0.0.1").await? == first, "{list} 127.0.0.1");
        ensure!(from("127.0.0.2").await? == second, "{list} 127.0.0.2");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_stand_before_any_resolver_at_services_hops_and_nodes() -> Result<()> {
    let web = web(b"hello").await?;
    let sections = "hosts: [{name: t, mappings: [{hostname: echo.internal, ip: 127.0.0.1, aliases: [other.internal]}, {hostname: .wide.internal, ip: 127.0.0.1}, {hostname: 192.0.2.7, ip: 127.0.0.1}]}]";
    let (port, node) = (ports::tcp(), ports::tcp());
    let _service = Gost::start(&proxy(port, "  hosts: t", sections), port).await?;
    let http = format!("http://127.0.0.1:{port}");
    for (host, found) in [
        ("echo.internal", true),
        ("other.internal", true),
        ("a.b.wide.internal", true),
        ("192.0.2.7", true),
        ("nobody.invalid", false),
    ] {
        let got = through(&http, &format!("http://{host}:{web}/")).await?;
        ensure!(got.starts_with("hello") == found, "{host}: {got}");
    }
    let _node = gost(&["-L", &format!("relay://127.0.0.1:{node}")], node).await?;
    for (hop_key, node_key, host) in [
        ("hosts: t,", "", "echo.internal"),
        ("", "hosts: t,", "echo.internal"),
        ("", "hosts: t,", "192.0.2.7"),
    ] {
        let port = ports::tcp();
        let config = format!(
            "services: [{{name: s, addr: '127.0.0.1:{port}', handler: {{type: http, chain: c}}}}]
chains:
- name: c
  hops: [{{name: h, {hop_key} nodes: [{{name: n, {node_key} addr: '{host}:{node}', connector: {{type: relay}}}}]}}]
{sections}
"
        );
        let _gost = Gost::start(&config, port).await?;
        let got = through(
            &format!("http://127.0.0.1:{port}"),
            &format!("http://127.0.0.1:{web}/"),
        )
        .await?;
        ensure!(got.starts_with("hello"), "{hop_key} {node_key}: {got}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_at_once_and_per_second_are_bounded_and_the_service_goes_on() -> Result<()> {
    let (port, web) = (ports::tcp(), web(b"hello").await?);
    let config = |key: &str, limits: &str| {
        let sections = format!("{key}s: [{{name: l, limits: [{limits}]}}]");
        proxy(port, &format!("  {key}: l"), &sections)
    };
    let gost = Gost::start(&config("climiter", "'$$ 100'"), port).await?;
    let http = format!("http://127.0.0.1:{port}");
    let url = format!("http://127.0.0.1:{web}/");
    gost.reload(&config(
        "climiter",
        "'# two each', '', '$$ 2 # 3', '127.0.0.2 1'",
    ))
    .await?;
    // Whoever holds a place has been answered; who gets none is closed.
    let hold = async || -> Result<Option<TcpStream>> {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let mut answer = [0; 2];
        let asked = stream.write_all(&[5, 1, 0]).await.is_ok();
        let served = asked && stream.read_exact(&mut answer).await.is_ok();
        Ok(served.then_some(stream))
    };
    let first = hold().await?.context("first")?;
    let second = hold().await?.context("second")?;
    ensure!(hold().await?.is_none(), "a third of two");
    let other = curl(&["--interface", "127.0.0.2", "-x", &http, &url]).await?;
    ensure!(
        other.stdout == b"hello",
        "another address has its own place"
    );
    drop((first, second));
    let again = async {
        while hold().await?.is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, again)
        .await
        .context("places are not given back")??;
    // One at once, and the next in a hundred seconds.
    gost.reload(&config("rlimiter", "'$ 0.01'")).await?;
    ensure!(
        through(&http, &url).await?.starts_with("hello200"),
        "the first"
    );
    ensure!(
        !through(&http, &url).await?.contains("hello"),
        "the second of one"
    );
    gost.reload(&config("rlimiter", "'$ 0'")).await?;
    ensure!(
        through(&http, &url).await?.starts_with("hello200"),
        "no limit"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_exempt_need_not_be_a_user_and_may_say_so_anyway() -> Result<()> {
    let (port, web) = (ports::tcp(), web(b"hello").await?);
    let config = format!(
        "services:
- name: s
  addr: 127.0.0.1:{port}
  handler: {{type: auto, auth: {{username: ann, password: pw}}, metadata: {{skipauth: '127.0.0.1, 10.0.0.0/8'}}}}
"
    );
    let _gost = Gost::start(&config, port).await?;
    let wrong = [1, 1, b'x', 1, b'y'];
    for (from, offered, chosen, then) in [
        ("127.0.0.1", &[5, 1, 0][..], 0, None),
        ("127.0.0.1", &[5, 2, 0, 2], 0, None),
        ("127.0.0.1", &[5, 1, 2], 2, Some(0)),
        ("127.0.0.2", &[5, 1, 0], 0xff, None),
        ("127.0.0.2", &[5, 2, 0, 2], 2, Some(1)),
    ] {
        let socket = TcpSocket::new_v4()?;
        socket.bind((from.parse::<Ipv4Addr>()?, 0).into())?;
        let mut stream = socket.connect((Ipv4Addr::LOCALHOST, port).into()).await?;
        stream.write_all(offered).await?;
        let mut answer = [0; 2];
        stream.read_exact(&mut answer).await?;
        ensure!(answer == [5, chosen], "{from} {offered:?}: {answer:?}");
        if let Some(status) = then {
            stream.write_all(&wrong).await?;
            stream.read_exact(&mut answer).await?;
            ensure!(answer == [1, status], "{from} {offered:?}: {answer:?}");
        }
    }
    let (proxy, url) = (
        format!("http://127.0.0.1:{port}"),
        format!("http://127.0.0.1:{web}/"),
    );
    for (from, is_served) in [("127.0.0.1", true), ("127.0.0.2", false)] {
        let got = curl(&["--interface", from, "-x", &proxy, &url]).await?;
        ensure!((got.stdout == b"hello") == is_served, "{from}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_without_an_address_are_limited_too() -> Result<()> {
    let (ready, folder) = (ports::tcp(), tempfile::tempdir()?);
    let at = |name: &str| folder.path().join(name);
    let service = |name: &str, key: &str| {
        let at = at(name);
        format!(
            "- {{name: {name}, addr: '{}', {key}: l, handler: {{type: socks5}}, listener: {{type: unix}}}}",
            at.display()
        )
    };
    let config = format!(
        "services:
{}
{}
- {{name: ready, addr: '127.0.0.1:{ready}', handler: {{type: socks5}}}}
climiters: [{{name: l, limits: ['$ 1']}}]
rlimiters: [{{name: l, limits: ['$$ 0.001']}}]
",
        service("places", "climiter"),
        service("pace", "rlimiter"),
    );
    let _gost = Gost::start(&config, ready).await?;
    let served = async |name: &str| -> Result<Option<UnixStream>> {
        let mut stream = UnixStream::connect(at(name)).await?;
        let mut answer = [0; 2];
        let asked = stream.write_all(&[5, 1, 0]).await.is_ok();
        let is_served = asked && stream.read_exact(&mut answer).await.is_ok();
        Ok(is_served.then_some(stream))
    };
    for name in ["places", "pace"] {
        let first = served(name).await?;
        ensure!(first.is_some(), "{name}: the first");
        ensure!(served(name).await?.is_none(), "{name}: the second of one");
    }
    Ok(())
}

/// A connection from an address, that moves much in both directions until it is ended.
async fn busy(from: &str, port: u16) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from.parse::<Ipv4Addr>()?, 0).into())?;
    let to = (Ipv4Addr::LOCALHOST, port).into();
    let mut stream = tokio::time::timeout(PATIENCE, socket.connect(to)).await??;
    tokio::time::timeout(PATIENCE, rounds(&mut stream, 40)).await??;
    Ok(stream)
}

/// Sends blocks and gets them back: so many that they go through a pipe at last.
async fn rounds(stream: &mut TcpStream, count: usize) -> Result<()> {
    let (block, mut back) = (vec![7; 32 * 1024], vec![0; 32 * 1024]);
    for _ in 0..count {
        stream.write_all(&block).await?;
        stream.read_exact(&mut back).await?;
    }
    Ok(())
}

/// Waits for the end of a connection, that says no more.
async fn ended(stream: &mut TcpStream) -> Result<()> {
    let end = tokio::time::timeout(PATIENCE, stream.read(&mut [0; 1])).await;
    ensure!(
        matches!(end.context("it goes on")?, Ok(0) | Err(_)),
        "it goes on"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_no_longer_admitted_is_cut_off() -> Result<()> {
    let (port, flows) = (ports::tcp(), ports::udp());
    let echo = tcp::Server::start(tcp::Behaviour::Echo).await?;
    let datagrams = udp::Server::start(udp::Behaviour::Echo).await?;
    let folder = tempfile::tempdir()?;
    let list = folder.path().join("list");
    std::fs::write(&list, "10.0.0.0/8\n")?;
    let config = |more: &str| {
        format!(
            "services:
- {{name: s, addr: '127.0.0.1:{port}', admission: a, handler: {{type: tcp}}, forwarder: {{nodes: [{{name: n, addr: '{}'}}]}}}}
- {{name: u, addr: '127.0.0.1:{flows}', admission: a, handler: {{type: udp}}, listener: {{type: udp}}, forwarder: {{nodes: [{{name: n, addr: '{}'}}]}}}}
admissions: [{{name: a, matchers: [{more}], file: {{path: '{{folder}}/list'}}}}]
",
            echo.address(),
            datagrams.address(),
        )
    };
    let gost = Gost::start_in(folder, &config(""), port).await?;
    let (mut stays, mut goes) = (
        busy("127.0.0.1", port).await?,
        busy("127.0.0.2", port).await?,
    );
    let flow = UdpSocket::bind("127.0.0.2:0").await?;
    flow.connect((Ipv4Addr::LOCALHOST, flows)).await?;
    let answered = async || -> Result<bool> {
        flow.send(b"ping").await?;
        let wait = std::time::Duration::from_millis(100);
        Ok(tokio::time::timeout(wait, flow.recv(&mut [0; 9]))
            .await
            .is_ok())
    };
    let until = async |wanted: bool| -> Result<()> {
        let waiting = async {
            while answered().await? != wanted {}
            anyhow::Ok(())
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        waited.with_context(|| format!("datagrams: never {wanted}"))?
    };
    until(true).await?;

    std::fs::write(&list, "10.0.0.0/8\n127.0.0.2\n")?;
    ended(&mut goes).await?;
    until(false).await?;
    tokio::time::timeout(PATIENCE, rounds(&mut stays, 4)).await??;
    ensure!(busy("127.0.0.2", port).await.is_err(), "it comes back");
    gost.process.line("no longer admitted").await?;

    // A configuration that is read again counts for those who are there, too.
    gost.reload(&config("127.0.0.1")).await?;
    ended(&mut stays).await?;
    std::fs::write(&list, "10.0.0.0/8\n")?;
    until(true).await
}
