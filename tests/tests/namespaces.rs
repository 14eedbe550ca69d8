//! Network namespaces and socket marks: where the program listens, and which way its sockets take.
//!
//! Needs the right to make namespaces. Without it each test says that it was skipped, and why.

use std::{
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context as _, Result, ensure};
use gost_testkit::{
    peers, ports,
    process::{Launch, Process},
};
use gost_tests::{gost_logged, web};
use tempfile::TempDir;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A network namespace of the test's own, which ends with it.
struct Namespace {
    name: String,
}

impl Namespace {
    /// `None` where namespaces can't be made; says why.
    fn new() -> Option<Self> {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("gost-test-{}-{count}", std::process::id());
        match ip(&["netns", "add", &name]) {
            Ok(()) => {}
            Err(reason) => {
                eprintln!("skipped: no network namespaces here: {reason:#}");
                return None;
            }
        }
        let made = Self { name };
        match made.ip(&["link", "set", "lo", "up"]) {
            Ok(()) => Some(made),
            Err(reason) => {
                eprintln!("skipped: no network namespaces here: {reason:#}");
                None
            }
        }
    }

    /// Runs `ip` on what is inside.
    fn ip(&self, args: &[&str]) -> Result<()> {
        let mut all = vec!["-n", &self.name];
        all.extend(args);
        ip(&all)
    }

    /// A program that runs inside.
    fn launch(&self, program: &str, args: &[&str]) -> Launch {
        Launch::new("ip")
            .args(["netns", "exec", &self.name, program])
            .args(args)
    }

    /// gost, inside.
    async fn gost(&self, args: &[&str]) -> Result<Process> {
        let gost = peers::gost_bin()?;
        let process = self.launch(&gost.to_string_lossy(), args).spawn()?;
        process.line("listening on").await?;
        Ok(process)
    }

    /// A web server inside, which has one page: `inside`.
    async fn web(&self, folder: &TempDir) -> Result<(Process, u16)> {
        let port = ports::tcp();
        std::fs::write(folder.path().join("page"), "inside")?;
        let folder = folder.path().to_string_lossy();
        let port_text = port.to_string();
        let args = [
            "-u",
            "-m",
            "http.server",
            "--bind",
            "127.0.0.1",
            "-d",
            &folder,
            &port_text,
        ];
        let process = self.launch("python3", &args).spawn()?;
        process.line("Serving HTTP").await?;
        Ok((process, port))
    }

    /// What curl prints when it runs inside.
    async fn curl(&self, args: &[&str]) -> Result<String> {
        text(
            tokio::process::Command::new("ip")
                .args(["netns", "exec", &self.name, "curl", "-sS", "-m", "15"])
                .args(args),
        )
        .await
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = ip(&["netns", "del", &self.name]);
    }
}

fn ip(args: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(args).output().context("run ip")?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ip {}: {error}", args.join(" "));
    Ok(())
}

async fn text(command: &mut tokio::process::Command) -> Result<String> {
    let output = command.kill_on_drop(true).output().await?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The page through a proxy, or the status.
async fn through(proxy: &str, url: &str) -> Result<String> {
    let args = [
        "-sS",
        "-m",
        "15",
        "-f",
        "-w",
        "%{http_code}",
        "-x",
        proxy,
        url,
    ];
    text(tokio::process::Command::new("curl").args(args)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_dials_in_the_namespace_of_netns_out() -> Result<()> {
    let Some(inside) = Namespace::new() else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let (_web, page) = inside.web(&folder).await?;
    let page = format!("http://127.0.0.1:{page}/page");
    let port = ports::tcp();
    for (keys, wanted) in [
        (format!("?netns.out={}", inside.name), "inside200"),
        (
            format!("?netns.out=/run/netns/{}", inside.name),
            "inside200",
        ),
        (String::new(), "503"),
    ] {
        let _gost = gost_logged(&["-L", &format!("http://127.0.0.1:{port}{keys}")]).await?;
        let got = through(&format!("http://127.0.0.1:{port}"), &page).await?;
        ensure!(got == wanted, "{keys}: {got}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_listens_in_the_namespace_of_netns_and_dials_outside_of_it() -> Result<()> {
    let Some(inside) = Namespace::new() else {
        return Ok(());
    };
    let (port, page) = (ports::tcp(), web(b"outside").await?);
    let proxy = format!("http://127.0.0.1:{port}");
    let page = format!("http://127.0.0.1:{page}/");
    for kind in ["http", "http+tls"] {
        let url = format!("{kind}://127.0.0.1:{port}?netns={}", inside.name);
        let _gost = gost_logged(&["-L", &url]).await?;
        let here = tokio::net::TcpStream::connect(("127.0.0.1", port)).await;
        ensure!(here.is_err(), "{kind}: it listens out here");
        let proxy = proxy.replace("http:", if kind == "http" { "http:" } else { "https:" });
        let got = inside
            .curl(&["--proxy-insecure", "-x", &proxy, &page])
            .await?;
        ensure!(got == "outside", "{kind}: {got}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_are_taken_in_the_namespace_of_netns() -> Result<()> {
    let Some(inside) = Namespace::new() else {
        return Ok(());
    };
    let echo = gost_testkit::udp::Server::start(gost_testkit::udp::Behaviour::Echo).await?;
    let port = ports::udp();
    let url = format!(
        "udp://127.0.0.1:{port}/127.0.0.1:{}?netns={}",
        echo.port(),
        inside.name
    );
    let _gost = gost_logged(&["-L", &url]).await?;
    let ask = format!(
        "import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.settimeout(10); \
         s.sendto(b'question', ('127.0.0.1', {port})); print(s.recv(99).decode())"
    );
    let got = text(tokio::process::Command::new("ip").args([
        "netns",
        "exec",
        &inside.name,
        "python3",
        "-c",
        &ask,
    ]))
    .await?;
    ensure!(got == "question\n", "{got:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_dialed_in_its_namespace() -> Result<()> {
    let Some(inside) = Namespace::new() else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let (_web, page) = inside.web(&folder).await?;
    let page = format!("http://127.0.0.1:{page}/page");
    let (port, node) = (ports::tcp(), ports::tcp());
    let _node = inside
        .gost(&["-L", &format!("relay://127.0.0.1:{node}")])
        .await?;
    let config = |at: &str, of_node: &str, of_hop: &str| {
        format!(
            "services:
- {{name: s, addr: '127.0.0.1:{port}', handler: {{type: http, chain: c}}}}
chains:
- name: c
  hops:
  - name: h
    {of_hop}
    nodes:
    - {{name: n, addr: '127.0.0.1:{node}', connector: {{type: relay}}, dialer: {{type: {at}}}, {of_node}}}
"
        )
    };
    let key = format!("metadata: {{netns: {}}}", inside.name);
    let field = format!("netns: {}", inside.name);
    let file = folder.path().join("gost.yaml");
    for (config, wanted) in [
        (config("tcp", &key, ""), "inside200"),
        (config("tcp", &field, ""), "inside200"),
        (config("tcp", "", &key), "inside200"),
        (config("tcp", "", ""), "503"),
    ] {
        std::fs::write(&file, &config)?;
        let _gost = gost_logged(&["-C", &file.to_string_lossy()]).await?;
        let got = through(&format!("http://127.0.0.1:{port}"), &page).await?;
        ensure!(got == wanted, "{got} with\n{config}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_is_on_the_sockets_that_it_is_for() -> Result<()> {
    let Some(inside) = Namespace::new() else {
        return Ok(());
    };
    // What has the mark gets nowhere, not even to this machine.
    inside.ip(&["rule", "add", "pref", "1", "lookup", "local"])?;
    inside.ip(&["rule", "del", "pref", "0"])?;
    inside.ip(&["rule", "add", "pref", "0", "fwmark", "77", "prohibit"])?;
    let folder = tempfile::tempdir()?;
    let (_web, page) = inside.web(&folder).await?;
    let page = format!("http://127.0.0.1:{page}/page");
    let (port, node) = (ports::tcp(), ports::tcp());
    let _node = inside
        .gost(&["-L", &format!("relay://127.0.0.1:{node}")])
        .await?;
    let proxy = format!("http://127.0.0.1:{port}");
    let (listen, marked) = (
        format!("http://127.0.0.1:{port}"),
        format!("http://127.0.0.1:{port}?so_mark=77"),
    );
    let (to, to_marked) = (
        format!("relay://127.0.0.1:{node}"),
        format!("relay://127.0.0.1:{node}?so_mark=77"),
    );
    for (args, wanted) in [
        (vec!["-L", &listen], "inside200"),
        (vec!["-L", &marked], "503"),
        (vec!["-L", &listen, "-F", &to], "inside200"),
        (vec!["-L", &listen, "-F", &to_marked], "503"),
        // The mark of a service is for what it dials itself.
        (vec!["-L", &marked, "-F", &to], "inside200"),
    ] {
        let _gost = inside.gost(&args).await?;
        let got = inside
            .curl(&["-f", "-w", "%{http_code}", "-x", &proxy, &page])
            .await?;
        ensure!(got == wanted, "{args:?}: {got}");
    }
    Ok(())
}
