//! End-to-end tests of the gost binary, one file per promise; this is what they share.

mod configured;
pub mod dns;
pub mod namespace;
pub mod redis;
pub mod socks5;
pub mod ssh;

use std::{process::Output, time::Duration};

use anyhow::{Context as _, Result};
use gost_testkit::{
    PATIENCE, peers,
    process::{Launch, Process},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::Command,
};

pub use configured::Gost;

/// Starts gost and waits until it listens on a TCP port.
pub async fn gost(args: &[&str], ready: u16) -> Result<Process> {
    let mut process = Launch::new(peers::gost_bin()?).args(args).spawn()?;
    process.ready(ready).await?;
    Ok(process)
}

/// Starts gost and waits until its log says that it listens.
pub async fn gost_logged(args: &[&str]) -> Result<Process> {
    let process = Launch::new(peers::gost_bin()?).args(args).spawn()?;
    process.line("listening on").await?;
    Ok(process)
}

/// Runs gost to its end and returns what it printed.
pub async fn gost_output(args: &[&str]) -> Result<Output> {
    let run = Command::new(peers::gost_bin()?)
        .args(args)
        .kill_on_drop(true)
        .output();
    tokio::time::timeout(PATIENCE, run)
        .await
        .context("gost does not end")?
        .context("run gost")
}

/// Runs curl to its end.
pub async fn curl(args: &[&str]) -> Result<Output> {
    let run = Command::new("curl")
        .args(["-sS", "-m", "15"])
        .args(args)
        .kill_on_drop(true)
        .output();
    tokio::time::timeout(PATIENCE, run)
        .await
        .context("curl does not end")?
        .context("run curl")
}

/// What curl gets through a proxy, and the statuses that it is answered or refused with.
pub async fn through(proxy: &str, url: &str) -> Result<String> {
    let form = "%{http_code}/%{http_connect}";
    let output = curl(&["-x", proxy, "-w", form, "-o", "-", url]).await?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A web server that answers every request with one body, and closes.
pub async fn web(body: &'static [u8]) -> Result<u16> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = [0; 4096];
                let _ = stream.read(&mut head).await;
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.write_all(body).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    Ok(port)
}

/// Sends bytes, ends our direction, and returns all that comes back.
pub async fn ask(port: u16, question: &[u8]) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(question).await?;
    stream.shutdown().await?;
    let mut answer = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer))
        .await
        .context("no end of the answer")??;
    Ok(answer)
}

/// Sends bytes and returns as many as came back at first.
pub async fn exchange(port: u16, question: &[u8]) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(question).await?;
    let mut answer = vec![0; question.len()];
    tokio::time::timeout(Duration::from_secs(20), stream.read_exact(&mut answer)).await??;
    Ok(answer)
}
