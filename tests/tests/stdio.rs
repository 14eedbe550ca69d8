//! Standard input and output as a connection, as `ssh -o ProxyCommand` wants it.

use anyhow::{Context as _, Result, ensure};
use gost_testkit::{PATIENCE, payload::payload, peers, ports, process::Launch, tcp};
use gost_tests::gost;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{ChildStdin, ChildStdout},
};

/// Says something on standard input, ends it, and returns what standard output had to say.
async fn through(args: &[&str], question: &[u8]) -> Result<Vec<u8>> {
    let launch = Launch::new(peers::gost_bin()?).args(args).interactive();
    let mut process = launch.spawn()?;
    let mut input = ChildStdin::from_std(process.take_stdin().context("no input")?)?;
    let mut output = ChildStdout::from_std(process.take_stdout().context("no output")?)?;
    let mut answer = Vec::new();
    let talk = async {
        input.write_all(question).await?;
        drop(input);
        output.read_to_end(&mut answer).await?;
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, talk)
        .await
        .context("no end of the answer")??;
    assert_eq!(process.exit(PATIENCE).await?.code(), Some(0));
    let said = process.lines();
    ensure!(
        !said.iter().any(|line| line.contains("panicked")),
        "{said:?}"
    );
    Ok(answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_the_targets_bytes_comes_out() -> Result<()> {
    let target = tcp::Server::start(tcp::Behaviour::AnswerAfterEnd).await?;
    let question = payload(1, 300_000);
    let listen = format!("stdio://{}", target.address());
    let answer = through(&["-L", &listen], &question).await?;
    assert!(answer == question, "{} bytes", answer.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_through_a_chain() -> Result<()> {
    let target = tcp::Server::start(tcp::Behaviour::AnswerAfterEnd).await?;
    let port = ports::tcp();
    let node = format!("socks5://127.0.0.1:{port}");
    let _node = gost(&["-L", &node], port).await?;
    let listen = format!("stdio://{}", target.address());
    let answer = through(&["-L", &listen, "-F", &node], b"hello").await?;
    assert_eq!(answer, b"hello");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_away_ends_it() -> Result<()> {
    let listen = format!("stdio://127.0.0.1:{}", ports::tcp());
    let answer = through(&["-L", &listen], b"hello").await?;
    assert_eq!(answer, b"");
    Ok(())
}
