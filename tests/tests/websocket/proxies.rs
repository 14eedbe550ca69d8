//! nginx and haproxy as reverse proxies between two nodes.

use std::{fs, path::Path, time::Duration};

use gost_testkit::{
    PATIENCE, peers, ports,
    process::{Launch, Process},
    tcp,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{echoes, echoes_again, start};

/// A proxy that listens on one port and forwards to another, and cuts what is silent for two seconds.
async fn proxy(name: &str, folder: &Path, port: u16, to: u16) -> anyhow::Result<Option<Process>> {
    let Some(program) = peers::need(name) else {
        return Ok(None);
    };
    let folder = folder.display();
    let file = format!("{folder}/{name}.conf");
    let (config, args) = if name == "nginx" {
        (
            format!(
                "daemon off; pid {folder}/pid; error_log stderr; worker_processes 1;\n\
                 events {{}}\n\
                 http {{\n\
                   access_log off;\n\
                   client_body_temp_path {folder}; proxy_temp_path {folder};\n\
                   fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};\n\
                   server {{\n\
                     listen 127.0.0.1:{port};\n\
                     location /ws {{\n\
                       proxy_pass http://127.0.0.1:{to};\n\
                       proxy_http_version 1.1;\n\
                       proxy_set_header Upgrade $http_upgrade;\n\
                       proxy_set_header Connection upgrade;\n\
                       proxy_set_header X-Forwarded-For 192.0.2.77;\n\
                       proxy_read_timeout 2s; proxy_send_timeout 2s;\n\
                     }}\n\
                   }}\n\
                 }}\n"
            ),
            vec![
                "-p".to_owned(),
                folder.to_string(),
                "-c".to_owned(),
                file.clone(),
            ],
        )
    } else {
        (
            format!(
                "defaults\n  mode http\n  timeout connect 5s\n  timeout client 2s\n  \
                 timeout server 2s\n  timeout tunnel 2s\n\
                 frontend f\n  bind 127.0.0.1:{port}\n  default_backend b\n\
                 backend b\n  http-request set-header X-Forwarded-For 192.0.2.77\n  \
                 server s 127.0.0.1:{to}\n"
            ),
            vec!["-db".to_owned(), "-f".to_owned(), file.clone()],
        )
    };
    fs::write(&file, config)?;
    let mut process = Launch::new(program).args(args).spawn()?;
    process.ready(port).await?;
    Ok(Some(process))
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_pass_and_silence_is_survived() -> anyhow::Result<()> {
    let echo = tcp::Server::start(tcp::Behaviour::Echo).await?;
    let gost = peers::gost_bin()?;
    for name in ["nginx", "haproxy"] {
        for channel in ["ws", "mws"] {
            let folder = tempfile::tempdir()?;
            let (node, front, entry) = (ports::tcp(), ports::tcp(), ports::tcp());
            let Some(_proxy) = proxy(name, folder.path(), front, node).await? else {
                continue;
            };
            let listen = format!("relay+{channel}://127.0.0.1:{node}");
            let server = start(&gost, &["-L", &listen], node).await?;
            let local = format!("tcp://127.0.0.1:{entry}/{}", echo.address());
            let forward = format!("relay+{channel}://127.0.0.1:{front}?keepalive=true&ttl=300ms");
            let _client = start(&gost, &["-L", &local, "-F", &forward], entry).await?;
            let stream = echoes(entry, 1_000_000).await?;
            // What is proved is that a longer silence than the proxy allows ends nothing.
            tokio::time::sleep(Duration::from_millis(3500)).await;
            drop(echoes_again(stream, 1000).await?);
            if channel == "ws" {
                server.line("192.0.2.77").await?;
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_half_closes_an_answer_survives_the_end_of_its_question() -> anyhow::Result<()> {
    let echo = tcp::Server::start(tcp::Behaviour::Echo).await?;
    let gost = peers::gost_bin()?;
    for name in ["nginx", "haproxy"] {
        let folder = tempfile::tempdir()?;
        let (node, front, entry) = (ports::tcp(), ports::tcp(), ports::tcp());
        let Some(_proxy) = proxy(name, folder.path(), front, node).await? else {
            continue;
        };
        let listen = format!("relay+ws://127.0.0.1:{node}?halfClose=false");
        let _server = start(&gost, &["-L", &listen], node).await?;
        let local = format!("tcp://127.0.0.1:{entry}/{}", echo.address());
        let forward = format!("relay+ws://127.0.0.1:{front}?halfClose=false");
        let _client = start(&gost, &["-L", &local, "-F", &forward], entry).await?;
        for _ in 0..10 {
            let mut stream = TcpStream::connect(("127.0.0.1", entry)).await?;
            stream.write_all(b"question").await?;
            stream.shutdown().await?;
            let mut answer = [0; 8];
            tokio::time::timeout(PATIENCE, stream.read_exact(&mut answer)).await??;
            assert_eq!(&answer, b"question");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_has_nobody_behind_it_is_quoted() -> anyhow::Result<()> {
    let gost = peers::gost_bin()?;
    for (name, status) in [
        ("nginx", "502 Bad Gateway"),
        ("haproxy", "503 Service Unavailable"),
    ] {
        let folder = tempfile::tempdir()?;
        let (nobody, front, entry) = (ports::tcp(), ports::tcp(), ports::tcp());
        let Some(_proxy) = proxy(name, folder.path(), front, nobody).await? else {
            continue;
        };
        let local = format!("tcp://127.0.0.1:{entry}/127.0.0.1:1");
        let forward = format!("relay+ws://127.0.0.1:{front}");
        let client = start(&gost, &["-L", &local, "-F", &forward], entry).await?;
        assert_eq!(gost_tests::ask(entry, b"x").await.unwrap_or_default(), b"");
        client.line(&format!("answered {status}: <html>")).await?;
    }
    Ok(())
}
