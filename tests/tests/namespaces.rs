//! Network namespaces and socket marks: where the program listens, and which way its sockets take.
//!
//! Needs the right to make namespaces. Without it each test says that it was skipped, and why.

use anyhow::{Result, ensure};
use gost_testkit::ports;
use gost_tests::{
    gost_logged,
    namespace::{Namespace, text},
    web,
};
use tempfile::TempDir;

/// A folder with a page that says `inside`.
fn page_inside() -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("page"), "inside")?;
    Ok(folder)
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
    let folder = page_inside()?;
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
    let folder = page_inside()?;
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
    let folder = page_inside()?;
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
