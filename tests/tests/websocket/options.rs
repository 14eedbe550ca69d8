//! Options that show on the wire, with the original at the other end.

use std::path::PathBuf;

use anyhow::Context as _;
use gost_testkit::{peers, ports, process::Launch, tcp};

use crate::{echoes, start};

/// Server and client, in every mixture that can be played here.
fn pairs() -> anyhow::Result<Vec<(PathBuf, PathBuf)>> {
    let ours = peers::gost_bin()?;
    let mut pairs = vec![(ours.clone(), ours.clone())];
    if let Some(original) = peers::need("gost-reference") {
        pairs.push((ours.clone(), original.clone()));
        pairs.push((original, ours));
    }
    Ok(pairs)
}

#[tokio::test(flavor = "multi_thread")]
async fn options_of_either_end_mean_the_same_to_the_other() -> anyhow::Result<()> {
    let echo = tcp::Server::start(tcp::Behaviour::Echo).await?;
    for (server, client) in pairs()? {
        for channel in ["ws", "wss", "mws", "mwss"] {
            for (at_server, at_client) in [
                ("path=/chat", "path=/chat&host=front.example:80"),
                ("ws.path=/caf%C3%A9", "ws.path=/caf%C3%A9"),
                ("path=/", "path=/anything"),
                ("enableCompression=true", "enableCompression=true"),
                ("", "enableCompression=true"),
                (
                    "writeBufferSize=1000",
                    "writeBufferSize=1000&readBufferSize=100",
                ),
                (
                    "handshakeTimeout=5s&readHeaderTimeout=5s",
                    "handshakeTimeout=5s",
                ),
                ("backlog=10", "keepalive=true&ttl=1s"),
                ("", "tcp.keepalive=true&tcp.keepalive.idle=30s"),
            ] {
                let node = ports::tcp();
                let entry = ports::tcp();
                let listen = format!("relay+{channel}://127.0.0.1:{node}?{at_server}");
                let local = format!("tcp://127.0.0.1:{entry}/{}", echo.address());
                let forward = format!("relay+{channel}://127.0.0.1:{node}?{at_client}");
                let _server = start(&server, &["-L", &listen], node).await?;
                let mut client_of = Launch::new(&client)
                    .args(["-L", &local, "-F", &forward])
                    .spawn()?;
                // Of several clients that find no session the original resets some, see
                // docs/compatibility.md: so nobody else connects before the first.
                client_of.listening(entry).await?;
                for length in [1, 100_000] {
                    echoes(entry, length).await.with_context(|| {
                        format!("{listen} {forward} by {}: {length}", client.display())
                    })?;
                }
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn header_lines_of_a_file_are_sent_and_answered() -> anyhow::Result<()> {
    let echo = tcp::Server::start(tcp::Behaviour::Echo).await?;
    let folder = tempfile::tempdir()?;
    for (server, client) in pairs()? {
        let (node, entry) = (ports::tcp(), ports::tcp());
        let file = folder.path().join("gost.yaml");
        let config = format!(
            "services:\n- name: a\n  addr: 127.0.0.1:{entry}\n  handler: {{type: tcp, chain: c}}\n  \
             listener: {{type: tcp}}\n  forwarder: {{nodes: [{{name: t, addr: '{}'}}]}}\n\
             chains:\n- name: c\n  hops:\n  - name: h\n    nodes:\n    - name: n\n      \
             addr: 127.0.0.1:{node}\n      connector: {{type: relay}}\n      dialer:\n        \
             type: ws\n        metadata:\n          header: {{x-token: t, user-agent: curl}}\n",
            echo.address()
        );
        std::fs::write(&file, config)?;
        let listen = format!("relay+ws://127.0.0.1:{node}");
        let _server = start(&server, &["-L", &listen], node).await?;
        let file = file.to_str().unwrap_or_default();
        let _client = start(&client, &["-C", file], entry).await?;
        echoes(entry, 1000).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_names_status_and_body_of_a_refusal() -> anyhow::Result<()> {
    for (server, client) in pairs()? {
        if client != peers::gost_bin()? {
            continue;
        }
        let (node, entry) = (ports::tcp(), ports::tcp());
        let listen = format!("relay+ws://127.0.0.1:{node}?path=/other");
        let local = format!("tcp://127.0.0.1:{entry}/127.0.0.1:1");
        let _server = start(&server, &["-L", &listen], node).await?;
        let forward = format!("relay+ws://127.0.0.1:{node}");
        let client = start(&client, &["-L", &local, "-F", &forward], entry).await?;
        assert_eq!(gost_tests::ask(entry, b"x").await.unwrap_or_default(), b"");
        client.line("404 Not Found: 404 page not found").await?;
    }
    Ok(())
}
