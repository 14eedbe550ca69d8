//! The libraries `websockets` of Python and `ws` of Node, at either end.

use std::{path::PathBuf, process::Stdio};

use gost_testkit::{
    PATIENCE, peers, ports,
    process::{Launch, Process},
    tcp,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::Command,
};

use crate::{echoes, start};

/// What can run the scripts, and their ending.
struct Library {
    program: PathBuf,
    ending: &'static str,
}

/// Where Debian puts the modules of its packages.
const NODE_PATH: &str = "/usr/share/nodejs";

impl Library {
    async fn has(program: &PathBuf, test: [&str; 2]) -> bool {
        let run = Command::new(program)
            .args(test)
            .env("NODE_PATH", NODE_PATH)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .status();
        matches!(tokio::time::timeout(PATIENCE, run).await, Ok(Ok(status)) if status.success())
    }

    /// The libraries that are installed; the others are said to be skipped.
    async fn all() -> Vec<Self> {
        let mut found = Vec::new();
        for (name, ending, test, library) in [
            (
                "python3",
                "py",
                ["-c", "import websockets"],
                "websockets of Python",
            ),
            ("node", "js", ["-e", "require('ws')"], "ws of Node"),
        ] {
            // Of several interpreters one may have it.
            let path = std::env::var_os("PATH").unwrap_or_default();
            let mut programs = std::env::split_paths(&path).map(|folder| folder.join(name));
            let program = loop {
                match programs.next() {
                    Some(program) if !program.exists() => {}
                    Some(program) if !Self::has(&program, test).await => {}
                    program => break program,
                }
            };
            match program {
                Some(program) => found.push(Self { program, ending }),
                None => peers::skip(library),
            }
        }
        found
    }

    fn launch(&self, script: &str, argument: &str) -> anyhow::Result<Process> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/websocket");
        Launch::new(&self.program)
            .arg(format!("{folder}/{script}.{}", self.ending))
            .arg(argument)
            .env("NODE_PATH", NODE_PATH)
            .spawn()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn their_clients_at_our_server() -> anyhow::Result<()> {
    let echo = tcp::Server::start(tcp::Behaviour::Echo).await?;
    let port = ports::tcp();
    let listen = format!("forward+ws://127.0.0.1:{port}/{}", echo.address());
    let _gost = start(&peers::gost_bin()?, &["-L", &listen], port).await?;
    for library in Library::all().await {
        let mut client = library.launch("client", &format!("ws://127.0.0.1:{port}/ws"))?;
        let status = client.exit(PATIENCE * 2).await?;
        let said = client.lines();
        assert!(status.success(), "{} {said:?}", library.ending);
        assert!(
            said.iter().any(|line| line == "ok 1000"),
            "{} {said:?}",
            library.ending
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn our_client_at_their_servers() -> anyhow::Result<()> {
    for library in Library::all().await {
        let (node, entry) = (ports::tcp(), ports::tcp());
        let server = library.launch("server", &node.to_string())?;
        server.line("listening").await?;
        // The far end is whoever answers there: no protocol is spoken over the channel.
        let forward = format!("forward+ws://127.0.0.1:{node}?keepalive=true&ttl=200ms");
        let local = format!("tcp://127.0.0.1:{entry}/127.0.0.1:1");
        let gost = peers::gost_bin()?;
        let _gost = start(&gost, &["-L", &local, "-F", &forward], entry).await?;
        for length in [1, 100, 65_536, 1_000_000] {
            drop(echoes(entry, length).await?);
        }
        let mut stream = TcpStream::connect(("127.0.0.1", entry)).await?;
        if library.ending == "js" {
            // The other library answers pings without a word.
            server.line("pinged").await?;
        }
        stream.write_all(b"close").await?;
        let mut all = Vec::new();
        tokio::time::timeout(PATIENCE, stream.read_to_end(&mut all)).await??;
        assert_eq!(all, b"close");
        server.line("closed 1000").await?;
    }
    Ok(())
}
