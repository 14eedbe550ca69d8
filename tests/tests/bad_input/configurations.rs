//! Wrong configurations: status 1, all mistakes at once with a line for each, and nothing started.

use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use gost_testkit::{ports, tcp};
use gost_tests::gost_output;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};

/// A configuration whose first service is right, and whose port must stay closed.
struct Wrong {
    folder: TempDir,
    port: u16,
}

impl Wrong {
    fn new() -> Result<Self> {
        Ok(Self {
            folder: tempfile::tempdir()?,
            port: ports::tcp(),
        })
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("gost.yaml")
    }

    /// Writes a good service, followed by what is wrong.
    fn write(&self, rest: &str) -> Result<()> {
        let good = format!(
            "services:\n- name: good\n  addr: 127.0.0.1:{}\n{rest}",
            self.port
        );
        Ok(fs::write(self.file(), good)?)
    }

    /// Runs gost, which must refuse with these texts: one line for each, and no other.
    async fn is_refused(&self, expected: &[String]) -> Result<()> {
        let lines = refusal(&["-C", &self.file().to_string_lossy()]).await?;
        for text in expected {
            let said = lines.iter().filter(|line| line.contains(text.as_str()));
            ensure!(said.count() == 1, "not once {text:?}: {lines:#?}");
        }
        ensure!(lines.len() == expected.len(), "{lines:#?}");
        let closed = TcpStream::connect(("127.0.0.1", self.port)).await.is_err();
        ensure!(closed, "the good service was started");
        Ok(())
    }
}

/// The mistakes that gost names when it does not start.
async fn refusal(args: &[&str]) -> Result<Vec<String>> {
    let begin = Instant::now();
    let output = gost_output(args).await?;
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(1), "{}: {log}", output.status);
    ensure!(output.stdout.is_empty(), "{output:?}");
    // Not even a file of 100 MB or one that means terabytes takes long to refuse.
    let took = begin.elapsed();
    ensure!(took < Duration::from_secs(10), "only after {took:?}");
    log.lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line)?;
            ensure!(line["level"] == "fatal", "{line}");
            Ok(line["msg"].as_str().unwrap_or_default().to_owned())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_is_said_with_file_line_and_key() -> Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0").await?;
    let taken = taken.local_addr()?;
    let wrong = Wrong::new()?;
    let (good, port) = (wrong.port, ports::tcp());
    // What follows begins at line 4.
    let rows: Vec<(String, &[&str])> = vec![
        (
            format!("- name: bad\n  addr: 127.0.0.1:{port}\n  handler: {{type: nosuch}}\n"),
            &["gost.yaml:6: services[1].handler.type: unknown handler \"nosuch\""],
        ),
        (
            format!("- name: bad\n  addr: 127.0.0.1:{port}\n  listener:\n    type: nosuch\n"),
            &["gost.yaml:7: services[1].listener.type: unknown listener \"nosuch\""],
        ),
        (
            format!("- name: bad\n  addr: 127.0.0.1:{port}\n  handler: {{auther: nobody}}\n"),
            &["gost.yaml:6: services[1].handler.auther: no auther \"nobody\""],
        ),
        (
            format!("- name: bad\n  addr: 127.0.0.1:{port}\n  handler: {{chain: nowhere}}\n"),
            &["gost.yaml:6: services[1].handler.chain: no chain \"nowhere\""],
        ),
        (
            format!("- name: bad\n  addr: {taken}\n"),
            &["gost.yaml:5: services[1].addr: listen on 127.0.0.1:"],
        ),
        (
            "- name: bad\n  addr: 127.0.0.1:notaport\n".to_owned(),
            &["gost.yaml:5: services[1].addr: port \"notaport\" is not a number"],
        ),
        (
            "- name: bad\n  addr: 127.0.0.1:99999\n".to_owned(),
            &["gost.yaml:5: services[1].addr: port 99999 out of range"],
        ),
        (
            // No address of this machine, by RFC 5737.
            "- name: bad\n  addr: 192.0.2.1:80\n".to_owned(),
            &["gost.yaml:5: services[1].addr: listen on 192.0.2.1:80"],
        ),
        (
            format!("- name: good\n  addr: 127.0.0.1:{port}\n"),
            &["gost.yaml:4: services[1].name: two services named good"],
        ),
        (
            format!("- name: bad\n  addr: 127.0.0.1:{good}\n"),
            &["gost.yaml:5: services[1].addr: 127.0.0.1:"],
        ),
        (
            "- null\n".to_owned(),
            &["gost.yaml:4: services[1]: is empty"],
        ),
        (
            "authers:\n- name: a\n  auths:\n  - null\n".to_owned(),
            &["gost.yaml:7: authers[0].auths[0]: is empty"],
        ),
        (
            "x: &x\n- *x\n".to_owned(),
            &["gost.yaml:5: column 3: an alias inside what it stands for"],
        ),
        ("chains: {name\n".to_owned(), &["gost.yaml:"]),
        (
            // All at once, whoever it is that notices.
            format!(
                "- name: bad\n  addr: 127.0.0.1:nix\n  handler: {{type: nosuch, chain: nowhere}}\n\
                 - null\nchains:\n- name: c\n  hops:\n  - name: h\n    nodes:\n    - name: n\n      \
                 addr: 127.0.0.1:{port}\n      connector: {{type: nosuch}}\n      dialer: {{type: nosuch}}\n\
                 authers:\n- name: a\n- name: a\n"
            ),
            &[
                "gost.yaml:5: services[1].addr: port",
                "gost.yaml:6: services[1].handler.type: unknown handler",
                "gost.yaml:6: services[1].handler.chain: no chain",
                "gost.yaml:7: services[2]: is empty",
                "gost.yaml:15: chains[0].hops[0].nodes[0].connector.type: unknown connector",
                "gost.yaml:16: chains[0].hops[0].nodes[0].dialer.type: unknown dialer",
                "gost.yaml:19: authers[1].name: two authers named a",
            ],
        ),
    ];
    for (rest, expected) in rows {
        wrong.write(&rest)?;
        let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
        if let Err(error) = wrong.is_refused(&expected).await {
            anyhow::bail!("{error:#}\n{rest}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_none() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("folder.yaml"))?;
    fs::write(path("binary.yaml"), [0xff, 0xfe, 0x00, 0x80])?;
    fs::write(path("deep.json"), "[".repeat(1_000_000))?;
    // Twelve levels of ten would be a terabyte of values.
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let below = format!("*a{}, ", level - 1).repeat(10);
        writeln!(bomb, "a{level}: &a{level} [{below}]")?;
    }
    fs::write(path("bomb.yaml"), bomb)?;
    let big = fs::File::create(path("big.yaml"))?;
    big.set_len(100 << 20)?;
    for (name, expected) in [
        ("missing.yaml", "no such file"),
        ("folder.yaml", "is a directory"),
        ("binary.yaml", "not UTF-8"),
        ("deep.json", "nested too deep"),
        ("bomb.yaml", "too many values"),
        ("big.yaml", "bytes are too many"),
    ] {
        is_refused_by_name(&path(name), expected).await?;
    }
    // Who is root may read it all the same.
    if !nix::unistd::geteuid().is_root() {
        fs::write(path("closed.yaml"), "services: []\n")?;
        fs::set_permissions(path("closed.yaml"), fs::Permissions::from_mode(0o000))?;
        is_refused_by_name(&path("closed.yaml"), "ermission denied").await?;
    }
    Ok(())
}

async fn is_refused_by_name(file: &Path, expected: &str) -> Result<()> {
    let lines = refusal(&["-C", &file.to_string_lossy()]).await?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    ensure!(
        lines.len() == 1 && lines[0].contains(&*name) && lines[0].contains(expected),
        "{lines:#?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_command_line_starts_nothing() -> Result<()> {
    let echo = tcp::Server::start(tcp::Behaviour::Echo).await?;
    let port = ports::tcp();
    let good = format!("tcp://127.0.0.1:{port}/{}", echo.address());
    for (bad, expected) in [
        (format!("tcp://{}/127.0.0.1:1", echo.address()), "in use"),
        (
            format!("tcp://127.0.0.1:{port}/127.0.0.1:1"),
            "already used",
        ),
        ("tcp://127.0.0.1:65536/127.0.0.1:1".to_owned(), "65536"),
        ("nosuch://127.0.0.1:0".to_owned(), "nosuch"),
        ("socks5+nosuch://127.0.0.1:0".to_owned(), "nosuch"),
        (
            "http://127.0.0.1:0?resolver=quic://1.1.1.1".to_owned(),
            "scheme",
        ),
    ] {
        let lines = refusal(&["-L", &good, "-L", &bad]).await?;
        ensure!(
            lines.len() == 1 && lines[0].contains(expected),
            "{bad}: {lines:#?}"
        );
        let closed = TcpStream::connect(("127.0.0.1", port)).await.is_err();
        ensure!(closed, "{bad}: the good service was started");
    }
    Ok(())
}
