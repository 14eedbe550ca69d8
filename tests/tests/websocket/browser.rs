//! A browser's WebSocket: Chromium without a head.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use gost_testkit::{peers, ports, process::Launch, tcp};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};

use crate::start;

/// A browser takes its time to start.
const BROWSER: Duration = Duration::from_mins(1);

/// Names of the program, the smaller one first.
const NAMES: [&str; 3] = ["chromium-headless-shell", "chromium", "google-chrome"];

const PAGE: &str = include_str!("../../peers/websocket/browser.html");

/// Serves the page until it tells what it saw.
async fn told(listener: TcpListener) -> Result<String> {
    // A browser opens more connections than it uses.
    let mut requests = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                requests.spawn(serve(accepted?.0));
            }
            Some(done) = requests.join_next() => {
                if let Ok(Ok(Some(told))) = done {
                    return Ok(told);
                }
            }
        }
    }
}

/// One request: for the page, or with what it tells.
async fn serve(stream: TcpStream) -> Result<Option<String>> {
    let mut stream = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    stream.read_line(&mut line).await?;
    let is_told = line.starts_with("POST /told ");
    let page = if line.starts_with("GET /?") { PAGE } else { "" };
    while !line.trim().is_empty() {
        line.clear();
        stream.read_line(&mut line).await?;
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{page}",
        page.len()
    );
    stream.write_all(head.as_bytes()).await?;
    let told = is_told.then(|| String::from_utf8_lossy(&body).trim_end().to_owned());
    Ok(told)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_is_a_client_like_others() -> Result<()> {
    let Some(browser) = NAMES.iter().find_map(|name| peers::peer(name)) else {
        peers::skip("Chromium");
        return Ok(());
    };
    let echo = tcp::Server::start(tcp::Behaviour::Echo).await?;
    // It offers compression, which is declined.
    for channel in ["ws", "wss"] {
        let port = ports::tcp();
        let listen = format!("forward+{channel}://127.0.0.1:{port}/{}", echo.address());
        let _gost = start(&peers::gost_bin()?, &["-L", &listen], port).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!(
            "http://{}/?url={channel}://127.0.0.1:{port}/ws",
            listener.local_addr()?
        );
        let profile = tempfile::tempdir()?;
        let profile_at = format!("--user-data-dir={}", profile.path().display());
        let browser = Launch::new(&browser)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
            ])
            .args([
                "--disable-background-networking",
                "--ignore-certificate-errors",
            ])
            // Nothing but this machine is to be reached.
            .args(["--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"])
            .args(["--remote-debugging-port=0", &profile_at, &url])
            .spawn()?;
        let told = timeout(BROWSER, told(listener))
            .await
            .with_context(|| format!("the browser says nothing: {:?}", browser.lines()))??;
        ensure!(told == "ok 1000 true", "{channel}: {told}");
    }
    Ok(())
}
