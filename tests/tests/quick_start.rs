//! Every example of the quick start in README.md does what it says.

use gost_testkit::{peers, ports, tcp, udp};
use gost_tests::{curl, exchange, gost, gost_logged, web};

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_for_http_and_socks_on_one_port() -> anyhow::Result<()> {
    let web = web(b"hello").await?;
    let port = ports::tcp();
    let _gost = gost(&["-L", &format!("127.0.0.1:{port}")], port).await?;
    let url = format!("http://127.0.0.1:{web}/");
    for proxy in ["http", "socks4", "socks4a", "socks5", "socks5h"] {
        let output = curl(&["-x", &format!("{proxy}://127.0.0.1:{port}"), &url]).await?;
        assert_eq!(
            output.stdout,
            b"hello",
            "{proxy}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let output = curl(&["-p", "-x", &format!("http://127.0.0.1:{port}"), &url]).await?;
    assert_eq!(output.stdout, b"hello");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_with_a_password() -> anyhow::Result<()> {
    let web = web(b"hello").await?;
    let port = ports::tcp();
    let _gost = gost(
        &["-L", &format!("http://alice:secret@127.0.0.1:{port}")],
        port,
    )
    .await?;
    let (proxy, url) = (
        format!("http://127.0.0.1:{port}"),
        format!("http://127.0.0.1:{web}/"),
    );
    let good = curl(&["-x", &proxy, "-U", "alice:secret", &url]).await?;
    assert_eq!(good.stdout, b"hello");
    for user in ["alice:wrong", "bob:secret", ":"] {
        let status = curl(&[
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "-x",
            &proxy,
            "-U",
            user,
            &url,
        ])
        .await?;
        assert_eq!(status.stdout, b"407", "{user}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn port_forwarding() -> anyhow::Result<()> {
    let echo = tcp::Server::start(tcp::Behaviour::Echo).await?;
    let port = ports::tcp();
    let listen = format!("tcp://127.0.0.1:{port}/{}", echo.address());
    let _gost = gost(&["-L", &listen], port).await?;
    assert_eq!(exchange(port, b"ping").await?, b"ping");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn udp_port_forwarding() -> anyhow::Result<()> {
    let echo = udp::Server::start(udp::Behaviour::Echo).await?;
    let port = ports::udp();
    let listen = format!("udp://127.0.0.1:{port}/{}", echo.address());
    let _gost = gost_logged(&["-L", &listen]).await?;
    let client = udp::client(([127, 0, 0, 1], port).into()).await?;
    for size in [0, 1, 1400, 65_507] {
        let sent = vec![7; size];
        client.send(&sent).await?;
        assert_eq!(udp::receive(&client, gost_testkit::PATIENCE).await?, sent);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn reverse_forwarding() -> anyhow::Result<()> {
    let echo = tcp::Server::start(tcp::Behaviour::Echo).await?;
    let (node, remote) = (ports::tcp(), ports::tcp());
    let listen = format!("relay://alice:secret@127.0.0.1:{node}?bind=true");
    let mut server = gost(&["-L", &listen], node).await?;
    let back = format!("rtcp://:{remote}/{}", echo.address());
    let out = format!("relay://alice:secret@127.0.0.1:{node}");
    let _client = gost_logged(&["-L", &back, "-F", &out]).await?;
    server.ready(remote).await?;
    assert_eq!(exchange(remote, b"ping").await?, b"ping");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_relay_and_http() -> anyhow::Result<()> {
    let web = web(b"hello").await?;
    let (first, second, entry) = (ports::tcp(), ports::tcp(), ports::tcp());
    let _first = gost(&["-L", &format!("relay://u:p@127.0.0.1:{first}")], first).await?;
    let _second = gost(&["-L", &format!("http://127.0.0.1:{second}")], second).await?;
    let args = [
        "-L",
        &format!("socks5://127.0.0.1:{entry}"),
        "-F",
        &format!("relay://u:p@127.0.0.1:{first}"),
        "-F",
        &format!("http://127.0.0.1:{second}"),
    ];
    let _entry = gost(&args, entry).await?;
    let proxy = format!("socks5h://127.0.0.1:{entry}");
    let output = curl(&["-x", &proxy, &format!("http://localhost:{web}/")]).await?;
    assert_eq!(
        output.stdout,
        b"hello",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_server_that_is_verified() -> anyhow::Result<()> {
    let Some(openssl) = peers::need("openssl") else {
        return Ok(());
    };
    let web = web(b"hello").await?;
    let folder = tempfile::tempdir()?;
    let file = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (cert, key) = (file("cert.pem"), file("key.pem"));
    let line = format!(
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout {key} -out {cert}"
    );
    let made = tokio::process::Command::new(openssl)
        .args(line.split(' '))
        .output()
        .await?;
    anyhow::ensure!(made.status.success(), "no certificate");
    let (node, entry) = (ports::tcp(), ports::tcp());
    let listen = format!("relay+tls://alice:secret@127.0.0.1:{node}?cert={cert}&key={key}");
    let _node = gost(&["-L", &listen], node).await?;
    // The certificate is its own issuer, which the system does not know.
    let to = format!("relay+tls://alice:secret@localhost:{node}?secure=true&ca={cert}");
    let listen = format!("127.0.0.1:{entry}");
    let _entry = gost(&["-L", &listen, "-F", &to], entry).await?;
    let proxy = format!("socks5h://127.0.0.1:{entry}");
    let output = curl(&["-x", &proxy, &format!("http://127.0.0.1:{web}/")]).await?;
    assert_eq!(
        output.stdout,
        b"hello",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_file() -> anyhow::Result<()> {
    let web = web(b"hello").await?;
    let (node, entry) = (ports::tcp(), ports::tcp());
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("gost.yaml");
    let text = format!(
        "services:
- name: node
  addr: 127.0.0.1:{node}
  handler: {{type: relay, auther: users}}
- name: entry
  addr: 127.0.0.1:{entry}
  handler: {{type: socks5, chain: out}}
chains:
- name: out
  hops:
  - name: first
    nodes:
    - name: relay
      addr: 127.0.0.1:{node}
      connector: {{type: relay, auth: {{username: u, password: p}}}}
authers:
- name: users
  auths:
  - {{username: u, password: p}}
"
    );
    std::fs::write(&file, text)?;
    let _gost = gost(&["-C", &file.to_string_lossy()], entry).await?;
    let proxy = format!("socks5h://127.0.0.1:{entry}");
    let output = curl(&["-x", &proxy, &format!("http://127.0.0.1:{web}/")]).await?;
    assert_eq!(
        output.stdout,
        b"hello",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
