//! The table of failures: what each kind of list is when it can't be loaded, at first and later.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use anyhow::{Context as _, Result, ensure};
use gost_testkit::ports;
use gost_tests::{Gost, gost, redis::Redis, web};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
};

use super::passes;

/// A web server of lists, that can be withheld all at once.
async fn lists(pages: Vec<(&'static str, String)>) -> Result<(u16, Arc<AtomicBool>)> {
    let (listener, away) = (
        TcpListener::bind("127.0.0.1:0").await?,
        Arc::<AtomicBool>::default(),
    );
    let (port, is_away) = (listener.local_addr()?.port(), away.clone());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let read = stream.read(&mut head).await.unwrap_or(0);
            let head = String::from_utf8_lossy(&head[..read]).into_owned();
            let found = pages
                .iter()
                .find(|(path, _)| head.starts_with(&format!("GET /{path} ")));
            let answer = match found {
                Some((_, text)) if !is_away.load(Relaxed) => {
                    let length = text.len();
                    format!(
                        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{text}"
                    )
                }
                _ => "HTTP/1.1 503 Away\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".into(),
            };
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    Ok((port, away))
}

/// A service with these keys, of itself and of its handler, and another one that is always open.
async fn start(port: u16, keys: &str, handler: &str, sections: &str) -> Result<Gost> {
    let ready = ports::tcp();
    let config = format!(
        "services:
- {{name: s, addr: '127.0.0.1:{port}', {keys} handler: {{type: http, {handler}}}}}
- {{name: ready, addr: '127.0.0.1:{ready}', handler: {{type: http}}}}
{sections}"
    );
    Gost::start(&config, ready).await
}

#[tokio::test(flavor = "multi_thread")]
async fn users_limits_and_nodes_that_are_not_there_at_first_are_those_that_are_written()
-> Result<()> {
    let (web, dead, node) = (web(b"hello").await?, ports::tcp(), ports::tcp());
    let url = format!("http://127.0.0.1:{web}/");
    let _node = gost(&["-L", &format!("relay://127.0.0.1:{node}")], node).await?;
    let mut away = vec![format!("http: {{url: 'http://127.0.0.1:{dead}/list'}}")];
    if let Some(mut redis) = Redis::start().await? {
        redis.end();
        away.push(format!("redis: {{addr: '127.0.0.1:{}'}}", redis.port));
    }
    let written = format!(
        "nodes: [{{name: n, addr: '127.0.0.1:{node}', connector: {{type: relay}}, dialer: {{type: tcp}}}}],"
    );
    for away in &away {
        for (user, keys, handler, section, is_open) in [
            (
                "inline:secret@",
                "",
                "auther: x",
                format!(
                    "authers: [{{name: x, auths: [{{username: inline, password: secret}}], {away}}}]"
                ),
                true,
            ),
            (
                "al:secret@",
                "",
                "auther: x",
                format!(
                    "authers: [{{name: x, auths: [{{username: inline, password: secret}}], {away}}}]"
                ),
                false,
            ),
            (
                "",
                "limiter: x,",
                "",
                format!("limiters: [{{name: x, limits: ['$ 1GB 1GB'], {away}}}]"),
                false,
            ),
            (
                "",
                "",
                "limiter: x",
                format!("limiters: [{{name: x, limits: ['$$ 1GB 1GB'], {away}}}]"),
                false,
            ),
            (
                "",
                "",
                "chain: c",
                format!("hops: [{{name: x, {away}}}]\nchains: [{{name: c, hops: [{{name: x}}]}}]"),
                false,
            ),
            (
                "",
                "",
                "chain: c",
                format!(
                    "hops: [{{name: x, {written} {away}}}]\nchains: [{{name: c, hops: [{{name: x}}]}}]"
                ),
                true,
            ),
        ] {
            let port = ports::tcp();
            let gost = start(port, keys, handler, &section).await?;
            gost.process.line("nothing is known of it yet").await?;
            let proxy = format!("http://{user}127.0.0.1:{port}");
            let more: &[&str] = if is_open { &[] } else { &["-m", "3"] };
            ensure!(
                passes(&proxy, more, &url).await? == is_open,
                "{user}: {section}"
            );
        }
    }
    Ok(())
}

/// What each list does, asked from the outside.
struct Asked {
    port: u16,
    web: u16,
}

impl Asked {
    async fn get(&self, user: &str, from: &str, host: &str) -> Result<bool> {
        let proxy = format!("http://{user}:secret@127.0.0.1:{}", self.port);
        let url = format!("http://{host}:{}/", self.web);
        passes(&proxy, &["--interface", from, "-m", "3"], &url).await
    }

    /// Checks all that the lists say.
    async fn check(&self) -> Result<()> {
        for (what, user, from, host, wanted) in [
            (
                "hosts, users and nodes",
                "al",
                "127.0.0.1",
                "a.internal",
                true,
            ),
            ("users", "bo", "127.0.0.1", "a.internal", false),
            ("bypass", "al", "127.0.0.1", "forbidden.internal", false),
            ("admission", "al", "127.0.0.2", "a.internal", false),
            ("rate", "al", "127.0.0.4", "a.internal", false),
            ("traffic", "al", "127.0.0.6", "a.internal", false),
        ] {
            ensure!(self.get(user, from, host).await? == wanted, "{what}");
        }
        // Of one connection at once the second is closed.
        let socket = TcpSocket::new_v4()?;
        socket.bind(([127, 0, 0, 5], 0).into())?;
        let mut first: TcpStream = socket.connect(([127, 0, 0, 1], self.port).into()).await?;
        first.write_all(b"CONNECT ").await?;
        let second = async || self.get("al", "127.0.0.5", "a.internal").await;
        super::until("the first is counted", async || Ok(!second().await?)).await?;
        drop(first);
        super::until("the first is gone", second).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_list_that_fails_later_stays_as_it_is() -> Result<()> {
    let (port, node) = (ports::tcp(), ports::tcp());
    let asked = Asked {
        port,
        web: web(b"hello").await?,
    };
    let _node = gost(&["-L", &format!("relay://127.0.0.1:{node}")], node).await?;
    let nodes = format!(
        "[{{\"name\": \"n\", \"addr\": \"127.0.0.1:{node}\", \"connector\": {{\"type\": \"relay\"}}}}]"
    );
    let pages = [
        ("users", "al secret\n"),
        ("admitted", "127.0.0.1\n127.0.0.4/30\n"),
        ("bypassed", "forbidden.internal\n"),
        ("hosts", "127.0.0.1 a.internal forbidden.internal\n"),
        ("climits", "127.0.0.5 1\n"),
        ("rlimits", "127.0.0.4 0.001\n"),
        ("limits", "127.0.0.6 1B 1B\n"),
    ];
    let mut pages: Vec<_> = pages.map(|(path, text)| (path, text.to_owned())).into();
    pages.push(("nodes", nodes));
    let kinds = pages.len();
    let (at, away) = lists(pages).await?;
    let of = |path: &str| format!("reload: 1s, http: {{url: 'http://127.0.0.1:{at}/{path}'}}");
    let sections = format!(
        "authers: [{{name: u, {}}}]
admissions: [{{name: a, whitelist: true, {}}}]
bypasses: [{{name: b, {}}}]
hosts: [{{name: h, {}}}]
climiters: [{{name: c, {}}}]
rlimiters: [{{name: r, {}}}]
limiters: [{{name: l, {}}}]
hops: [{{name: n, {}}}]
chains: [{{name: w, hops: [{{name: n}}]}}]",
        of("users"),
        of("admitted"),
        of("bypassed"),
        of("hosts"),
        of("climits"),
        of("rlimits"),
        of("limits"),
        of("nodes"),
    );
    let keys = "admission: a, bypass: b, hosts: h, climiter: c, rlimiter: r, limiter: l,";
    let gost = start(port, keys, "auther: u, chain: w", &sections).await?;
    // One at once, and then one in a thousand seconds.
    ensure!(
        asked.get("al", "127.0.0.4", "a.internal").await?,
        "the first"
    );
    asked.check().await?;
    away.store(true, Relaxed);
    let said = || {
        let lines = gost.process.lines();
        let said = |line: &&String| line.contains("what it said before counts");
        lines.iter().filter(said).count()
    };
    super::until("all say that they fail", async || Ok(said() == kinds)).await?;
    asked.check().await.context("while they fail")?;
    // Each says it once, however often it fails.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    ensure!(said() == kinds, "{} times", said());
    away.store(false, Relaxed);
    let again = || {
        let lines = gost.process.lines();
        lines
            .iter()
            .filter(|line| line.contains("is there again"))
            .count()
    };
    super::until("all are there again", async || Ok(again() == kinds)).await?;
    asked.check().await.context("afterwards")
}
