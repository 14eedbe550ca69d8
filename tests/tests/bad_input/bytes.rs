//! Bad bytes on every port.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use gost_testkit::{PATIENCE, payload::Random, payload::payload, usage::Usage};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::{interval, timeout},
};

use crate::ports::{DEADLINE, Gost, PORTS, Port};

/// What became of a bad client.
struct End {
    /// Its own port, by which the log calls it.
    client: u16,
    /// What it was told.
    told: Vec<u8>,
    after: Duration,
}

/// Sends bytes, perhaps the end of our direction behind them, and waits for the end of the other.
async fn send(port: u16, bytes: &[u8], end: bool) -> Result<End> {
    let begin = Instant::now();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let client = stream.local_addr()?.port();
    let mut told = Vec::new();
    let talk = async {
        // It need not be read to its end.
        let (mut reader, mut writer) = stream.split();
        let write = async {
            let _ = writer.write_all(bytes).await;
            if end {
                let _ = writer.shutdown().await;
            }
        };
        // An end is as good as a reset.
        let _ = tokio::join!(write, reader.read_to_end(&mut told)).1;
    };
    timeout(PATIENCE, talk)
        .await
        .context("the connection stays open")?;
    Ok(End {
        client,
        told,
        after: begin.elapsed(),
    })
}

/// Sends a byte every 100 ms for as long as somebody takes them.
async fn trickle(port: u16, bytes: impl Iterator<Item = u8>) -> Result<End> {
    let begin = Instant::now();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let client = stream.local_addr()?.port();
    let mut told = Vec::new();
    let mut pace = interval(Duration::from_millis(100));
    let (mut reader, mut writer) = stream.split();
    let write = async {
        for byte in bytes {
            pace.tick().await;
            if writer.write_all(&[byte]).await.is_err() {
                return;
            }
        }
        std::future::pending::<()>().await;
    };
    let talk = async {
        tokio::select! {
            _ = reader.read_to_end(&mut told) => {}
            () = write => {}
        }
    };
    timeout(PATIENCE, talk)
        .await
        .context("the connection stays open")?;
    Ok(End {
        client,
        told,
        after: begin.elapsed(),
    })
}

/// Waits until the log has something about a client, and sees that it is one line of a level.
async fn one_line(gost: &Gost, port: &Port, end: &End, levels: &[&str]) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let lines = gost.log_of(port.name, end.client);
        let at_level = lines
            .iter()
            .filter(|(level, _)| levels.contains(&level.as_str()));
        match at_level.count() {
            1 => break,
            0 if Instant::now() < deadline => tokio::time::sleep(Duration::from_millis(5)).await,
            count => bail!("{count} lines: {lines:?}"),
        }
    }
    let lines = gost.log_of(port.name, end.client);
    let loud = lines.iter().filter(|(level, _)| level != "debug");
    ensure!(loud.count() <= 1, "too many lines: {lines:?}");
    Ok(())
}

/// A connection that is there before all bad ones, and goes on.
async fn unharmed(stream: &mut TcpStream, seed: u64) -> Result<()> {
    let sent = payload(seed, 10_000);
    let mut got = vec![0; sent.len()];
    stream.write_all(&sent).await?;
    timeout(PATIENCE, stream.read_exact(&mut got))
        .await
        .context("no echo")??;
    ensure!(got == sent);
    Ok(())
}

/// Runs a trial for every port at once.
async fn every_port<T, F>(trial: T) -> Result<()>
where
    T: Fn(std::sync::Arc<Gost>, &'static Port) -> F,
    F: Future<Output = Result<()>> + Send + 'static,
{
    let gost = std::sync::Arc::new(Gost::start().await?);
    let mut bystander = TcpStream::connect(("127.0.0.1", gost.forward)).await?;
    unharmed(&mut bystander, 0).await?;
    let mut trials = JoinSet::new();
    for port in PORTS {
        let trial = trial(gost.clone(), port);
        trials.spawn(async move { trial.await.context(port.name) });
    }
    while let Some(done) = trials.join_next().await {
        done??;
        unharmed(&mut bystander, 1).await?;
    }
    let mut another = TcpStream::connect(("127.0.0.1", gost.forward)).await?;
    unharmed(&mut another, 2).await
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_refused_in_the_words_of_the_protocol() -> Result<()> {
    every_port(|gost, port| async move {
        let mut zeros_and_noise = vec![vec![0; 3000]];
        // The first byte is no version of anything.
        let mut noise = payload(1, 3000).to_vec();
        noise[0] = 0xff;
        zeros_and_noise.push(noise);
        for garbage in zeros_and_noise {
            let end = send(gost.number(port)?, &garbage, false).await?;
            ensure!(
                end.told.starts_with(port.refusal)
                    && end.told.is_empty() == port.refusal.is_empty(),
                "told {:?}",
                String::from_utf8_lossy(&end.told)
            );
            one_line(&gost, port, &end, &["warn"]).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_cut_short_ends_at_once() -> Result<()> {
    every_port(|gost, port| async move {
        for length in [0, 1, port.beginning.len()] {
            let end = send(gost.number(port)?, &port.beginning[..length], true).await?;
            ensure!(end.after < DEADLINE, "only after {:?}", end.after);
            one_line(&gost, port, &end, &["debug", "warn"]).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_and_slowness_end_with_the_deadline() -> Result<()> {
    every_port(|gost, port| async move {
        let number = gost.number(port)?;
        let beginning = port.beginning.iter().copied();
        // Never a whole request: what is slow here is never finished.
        let slow = beginning.take(10).chain(std::iter::repeat_n(b'1', 4));
        let ends = tokio::try_join!(send(number, b"", false), trickle(number, slow))?;
        for end in [ends.0, ends.1] {
            ensure!(
                end.after < DEADLINE + Duration::from_secs(5),
                "only after {:?}",
                end.after
            );
            one_line(&gost, port, &end, &["warn"]).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_refused_before_it_is_read() -> Result<()> {
    every_port(|gost, port| async move {
        let mut bytes = port.oversized.head.to_vec();
        bytes.resize(8 << 20, port.oversized.filler);
        let end = send(gost.number(port)?, &bytes, false).await?;
        // A refusal may be lost where bytes behind it are answered by a reset.
        let refusal = port.oversized.refusal;
        ensure!(
            end.told.is_empty() || (end.told.starts_with(refusal) && !refusal.is_empty()),
            "told {:?}",
            String::from_utf8_lossy(&end.told)
        );
        one_line(&gost, port, &end, &["warn"]).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_bad_connections_leave_nothing_behind() -> Result<()> {
    const ROUNDS: u64 = 40;
    const AT_ONCE: u64 = 6;
    let gost = std::sync::Arc::new(Gost::start().await?);
    let mut bystander = TcpStream::connect(("127.0.0.1", gost.forward)).await?;
    let mut usage = Vec::new();
    for round in 0..ROUNDS {
        let mut clients = JoinSet::new();
        for port in PORTS {
            for client in 0..AT_ONCE {
                let number = gost.number(port)?;
                clients.spawn(async move {
                    let mut random = Random::new(round * 1000 + client);
                    let mut bytes = port.beginning[..port.beginning.len() / 2].to_vec();
                    bytes.extend_from_slice(&payload(random.next_u64(), 2000));
                    send(number, &bytes, true).await.context(port.name)
                });
            }
        }
        while let Some(done) = clients.join_next().await {
            done??;
        }
        unharmed(&mut bystander, round).await?;
        // Once everything has been needed once, nothing more is.
        if round == ROUNDS / 4 || round == ROUNDS - 1 {
            usage.push(Usage::of(gost.process.id())?);
        }
    }
    let [early, late] = usage[..] else {
        bail!("{} readings", usage.len());
    };
    ensure!(
        late.rss < early.rss + (8 << 20),
        "memory grew from {} to {}",
        early.rss,
        late.rss
    );
    ensure!(
        late.descriptors <= early.descriptors + 8,
        "descriptors grew from {} to {}",
        early.descriptors,
        late.descriptors
    );
    Ok(())
}
