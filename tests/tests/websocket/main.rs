//! The WebSocket channels with other people's programs: the original with every option that shows
//! on the wire, proxies in between, the libraries of Python and Node, and a browser.

mod browser;
mod libraries;
mod options;
mod proxies;

use std::path::Path;

use anyhow::{Context as _, Result};
use gost_testkit::process::{Launch, Process};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Starts a program and waits until it listens.
async fn start(program: &Path, args: &[&str], port: u16) -> Result<Process> {
    let mut process = Launch::new(program).args(args).spawn()?;
    process.ready(port).await?;
    Ok(process)
}

/// Sends so many bytes to an echo server at a local port, and finds them in what comes back. The
/// connection stays open.
async fn echoes(port: u16, length: usize) -> Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    echoes_again(stream, length).await
}

/// The same on a connection that is open.
async fn echoes_again(mut stream: TcpStream, length: usize) -> Result<TcpStream> {
    let sent = gost_testkit::payload::payload(length as u64, length);
    let mut found = vec![0; length];
    let (mut read, mut write) = stream.split();
    let exchange = async { tokio::try_join!(write.write_all(&sent), read.read_exact(&mut found)) };
    tokio::time::timeout(gost_testkit::PATIENCE, exchange)
        .await
        .context("no echo")??;
    anyhow::ensure!(found == sent, "other bytes came back");
    Ok(stream)
}
