//! Streams through a pair: bytes, ends and refusals.

use std::{io, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use gost_testkit::{PATIENCE, payload::payload};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};

use crate::{
    pair::{Nodes, Other},
    table::{Addresses, Pairing, Program, Protocol},
    targets::{Door, Targets, banner, farewell},
};

/// Bytes in each direction of the large exchange.
const LARGE: usize = 2 << 20;

/// Connections at once, and bytes in each direction of each.
const MANY: u64 = 8;
const EACH: usize = 60_000;

pub(crate) async fn connect(port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await;
    stream.with_context(|| format!("connect to port {port}"))
}

/// Sends bytes and compares what an echo makes of them, while it is still sending.
pub(crate) async fn echoed(stream: &mut TcpStream, seed: u64, len: usize) -> Result<()> {
    let sent = payload(seed, len);
    let mut got = vec![0; len];
    let (mut reader, mut writer) = stream.split();
    let both =
        async { tokio::try_join!(writer.write_all(&sent), reader.read_exact(&mut got)).map(drop) };
    let done = timeout(PATIENCE, both).await;
    done.context("the echo stalled")?.context("the echo")?;
    ensure!(got == sent, "{len} bytes came back as others");
    Ok(())
}

/// What comes until the other side ends, and how it ended.
async fn rest(stream: &mut TcpStream) -> Result<(Vec<u8>, io::Result<()>)> {
    let mut got = Vec::new();
    let end = timeout(PATIENCE, stream.read_to_end(&mut got)).await;
    let end = end.with_context(|| format!("no end after {} bytes", got.len()))?;
    Ok((got, end.map(drop)))
}

pub(crate) async fn bytes(nodes: &Nodes, protocol: &Protocol) -> Result<()> {
    bytes_at(nodes.door(protocol, Door::Echo)?).await
}

/// As [`bytes`], at a port that leads to an echo.
pub(crate) async fn bytes_at(port: u16) -> Result<()> {
    let mut stream = connect(port).await?;
    echoed(&mut stream, 1, 1).await.context("one byte")?;
    echoed(&mut stream, 2, LARGE).await.context("many bytes")
}

pub(crate) async fn many(nodes: &Nodes, protocol: &Protocol) -> Result<()> {
    many_at(nodes.door(protocol, Door::Echo)?).await
}

/// As [`many`], at a port that leads to an echo.
pub(crate) async fn many_at(port: u16) -> Result<()> {
    let mut tasks = JoinSet::new();
    for seed in 0..MANY {
        tasks.spawn(async move {
            let mut stream = connect(port).await?;
            // All are open at once: the first byte of each goes before the rest of any ends.
            echoed(&mut stream, seed, 1).await?;
            echoed(&mut stream, seed, EACH).await
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

pub(crate) async fn addresses(nodes: &Nodes, protocol: &Protocol) -> Result<()> {
    let mut stream = connect(nodes.door(protocol, Door::EchoByName)?).await?;
    echoed(&mut stream, 3, 100).await.context("by name")?;
    if protocol.addresses == Addresses::All {
        let mut stream = connect(nodes.door(protocol, Door::EchoByIpv6)?).await?;
        echoed(&mut stream, 4, 100).await.context("by IPv6")?;
    }
    Ok(())
}

pub(crate) async fn speaks_first(nodes: &Nodes, protocol: &Protocol) -> Result<()> {
    // Bytes behind an answer are lost by chance, if at all.
    for _ in 0..10 {
        let mut stream = connect(nodes.door(protocol, Door::Banner)?).await?;
        let mut got = vec![0; banner().len()];
        timeout(PATIENCE, stream.read_exact(&mut got))
            .await
            .context("no banner came")??;
        ensure!(got == banner(), "another banner: {got:?}");
        echoed(&mut stream, 5, 100).await?;
    }
    Ok(())
}

pub(crate) async fn client_ends_first(nodes: &Nodes, protocol: &Protocol) -> Result<()> {
    let mut stream = connect(nodes.door(protocol, Door::AnswerAfterEnd)?).await?;
    let question = payload(6, 100_000);
    stream.write_all(&question).await?;
    stream.shutdown().await?;
    let (answer, end) = rest(&mut stream).await?;
    end?;
    ensure!(answer == question, "{} bytes of answer came", answer.len());
    Ok(())
}

pub(crate) async fn target_ends_first(
    nodes: &Nodes,
    protocol: &Protocol,
    pairing: Pairing,
) -> Result<()> {
    let mut stream = connect(nodes.door(protocol, Door::EndFirst)?).await?;
    if protocol.name == "relay" && pairing.client() == Program::Reference {
        // It sends its request with the first data. Elsewhere data could come after the original
        // has closed both directions, which would be answered by a reset.
        stream.write_all(b"hello").await?;
    }
    let mut got = vec![0; farewell().len()];
    timeout(PATIENCE, stream.read_exact(&mut got))
        .await
        .context("no farewell came")?
        .context("in the farewell")?;
    ensure!(got == farewell(), "another farewell came");
    // Where one direction can't end alone, the end comes with that of the other.
    let ending = stream.shutdown().await;
    let (more, end) = rest(&mut stream).await?;
    // The original may have closed both directions before that.
    if !pairing.needs_reference() {
        ending.and(end)?;
    }
    ensure!(more.is_empty(), "{} bytes too many", more.len());
    Ok(())
}

pub(crate) async fn reset(nodes: &Nodes, protocol: &Protocol) -> Result<()> {
    let mut stream = connect(nodes.door(protocol, Door::Reset)?).await?;
    stream.write_all(b"1234").await?;
    match rest(&mut stream).await? {
        (got, Err(error)) if error.kind() == io::ErrorKind::ConnectionReset => {
            ensure!(got.is_empty(), "{got:?} came");
            Ok(())
        }
        (_, end) => bail!("it ended with {end:?}"),
    }
}

/// What can't be had ends the connection, soon and without a byte.
pub(crate) async fn ends_empty(port: u16) -> Result<()> {
    let mut stream = match TcpStream::connect(("127.0.0.1", port)).await {
        Ok(stream) => stream,
        // It can end even before it was seen to begin.
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    // It may be closed by now.
    let _ = stream.write_all(b"hello").await;
    let mut got = Vec::new();
    let end = timeout(Duration::from_secs(10), stream.read_to_end(&mut got)).await;
    // Reset or in order: both are an end.
    let _ = end.context("the connection stays open")?;
    ensure!(got.is_empty(), "{:?} came", String::from_utf8_lossy(&got));
    Ok(())
}

pub(crate) async fn refused(nodes: &Nodes, protocol: &Protocol) -> Result<()> {
    ends_empty(nodes.door(protocol, Door::Refused)?).await?;
    // The node is none the worse.
    let mut stream = connect(nodes.door(protocol, Door::Echo)?).await?;
    echoed(&mut stream, 7, 100).await.context("afterwards")
}

pub(crate) async fn wrong_password(
    targets: &Targets,
    nodes: &Nodes,
    protocol: &Protocol,
) -> Result<()> {
    ends_empty(nodes.door(protocol, Door::Secret)?).await?;
    ensure!(targets.secret.accepted() == 0, "the target was reached");
    // The node is none the worse.
    let mut stream = connect(nodes.door(protocol, Door::Echo)?).await?;
    echoed(&mut stream, 8, 100).await.context("afterwards")
}

pub(crate) async fn remote(nodes: &Nodes, protocol: &Protocol) -> Result<()> {
    let port = nodes.other(protocol, Other::RemoteTcp)?;
    let bound = async {
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, bound)
        .await
        .with_context(|| format!("nothing listens; {}", tail(nodes)))?;
    bytes_at(port).await?;
    many_at(port).await
}

/// The last lines of the client node's log.
pub(crate) fn tail(nodes: &Nodes) -> String {
    let lines = nodes.client.lines();
    lines[lines.len().saturating_sub(10)..].join("\n")
}
