//! Files, URLs and redis, for each component that has them.

use std::sync::{Arc, Mutex};

use anyhow::{Result, ensure};
use gost_testkit::ports;
use gost_tests::{redis::Redis, web};
use nix::sys::signal::Signal;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use gost_tests::Gost;

use super::{passes, refused, until, write};

/// A web server with one page that can be changed, or withheld.
async fn page(text: &str) -> Result<(u16, Arc<Mutex<Option<String>>>)> {
    let page = Arc::new(Mutex::new(Some(text.to_owned())));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (port, shown) = (listener.local_addr()?.port(), page.clone());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let text = shown.lock().expect("no panic").clone();
            let (status, body) = match text {
                Some(text) => ("200 OK", text),
                None => ("503 Away", String::new()),
            };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    Ok((port, page))
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_every_kind_are_read_again_when_they_change() -> Result<()> {
    let (folder, web) = (tempfile::tempdir()?, web(b"hello").await?);
    let file = |name: &str| folder.path().join(name);
    for (name, text) in [
        ("users", "# users\nal\tsecret\nnobody\n"),
        ("admitted", "127.0.0.1\n"),
        ("bypassed", "forbidden.internal\n10.0.0.0/99\n"),
        ("hosts", "127.0.0.1 a.internal # ours\n"),
        ("climits", "$$ 100\n"),
        ("rlimits", "$$ 1000\n"),
        ("nodes", "[]"),
    ] {
        write(&file(name), text)?;
    }
    let (port, node) = (ports::tcp(), ports::tcp());
    let path = |name: &str| format!("file: {{path: '{}'}}", file(name).display());
    let config = format!(
        "services:
- {{name: s, addr: '127.0.0.1:{port}', admission: a, bypass: b, hosts: h, climiter: c, rlimiter: r, handler: {{type: auto, auther: u}}}}
- {{name: chained, addr: '127.0.0.1:{node}', handler: {{type: http, chain: c}}}}
authers: [{{name: u, auths: [{{username: bo, password: inline}}], {}}}]
admissions: [{{name: a, whitelist: true, {}}}]
bypasses: [{{name: b, {}}}]
hosts: [{{name: h, mappings: [{{hostname: inline.internal, ip: 127.0.0.1}}], {}}}]
climiters: [{{name: c, {}}}]
rlimiters: [{{name: r, {}}}]
chains: [{{name: c, hops: [{{name: h, {}}}]}}]
",
        path("users"),
        path("admitted"),
        path("bypassed"),
        path("hosts"),
        path("climits"),
        path("rlimits"),
        path("nodes"),
    );
    let gost = Gost::start(&config, port).await?;
    let lines = gost.process.lines().join("\n");
    for said in ["line 3 has no password", "line 2", "10.0.0.0/99"] {
        ensure!(lines.contains(said), "{said}: {lines}");
    }
    ensure!(!lines.contains("secret"), "{lines}");
    let al = format!("http://al:secret@127.0.0.1:{port}");
    let bo = format!("http://bo:inline@127.0.0.1:{port}");
    let url = |host: &str| format!("http://{host}:{web}/");
    ensure!(passes(&al, &[], &url("127.0.0.1")).await?);
    for host in ["a.internal", "inline.internal"] {
        ensure!(passes(&bo, &[], &url(host)).await?, "{host}");
    }
    ensure!(!passes(&bo, &["--interface", "127.0.0.2"], &url("a.internal")).await?);
    ensure!(!passes(&bo, &[], &url("b.internal")).await?);

    write(&file("users"), "al changed\n")?;
    until("another password", async || {
        Ok(!passes(&al, &[], &url("127.0.0.1")).await?)
    })
    .await?;
    ensure!(passes(&al.replace("secret", "changed"), &[], &url("127.0.0.1")).await?);
    write(&file("hosts"), "127.0.0.1 b.internal\n")?;
    until("another host", async || {
        passes(&bo, &[], &url("b.internal")).await
    })
    .await?;
    write(&file("bypassed"), "b.internal\n")?;
    until("another bypass", async || {
        Ok(!passes(&bo, &[], &url("b.internal")).await?)
    })
    .await?;
    write(&file("admitted"), "127.0.0.2\n")?;
    until("another admission", async || {
        passes(&bo, &["--interface", "127.0.0.2"], &url("127.0.0.1")).await
    })
    .await?;
    ensure!(!passes(&bo, &[], &url("127.0.0.1")).await?);
    write(&file("admitted"), "127.0.0.0/8\n")?;
    write(&file("climits"), "$$ 0\n127.0.0.3 0\n127.0.0.0/8 0\n")?;
    // One and then one more in a thousand seconds.
    write(&file("rlimits"), "$$ 0.001\n")?;
    until("another rate", async || {
        Ok(!passes(&bo, &[], &url("127.0.0.1")).await?)
    })
    .await?;

    // No node is no way, not a direct one.
    let chained = format!("http://127.0.0.1:{node}");
    ensure!(!passes(&chained, &[], &url("127.0.0.1")).await?);
    let (far, far_port) = (ports::tcp(), ports::tcp());
    let _far = gost_tests::gost(&["-L", &format!("relay://127.0.0.1:{far}")], far).await?;
    let list = |addr: u16| {
        format!(
            "[{{\"name\": \"n\", \"addr\": \"127.0.0.1:{addr}\", \"connector\": {{\"type\": \"relay\"}}}}]"
        )
    };
    write(&file("nodes"), &list(far))?;
    until("a node", async || {
        passes(&chained, &[], &url("127.0.0.1")).await
    })
    .await?;
    for wrong in [
        "[]}], \"services\": [{\"name\": \"x\"}], \"hops\": [{\"nodes\": []",
        "[{\"name\": \"n\", \"addr\": \"x:1\", \"connector\": {\"type\": \"htp\"}}]",
        "[{\"name\": \"n\", \"addr\": \"x:1\", \"bypass\": \"nowhere\"}]",
        "[null]",
        "{",
        "null",
    ] {
        let before = gost.process.lines().len();
        write(&file("nodes"), wrong)?;
        until(wrong, async || {
            let lines = gost.process.lines();
            Ok(lines[before..]
                .iter()
                .any(|line| line.contains("what it said before counts")))
        })
        .await?;
        ensure!(passes(&chained, &[], &url("127.0.0.1")).await?, "{wrong}");
    }
    write(&file("nodes"), &list(far_port))?;
    until("a dead node", async || {
        Ok(!passes(&chained, &[], &url("127.0.0.1")).await?)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_there_at_first_is_a_mistake() -> Result<()> {
    let service = "services: [{name: s, addr: '127.0.0.1:0', handler: {type: http}}]";
    for section in [
        "authers: [{name: x, auths: [{username: a, password: b}], file: {path: /nowhere/list}}]",
        "admissions: [{name: x, file: {path: /nowhere/list}}]",
        "bypasses: [{name: x, matchers: [a.org], file: {path: /nowhere/list}}]",
        "hosts: [{name: x, file: {path: /nowhere/list}}]",
        "climiters: [{name: x, file: {path: /nowhere/list}}]",
        "rlimiters: [{name: x, file: {path: /nowhere/list}}]",
        "limiters: [{name: x, file: {path: /nowhere/list}}]",
        "ingresses: [{name: x, file: {path: /nowhere/list}}]",
        "routers: [{name: x, file: {path: /nowhere/list}}]",
        "hops: [{name: x, file: {path: /nowhere/list}}]",
    ] {
        let text = refused(&format!("{service}\n{section}")).await?;
        ensure!(
            text.contains("/nowhere/list: No such file"),
            "{section}: {text}"
        );
    }
    let wrong = "authers: [{name: x, redis: {addr: '127.0.0.1:1', type: hash}}]\n\
                 hosts: [{name: x, redis: {addr: '127.0.0.1:1', type: hash}}]";
    let text = refused(&format!("{service}\n{wrong}")).await?;
    ensure!(
        text.contains("redis.type") && text.contains("hosts[0]"),
        "{text}"
    );
    ensure!(!text.contains("authers[0]"), "{text}");
    Ok(())
}

/// Who can't be asked at first is shut, with what is written in the configuration in force.
#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_is_not_there_at_first_shuts() -> Result<()> {
    let (web, dead) = (web(b"hello").await?, ports::tcp());
    let url = format!("http://127.0.0.1:{web}/");
    let away = format!("reload: 1s, http: {{url: 'http://127.0.0.1:{dead}/list'}}");
    for (keys, section, is_open) in [
        (
            "admission: x",
            format!("admissions: [{{name: x, {away}}}]"),
            false,
        ),
        (
            "admission: x",
            format!("admissions: [{{name: x, whitelist: true, matchers: [127.0.0.1], {away}}}]"),
            true,
        ),
        (
            "bypass: x",
            format!("bypasses: [{{name: x, {away}}}]"),
            false,
        ),
        (
            "bypass: x",
            format!("bypasses: [{{name: x, whitelist: true, matchers: [127.0.0.1], {away}}}]"),
            true,
        ),
        (
            "climiter: x",
            format!("climiters: [{{name: x, {away}}}]"),
            false,
        ),
        (
            "rlimiter: x",
            format!("rlimiters: [{{name: x, {away}}}]"),
            false,
        ),
        ("hosts: x", format!("hosts: [{{name: x, {away}}}]"), true),
    ] {
        let (port, ready) = (ports::tcp(), ports::tcp());
        let config = format!(
            "services:
- {{name: s, addr: '127.0.0.1:{port}', {keys}, handler: {{type: http}}}}
- {{name: ready, addr: '127.0.0.1:{ready}', handler: {{type: http}}}}
{section}"
        );
        let gost = Gost::start(&config, ready).await?;
        gost.process.line("nothing is known of it yet").await?;
        let proxy = format!("http://127.0.0.1:{port}");
        ensure!(passes(&proxy, &[], &url).await? == is_open, "{section}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_fails_later_changes_nothing_and_is_said_once() -> Result<()> {
    let (port, web) = (ports::tcp(), web(b"hello").await?);
    let (list, text) = page("al secret\n").await?;
    let config = format!(
        "services: [{{name: s, addr: '127.0.0.1:{port}', handler: {{type: http, auther: u}}}}]
authers: [{{name: u, reload: 1s, http: {{url: 'http://x:hidden@127.0.0.1:{list}/users?key=hidden', timeout: 2s}}}}]"
    );
    let gost = Gost::start(&config, port).await?;
    let (proxy, url) = (
        format!("http://al:secret@127.0.0.1:{port}"),
        format!("http://127.0.0.1:{web}/"),
    );
    ensure!(passes(&proxy, &[], &url).await?);
    *text.lock().expect("no panic") = None;
    gost.process.line("status 503").await?;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    ensure!(passes(&proxy, &[], &url).await?);
    *text.lock().expect("no panic") = Some("bo secret\n".to_owned());
    until("another user", async || {
        passes(&proxy.replace("al", "bo"), &[], &url).await
    })
    .await?;
    ensure!(!passes(&proxy, &[], &url).await?);
    gost.process.line("is there again").await?;
    let lines = gost.process.lines();
    let said = lines
        .iter()
        .filter(|line| line.contains("status 503"))
        .count();
    ensure!(said == 1, "{said} times: {lines:?}");
    ensure!(
        lines.iter().all(|line| !line.contains("hidden")),
        "{lines:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_says_nothing_delays_neither_start_nor_end() -> Result<()> {
    let port = ports::tcp();
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let list = silent.local_addr()?.port();
    let config = format!(
        "services: [{{name: s, addr: '127.0.0.1:{port}', handler: {{type: http, auther: u}}}}]
authers: [{{name: u, http: {{url: 'http://127.0.0.1:{list}/', timeout: 60s}}}}]"
    );
    let mut gost = Gost::start(&config, port).await?;
    gost.process.line("no answer in time").await?;
    gost.process.signal(Signal::SIGTERM)?;
    let status = gost
        .process
        .exit(std::time::Duration::from_secs(10))
        .await?;
    ensure!(status.success(), "{status}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_has_lists_of_every_kind() -> Result<()> {
    let Some(redis) = Redis::start().await? else {
        return Ok(());
    };
    let (port, chained, far) = (ports::tcp(), ports::tcp(), ports::tcp());
    let web = web(b"hello").await?;
    let nodes = format!(
        "[{{\"name\": \"n\", \"addr\": \"127.0.0.1:{far}\", \"connector\": {{\"type\": \"relay\"}}}}]"
    );
    for command in [
        &["hset", "users", "al", "secret"][..],
        &["sadd", "gost", "127.0.0.1"],
        &["sadd", "targets", "forbidden.internal"],
        &["rpush", "hosts", "127.0.0.1 a.internal"],
        &["rpush", "limits", "$$ 100"],
        &["set", "nodes", &nodes],
    ] {
        redis.run(command).await?;
    }
    let at = redis.port;
    let from = |key: &str, kind: &str| {
        format!("reload: 1s, redis: {{addr: '127.0.0.1:{at}', key: '{key}', type: '{kind}'}}")
    };
    let config = format!(
        "services:
- {{name: s, addr: '127.0.0.1:{port}', admission: a, bypass: b, hosts: h, climiter: c, handler: {{type: http, auther: u}}}}
- {{name: chained, addr: '127.0.0.1:{chained}', handler: {{type: http, chain: c}}}}
authers: [{{name: u, {}}}]
admissions: [{{name: a, whitelist: true, {}}}]
bypasses: [{{name: b, {}}}]
hosts: [{{name: h, {}}}]
climiters: [{{name: c, {}}}]
hops: [{{name: h, {}}}]
chains: [{{name: c, hops: [{{name: h}}]}}]
",
        from("users", ""),
        from("", ""),
        from("targets", "set"),
        from("hosts", "list"),
        from("limits", "list"),
        from("nodes", "string"),
    );
    let _far = gost_tests::gost(&["-L", &format!("relay://127.0.0.1:{far}")], far).await?;
    let _gost = Gost::start(&config, port).await?;
    let proxy = format!("http://al:secret@127.0.0.1:{port}");
    let url = |host: &str| format!("http://{host}:{web}/");
    ensure!(passes(&proxy, &[], &url("a.internal")).await?);
    let chained = format!("http://127.0.0.1:{chained}");
    ensure!(passes(&chained, &[], &url("127.0.0.1")).await?);
    redis.run(&["sadd", "targets", "a.internal"]).await?;
    until("a bypass", async || {
        Ok(!passes(&proxy, &[], &url("a.internal")).await?)
    })
    .await?;
    redis.run(&["del", "targets", "gost"]).await?;
    until("an empty whitelist", async || {
        Ok(!passes(&proxy, &[], &url("127.0.0.1")).await?)
    })
    .await
}
