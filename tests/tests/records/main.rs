//! What is written down, counted and told, and what services run: by whole programs.

mod handler;
mod services;
mod sinks;

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use gost_testkit::{PATIENCE, process::Process};
use gost_tests::gost_logged;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};

/// Starts the program with a configuration; records may go into its folder, `FOLDER` in the text.
/// Nothing connects to it to see whether it listens: that would be recorded.
pub(crate) async fn start(config: &str) -> Result<(Process, TempDir)> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("gost.yaml");
    let path = folder.path().display().to_string();
    std::fs::write(&file, config.replace("FOLDER", &path))?;
    let process = gost_logged(&["-C", &file.to_string_lossy()]).await?;
    Ok((process, folder))
}

/// Waits until something is there.
pub(crate) async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> Result<T> {
    let work = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let found = timeout(PATIENCE, work).await;
    found.with_context(|| what.to_owned())
}

/// The lines of a file, once there are so many.
pub(crate) async fn lines(file: &Path, count: usize) -> Result<Vec<String>> {
    let what = format!("{count} lines in {}", file.display());
    until(&what, || {
        let text = std::fs::read_to_string(file).ok()?;
        let lines: Vec<_> = text.split_inclusive('\n').map(str::to_owned).collect();
        (lines.len() >= count && text.ends_with('\n')).then_some(lines)
    })
    .await
}

/// Answers every post with 200, and gives what was posted.
pub(crate) async fn posts() -> Result<(u16, mpsc::UnboundedReceiver<(String, String)>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let (posted, posts) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let posted = posted.clone();
            tokio::spawn(async move { answer(stream, &posted).await });
        }
    });
    Ok((port, posts))
}

async fn answer(stream: TcpStream, posted: &mpsc::UnboundedSender<(String, String)>) -> Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut head, mut length) = (String::new(), 0);
        while !head.ends_with("\r\n\r\n") {
            let mut line = String::new();
            ensure!(stream.read_line(&mut line).await? > 0, "closed");
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            head += &line;
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        posted.send((head, String::from_utf8(body)?))?;
        let ok = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"ok\":true}";
        stream.write_all(ok.as_bytes()).await?;
    }
}
