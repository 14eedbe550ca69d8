//! TLS channels between ours, the original and other people's programs.

use std::path::{Path, PathBuf};

use gost_testkit::{
    payload::payload,
    peers, ports,
    process::{Launch, Process},
    tcp,
};
use gost_tests::{ask, curl, exchange, gost_output, web};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::Command,
};

/// A program of either kind that serves a TCP port, with a home directory of the test's own.
async fn start(program: &Path, args: &[&str], ready: u16, home: &Path) -> anyhow::Result<Process> {
    let mut process = Launch::new(program)
        .args(args)
        .env("HOME", home)
        .dir(home)
        .spawn()?;
    process.ready(ready).await?;
    Ok(process)
}

/// Ours with ours, and both mixtures with the original where it is on the path: server and client.
fn pairs() -> anyhow::Result<Vec<(PathBuf, PathBuf)>> {
    let ours = peers::gost_bin()?;
    let mut pairs = vec![(ours.clone(), ours.clone())];
    if let Some(original) = peers::need("gost-reference") {
        pairs.push((original.clone(), ours.clone()));
        pairs.push((ours, original));
    }
    Ok(pairs)
}

/// Much data both ways through an echo server.
async fn bulk(port: u16, label: &str) -> anyhow::Result<()> {
    let sent = payload(11, 1_000_000);
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let (mut read, mut write) = stream.into_split();
    let mut got = vec![0; sent.len()];
    let both = async { tokio::join!(write.write_all(&sent), read.read_exact(&mut got)) };
    let (wrote, read) = tokio::time::timeout(gost_testkit::PATIENCE, both).await?;
    wrote
        .and(read.map(drop))
        .map_err(|e| anyhow::anyhow!("{label}: {e}"))?;
    anyhow::ensure!(
        got == sent,
        "{label}: the bytes are not those that were sent"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_protocol_over_tls_with_the_original_at_either_end() -> anyhow::Result<()> {
    let echo = tcp::Server::start(tcp::Behaviour::Echo).await?;
    for (server, client) in pairs()? {
        for scheme in [
            "relay+tls",
            "relay+mtls",
            "socks5+tls",
            "http+tls",
            "https",
            "socks5",
        ] {
            let home = tempfile::tempdir()?;
            let (node, entry) = (ports::tcp(), ports::tcp());
            let label = format!("{scheme}: {} at {}", client.display(), server.display());
            let listen = format!("{scheme}://u:p@127.0.0.1:{node}");
            let _node = start(&server, &["-L", &listen], node, home.path()).await?;
            let args = [
                "-L",
                &format!("tcp://127.0.0.1:{entry}/{}", echo.address()),
                "-F",
                &listen,
            ];
            let _entry = start(&client, &args, entry, home.path()).await?;
            for _ in 0..2 {
                assert_eq!(exchange(entry, b"ping").await?, b"ping", "{label}");
            }
            bulk(entry, &label).await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_question_passes_through_tls() -> anyhow::Result<()> {
    let echo = tcp::Server::start(tcp::Behaviour::Echo).await?;
    let (ours, home) = (peers::gost_bin()?, tempfile::tempdir()?);
    let (node, entry) = (ports::tcp(), ports::tcp());
    let listen = format!("relay+tls://127.0.0.1:{node}");
    let _node = start(&ours, &["-L", &listen], node, home.path()).await?;
    let forward = format!("tcp://127.0.0.1:{entry}/{}", echo.address());
    let _entry = start(&ours, &["-L", &forward, "-F", &listen], entry, home.path()).await?;
    // The server echoes until it hears the end, and then ends.
    let question = payload(5, 200_000);
    assert!(ask(entry, &question).await? == question);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_over_tls_one_behind_the_other() -> anyhow::Result<()> {
    let echo = tcp::Server::start(tcp::Behaviour::Echo).await?;
    for (even, odd) in pairs()? {
        let home = tempfile::tempdir()?;
        let hops = ["relay+tls", "socks5+mtls", "http+tls", "relay+mtls"];
        let mut running = Vec::new();
        let entry = ports::tcp();
        let mut args = vec![
            "-L".to_owned(),
            format!("tcp://127.0.0.1:{entry}/{}", echo.address()),
        ];
        for (at, scheme) in hops.iter().enumerate() {
            let port = ports::tcp();
            let url = format!("{scheme}://127.0.0.1:{port}");
            let program = if at % 2 == 0 { &even } else { &odd };
            running.push(start(program, &["-L", &url], port, home.path()).await?);
            args.extend(["-F".to_owned(), url]);
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        running.push(start(&peers::gost_bin()?, &args, entry, home.path()).await?);
        bulk(entry, "four hops").await?;
    }
    Ok(())
}

/// Makes an issuer and two certificates of it with openssl: `ca.pem`, `server.pem` and so on.
async fn certificates(folder: &Path, openssl: &Path) -> anyhow::Result<()> {
    let run = |line: String| async move {
        let output = Command::new(openssl)
            .args(line.split(' '))
            .current_dir(folder)
            .output()
            .await?;
        anyhow::ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        anyhow::Ok(())
    };
    let new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    run(format!("{new} -subj /CN=issuer -keyout ca.key -out ca.pem")).await?;
    for name in ["server.test", "client.test"] {
        let file = name.split('.').next().unwrap_or(name);
        run(format!(
            "{new} -subj /CN={name} -addext subjectAltName=DNS:{name} -addext basicConstraints=CA:FALSE -CA ca.pem -CAkey ca.key -keyout {file}.key -out {file}.pem"
        ))
        .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_with_certificates() -> anyhow::Result<()> {
    let Some(openssl) = peers::need("openssl") else {
        return Ok(());
    };
    let echo = tcp::Server::start(tcp::Behaviour::Echo).await?;
    let home = tempfile::tempdir()?;
    certificates(home.path(), &openssl).await?;
    for (server, client) in pairs()? {
        for channel in ["tls", "mtls"] {
            let node = ports::tcp();
            let listen = format!(
                "relay+{channel}://127.0.0.1:{node}?cert=server.pem&key=server.key&ca=ca.pem"
            );
            let _node = start(&server, &["-L", &listen], node, home.path()).await?;
            let shown = "&cert=client.pem&key=client.key";
            for (query, works) in [
                (
                    format!("secure=true&ca=ca.pem&serverName=server.test{shown}"),
                    true,
                ),
                (format!("ca=ca.pem{shown}"), true),
                (shown[1..].to_owned(), true),
                ("ca=ca.pem".to_owned(), false),
                (
                    format!("secure=true&ca=ca.pem&serverName=other.test{shown}"),
                    false,
                ),
                (format!("secure=true&serverName=server.test{shown}"), false),
            ] {
                let entry = ports::tcp();
                let args = [
                    "-L",
                    &format!("tcp://127.0.0.1:{entry}/{}", echo.address()),
                    "-F",
                    &format!("relay+{channel}://127.0.0.1:{node}?{query}"),
                ];
                let _entry = start(&client, &args, entry, home.path()).await?;
                let answer = exchange(entry, b"ping").await;
                let label = format!("{channel} {query}: {}", client.display());
                assert_eq!(answer.is_ok_and(|a| a == b"ping"), works, "{label}");
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_and_a_proxy_over_tls() -> anyhow::Result<()> {
    let Some(openssl) = peers::need("openssl") else {
        return Ok(());
    };
    let web = web(b"hello").await?;
    let home = tempfile::tempdir()?;
    certificates(home.path(), &openssl).await?;
    let port = ports::tcp();
    let listen = format!("https://u:p@127.0.0.1:{port}?cert=server.pem&key=server.key");
    let _gost = start(&peers::gost_bin()?, &["-L", &listen], port, home.path()).await?;
    let ca = home.path().join("ca.pem");
    let (proxy, to) = (
        format!("https://u:p@server.test:{port}"),
        format!("server.test:{port}:127.0.0.1"),
    );
    let url = format!("http://127.0.0.1:{web}/");
    let args = [
        "-x",
        &proxy,
        "--resolve",
        &to,
        "--proxy-cacert",
        &ca.to_string_lossy(),
        &url,
    ];
    for tunnel in [None, Some("-p")] {
        let all: Vec<&str> = tunnel.into_iter().chain(args).collect();
        let output = curl(&all).await?;
        assert_eq!(
            output.stdout,
            b"hello",
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn stunnel_at_either_end() -> anyhow::Result<()> {
    let (Some(stunnel), Some(openssl)) = (peers::need("stunnel"), peers::need("openssl")) else {
        return Ok(());
    };
    let echo = tcp::Server::start(tcp::Behaviour::Echo).await?;
    let (ours, home) = (peers::gost_bin()?, tempfile::tempdir()?);
    certificates(home.path(), &openssl).await?;
    let (plain, outer, inner, secure) = (ports::tcp(), ports::tcp(), ports::tcp(), ports::tcp());
    let common = "foreground = yes\npid =\nsyslog = no\n[x]\n";
    // In front of a relay without TLS, and behind one with TLS.
    let front = format!(
        "{common}accept = 127.0.0.1:{outer}\nconnect = 127.0.0.1:{plain}\ncert = server.pem\nkey = server.key\nCAfile = ca.pem\nverifyChain = yes\n"
    );
    let back = format!(
        "{common}client = yes\naccept = 127.0.0.1:{inner}\nconnect = 127.0.0.1:{secure}\ncert = client.pem\nkey = client.key\nCAfile = ca.pem\nverifyChain = yes\n"
    );
    std::fs::write(home.path().join("front.conf"), front)?;
    std::fs::write(home.path().join("back.conf"), back)?;
    let listen = format!("relay://127.0.0.1:{plain}");
    let _plain = start(&ours, &["-L", &listen], plain, home.path()).await?;
    let listen = format!("relay+tls://127.0.0.1:{secure}?cert=server.pem&key=server.key&ca=ca.pem");
    let _secure = start(&ours, &["-L", &listen], secure, home.path()).await?;
    let _front = start(&stunnel, &["front.conf"], outer, home.path()).await?;
    let _back = start(&stunnel, &["back.conf"], inner, home.path()).await?;
    let to_front = format!(
        "relay+tls://127.0.0.1:{outer}?secure=true&ca=ca.pem&serverName=server.test&cert=client.pem&key=client.key"
    );
    for node in [to_front, format!("relay://127.0.0.1:{inner}")] {
        let entry = ports::tcp();
        let forward = format!("tcp://127.0.0.1:{entry}/{}", echo.address());
        let _entry = start(&ours, &["-L", &forward, "-F", &node], entry, home.path()).await?;
        bulk(entry, &node).await?;
        let question = payload(9, 100_000);
        assert!(ask(entry, &question).await? == question, "{node}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_good_ends_the_start_with_a_line_that_names_it() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let cert = folder.path().join("cert.pem");
    std::fs::write(&cert, "nothing")?;
    let cert = cert.to_string_lossy().into_owned();
    for (args, key) in [
        (
            vec![
                "-L".to_owned(),
                format!("tls://127.0.0.1:0?cert={cert}&key={cert}"),
            ],
            "service",
        ),
        (
            vec![
                "-L".to_owned(),
                "127.0.0.1:0".to_owned(),
                "-F".to_owned(),
                format!("tls://127.0.0.1:1?ca={cert}"),
            ],
            "dialer",
        ),
    ] {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let output = gost_output(&args).await?;
        assert_eq!(output.status.code(), Some(1));
        let log = String::from_utf8(output.stderr)?;
        let wanted = format!("{cert}: holds no certificate in PEM format");
        let fatal: Vec<_> = log.lines().filter(|line| line.contains(&wanted)).collect();
        assert_eq!(fatal.len(), 1, "{key}: {log}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_one_line_of_the_log_that_says_why() -> anyhow::Result<()> {
    let echo = tcp::Server::start(tcp::Behaviour::Echo).await?;
    let (ours, home) = (peers::gost_bin()?, tempfile::tempdir()?);
    let (node, entry) = (ports::tcp(), ports::tcp());
    let listen = format!("relay+tls://127.0.0.1:{node}");
    let server = start(&ours, &["-L", &listen], node, home.path()).await?;
    // Somebody who does not speak TLS.
    let mut plain = TcpStream::connect(("127.0.0.1", node)).await?;
    plain.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
    let line = server.line("does not speak TLS").await?;
    assert!(line.contains("\"phase\":\"handshake\""), "{line}");
    // Somebody who does not trust the certificate.
    let forward = format!("tcp://127.0.0.1:{entry}/{}", echo.address());
    let distrust = format!("{listen}?secure=true&ca=.gost/auto-ca-cert.pem&serverName=other.test");
    let client = start(
        &ours,
        &["-L", &forward, "-F", &distrust],
        entry,
        home.path(),
    )
    .await?;
    assert!(exchange(entry, b"ping").await.is_err());
    let line = client
        .line("is not for \\\"other.test\\\" but for gost.run")
        .await?;
    assert!(line.contains("node-0"), "{line}");
    let line = server.line("the client refused").await?;
    assert!(line.contains("\"phase\":\"handshake\""), "{line}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_certificate_of_a_file_for_every_listener_and_again_when_it_changes()
-> anyhow::Result<()> {
    let Some(openssl) = peers::need("openssl") else {
        return Ok(());
    };
    let echo = tcp::Server::start(tcp::Behaviour::Echo).await?;
    let (ours, home) = (peers::gost_bin()?, tempfile::tempdir()?);
    certificates(home.path(), &openssl).await?;
    let (any, named) = (ports::tcp(), ports::tcp());
    let text = format!(
        "tls: {{certFile: server.pem, keyFile: server.key}}
services:
- name: any
  addr: 127.0.0.1:{any}
  handler: {{type: relay}}
  listener: {{type: tls}}
- name: named
  addr: 127.0.0.1:{named}
  handler: {{type: relay}}
  listener:
    type: mtls
    tls:
      rejectUnknownSNI: true
      serverNames: [server.test]
      options: {{minVersion: VersionTLS13, alpn: [one, two]}}
"
    );
    std::fs::write(home.path().join("gost.yaml"), text)?;
    let server = start(&ours, &["-C", "gost.yaml"], named, home.path()).await?;
    // A way in by each query, which ends with the process.
    let (program, folder, target) = (&ours, home.path(), echo.address());
    let enter = |scheme: String| async move {
        let entry = ports::tcp();
        let forward = format!("tcp://127.0.0.1:{entry}/{target}");
        let process = start(program, &["-L", &forward, "-F", &scheme], entry, folder).await?;
        anyhow::Ok((process, exchange(entry, b"ping").await, entry))
    };
    let trust = "secure=true&ca=ca.pem&serverName=";
    for (node, works) in [
        (
            format!("relay+tls://127.0.0.1:{any}?{trust}server.test"),
            true,
        ),
        (
            format!("relay+mtls://127.0.0.1:{named}?{trust}server.test"),
            true,
        ),
        (
            format!("relay+mtls://127.0.0.1:{named}?serverName=other.test"),
            false,
        ),
        (format!("relay+mtls://127.0.0.1:{named}"), false),
    ] {
        let (_process, answer, _) = enter(node.clone()).await?;
        assert_eq!(answer.is_ok_and(|a| a == b"ping"), works, "{node}");
    }
    for line in ["asks for \\\"other.test\\\"", "names no server"] {
        assert!(server.line(line).await?.contains("\"phase\":\"handshake\""));
    }

    // Another certificate in the place of the first, of an issuer who is not trusted.
    let node = format!("relay+tls://127.0.0.1:{any}?{trust}server.test");
    let (_process, answer, entry) = enter(node).await?;
    answer?;
    let other = tempfile::tempdir()?;
    certificates(other.path(), &openssl).await?;
    for file in ["server.key", "server.pem"] {
        std::fs::rename(other.path().join(file), home.path().join(file))?;
    }
    let refused = async {
        while exchange(entry, b"ping").await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(gost_testkit::PATIENCE, refused).await?;
    server.line("certificates read again").await?;
    Ok(())
}
