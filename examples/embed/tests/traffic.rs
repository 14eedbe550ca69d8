//! The example at work, as a program of its own.

use anyhow::{Context as _, Result};
use gost_testkit::{
    PATIENCE,
    process::{Launch, Signal},
    tcp,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

#[tokio::test(flavor = "multi_thread")]
async fn it_forwards_until_it_is_interrupted() -> Result<()> {
    let target = tcp::Server::start(tcp::Behaviour::Echo).await?;
    let args = ["127.0.0.1:0".to_owned(), target.address().to_string()];
    let mut process = Launch::new(env!("CARGO_BIN_EXE_embed"))
        .args(args)
        .spawn()?;
    let line = process.line("listening on ").await?;
    let (_, address) = line.rsplit_once(' ').context("no address")?;
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"hello").await?;
    let mut back = [0; 5];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut back)).await??;
    assert_eq!(&back, b"hello");
    drop(stream);
    process.signal(Signal::SIGINT)?;
    assert!(process.exit(PATIENCE).await?.success());
    Ok(())
}
