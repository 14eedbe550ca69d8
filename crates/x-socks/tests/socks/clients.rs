//! Clients that others wrote.

use gost_testbed::{OneUser, Running, serve};
use std::{path::PathBuf, process::Command, sync::Arc};

use gost_testkit::{PATIENCE, peers, process::Launch, tcp, udp};

use crate::support::{handler, open};

/// What a program prints, and whether it succeeded.
async fn run(program: PathBuf, args: &[&str]) -> (bool, String) {
    let mut process = Launch::new(program).args(args).spawn().unwrap();
    let status = process.exit(PATIENCE).await.unwrap();
    // No line has this, so that the search ends with the output.
    let _ = process.line("\0").await;
    (status.success(), process.lines().join("\n"))
}

async fn guarded(name: &str, password: &'static str) -> Running {
    serve(handler(name, "").await, |serving| {
        serving.policies.auther = Some(Arc::new(OneUser("user", password)));
    })
    .await
}

#[tokio::test]
async fn curl_fetches_a_page() {
    let Some(curl) = peers::need("curl") else {
        return;
    };
    let page = b"HTTP/1.0 200 OK\r\n\r\nthe page";
    let target = tcp::Server::start(tcp::Behaviour::EndFirst(page[..].into()))
        .await
        .unwrap();
    let by_ip = format!("http://127.0.0.1:{}/", target.port());
    let by_name = format!("http://localhost:{}/", target.port());
    let (four, five) = (open("socks4", "").await, open("socks5", "").await);
    let (four_user, five_user) = (guarded("socks4", "").await, guarded("socks5", "pass").await);
    for (kind, server, user, url, granted) in [
        ("--socks4", &four, "", &by_ip, true),
        ("--socks4", &four, "", &by_name, true),
        ("--socks4a", &four, "", &by_name, true),
        ("--socks4a", &four_user, "user@", &by_name, true),
        ("--socks4a", &four_user, "", &by_name, false),
        ("--socks5", &five, "", &by_ip, true),
        ("--socks5", &five, "user:pass@", &by_name, true),
        ("--socks5-hostname", &five, "", &by_name, true),
        (
            "--socks5-hostname",
            &five_user,
            "user:pass@",
            &by_name,
            true,
        ),
        (
            "--socks5-hostname",
            &five_user,
            "user:bad@",
            &by_name,
            false,
        ),
        ("--socks5-hostname", &five_user, "", &by_name, false),
    ] {
        let proxy = format!("{user}{}", server.addr);
        let args = ["-4", "-sS", "--noproxy", "", kind, &proxy, url];
        let (success, printed) = run(curl.clone(), &args).await;
        assert_eq!(success, granted, "{kind} {proxy} {url}: {printed}");
        assert_eq!(printed.ends_with("the page"), granted, "{printed}");
    }
}

/// A Python that has the module `socks`.
fn python() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path)
        .map(|dir| dir.join("python3"))
        .filter(|file| file.is_file())
        .find(|python| {
            let output = Command::new(python).args(["-c", "import socks"]).output();
            output.is_ok_and(|output| output.status.success())
        });
    if found.is_none() {
        peers::skip("python3 with PySocks");
    }
    found
}

const TALK: &str = r#"
import socket, socks, sys
kind, version, proxy, target, user, password = sys.argv[1:]
family = {"udp": socket.SOCK_DGRAM, "tcp": socket.SOCK_STREAM}[kind]
s = socks.socksocket(socket.AF_INET, family)
s.settimeout(10)
s.set_proxy({"4": socks.SOCKS4, "5": socks.SOCKS5}[version], "127.0.0.1", int(proxy),
            username=user or None, password=password or None)
target = ("127.0.0.1", int(target))
if kind == "udp":
    for word in (b"one", b"two", b"x" * 9000):
        s.sendto(word, target)
        answer, source = s.recvfrom(65536)
        assert answer == word and source == target, (answer, source)
else:
    s.connect(target)
    s.sendall(b"word")
    assert s.recv(64) == b"word"
print("all well")
"#;

#[tokio::test]
async fn pysocks_talks_over_tcp_and_udp() {
    let Some(python) = python() else { return };
    let echo = tcp::Server::start(tcp::Behaviour::Echo).await.unwrap();
    let echo_udp = udp::Server::start(udp::Behaviour::Echo).await.unwrap();
    let four = open("socks4", "").await;
    let five = open("socks5", "udp=true").await;
    let guarded = serve(handler("socks5", "udp=true").await, |serving| {
        serving.policies.auther = Some(Arc::new(OneUser("user", "pass")));
    })
    .await;
    for (kind, version, server, user, password) in [
        ("tcp", "4", &four, "", ""),
        ("tcp", "5", &five, "", ""),
        ("tcp", "5", &guarded, "user", "pass"),
        ("udp", "5", &five, "", ""),
        ("udp", "5", &guarded, "user", "pass"),
    ] {
        let proxy = server.addr.port().to_string();
        let target = match kind {
            "tcp" => echo.port(),
            _ => echo_udp.port(),
        };
        let target = target.to_string();
        let args = ["-c", TALK, kind, version, &proxy, &target, user, password];
        let (success, printed) = run(python.clone(), &args).await;
        assert!(
            success && printed.contains("all well"),
            "{kind} {version}: {printed}"
        );
    }
}
