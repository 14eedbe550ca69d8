//! The example at work: as a program of its own, on a command line and in a file.

use anyhow::Result;
use gost_testkit::{
    PATIENCE, ports,
    process::{Launch, Process},
    tcp,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

async fn knock(args: &[&str]) -> Result<Process> {
    let process = Launch::new(env!("CARGO_BIN_EXE_knock"))
        .args(args)
        .spawn()?;
    process.line("listening on").await?;
    Ok(process)
}

/// Says something, and returns as much of what comes back: less when the connection ends first.
async fn echo(port: u16, text: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(text.as_bytes()).await?;
    let mut back = String::new();
    let mut start = stream.take(text.len() as u64);
    tokio::time::timeout(PATIENCE, start.read_to_string(&mut back)).await??;
    Ok(back)
}

#[tokio::test(flavor = "multi_thread")]
async fn traffic_passes_the_dialer_and_the_handler() -> Result<()> {
    let target = tcp::Server::start(tcp::Behaviour::Echo).await?;
    let (door, entry) = (ports::tcp(), ports::tcp());
    let listen = format!("knock://127.0.0.1:{door}/{}?word=sesame", target.address());
    let _server = knock(&["-L", &listen]).await?;
    let listen = format!("tcp://127.0.0.1:{entry}");
    let node = format!("forward+knock://127.0.0.1:{door}?word=sesame");
    let _client = knock(&["-L", &listen, "-F", &node]).await?;
    assert_eq!(echo(entry, "hello").await?, "hello");
    // Who knows the word needs no dialer.
    let mut stream = TcpStream::connect(("127.0.0.1", door)).await?;
    stream.write_all(b"sesamehello").await?;
    let mut back = [0; 5];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut back)).await??;
    assert_eq!(&back, b"hello");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_another_word_is_hung_up_on() -> Result<()> {
    let target = tcp::Server::start(tcp::Behaviour::Echo).await?;
    let (door, entry) = (ports::tcp(), ports::tcp());
    let listen = format!("knock://127.0.0.1:{door}/{}?word=sesame", target.address());
    let server = knock(&["-L", &listen]).await?;
    let listen = format!("tcp://127.0.0.1:{entry}");
    let node = format!("forward+knock://127.0.0.1:{door}?word=rhubarb");
    let _client = knock(&["-L", &listen, "-F", &node]).await?;
    // The end may come as a reset: nobody has read what was said.
    assert_eq!(echo(entry, "hello").await.unwrap_or_default(), "");
    server.line("wrong word").await?;
    assert_eq!(target.accepted(), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_word_starts_nothing_and_is_said() -> Result<()> {
    let port = ports::tcp();
    let listen = format!("knock://127.0.0.1:{port}/127.0.0.1:1");
    let program = env!("CARGO_BIN_EXE_knock");
    let mut process = Launch::new(program).args(["-L", &listen]).spawn()?;
    assert_eq!(process.exit(PATIENCE).await?.code(), Some(1));
    process.line("a word is needed").await?;
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
    Ok(())
}
