use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use gost_core::policy::Credentials;
use gost_testkit::{PATIENCE, peers, ports, process::Launch};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;

/// The entries of a table, and whether nothing is missing.
#[derive(Debug, PartialEq)]
struct Table(Vec<String>, bool);

fn table(loaded: &Loaded) -> Table {
    let text = |entry: Entry<'_>| {
        let text = entry.uncommented().to_owned();
        if text.starts_with("bad") {
            loaded.left_out(&entry, "is bad");
        }
        text
    };
    let texts = loaded.entries().map(text);
    Table(
        texts.filter(|text| !text.is_empty()).collect(),
        loaded.is_whole(),
    )
}

async fn load(sources: &SourceOptions) -> gost_core::Result<Reloading<Table>> {
    let kinds = [RedisKind::Set, RedisKind::List];
    Reloading::new("test", sources, &kinds, table).await
}

fn file(path: &Path) -> SourceOptions {
    SourceOptions {
        file: Some(FileSource { path: path.into() }),
        ..SourceOptions::default()
    }
}

fn http(url: String) -> SourceOptions {
    let timeout = Duration::from_secs(2);
    SourceOptions {
        reload: Duration::from_secs(1),
        http: Some(HttpSource { url, timeout }),
        ..SourceOptions::default()
    }
}

/// Waits until a table is as it should be.
async fn becomes(table: &Reloading<Table>, entries: &[&str], is_whole: bool) -> Result<()> {
    let entries = entries.iter().map(|text| (*text).to_owned()).collect();
    let wanted = Table(entries, is_whole);
    let waiting = async {
        while **table.load() != wanted {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .with_context(|| format!("{:?}, not {wanted:?}", table.load()))
}

/// A web server whose answer can be changed.
async fn web(answer: &Arc<Mutex<Vec<u8>>>) -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let answer = answer.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.lock().clone();
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(&answer).await;
        }
    });
    Ok(port)
}

fn ok(body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}").into()
}

fn failure() -> Vec<u8> {
    b"HTTP/1.1 500 Oops\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx".to_vec()
}

#[tokio::test]
async fn a_file_is_read_again_when_it_changes() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("list");
    let error = load(&file(&path)).await.err().context("it started")?;
    ensure!(
        error.to_string().contains(&*path.to_string_lossy()),
        "{error}"
    );
    std::fs::write(&path, "\u{feff}a\n# comment\n\n b # more\r\n")?;
    let loaded = load(&file(&path)).await?;
    becomes(&loaded, &["a", "b"], true).await?;
    std::fs::write(&path, "c\n")?;
    becomes(&loaded, &["c"], true).await?;
    // Gone is not empty: what was known goes on.
    std::fs::remove_file(&path)?;
    let other = folder.path().join("other");
    std::fs::write(&other, "")?;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    becomes(&loaded, &["c"], true).await?;
    std::fs::rename(&other, &path)?;
    becomes(&loaded, &[], true).await
}

#[tokio::test]
async fn a_pipe_and_a_file_too_long_are_errors() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let error = load(&file(folder.path())).await.err().context("a folder")?;
    ensure!(error.to_string().contains("is not a file"), "{error}");
    let long = folder.path().join("long");
    std::fs::File::create(&long)?.set_len(MAX_SIZE as u64 + 1)?;
    let error = load(&file(&long)).await.err().context("too long")?;
    ensure!(error.to_string().contains("64 MiB"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_url_that_fails_is_asked_again_and_changes_nothing() -> Result<()> {
    let answer = Arc::new(Mutex::new(failure()));
    let port = web(&answer).await?;
    let loaded = load(&http(format!("http://127.0.0.1:{port}/list"))).await?;
    becomes(&loaded, &[], false).await?;
    *answer.lock() = ok("a\nbad\n");
    becomes(&loaded, &["a", "bad"], true).await?;
    for wrong in [failure(), Vec::new(), b"HTTP/1.1 2\r\n\r\n".to_vec()] {
        *answer.lock() = wrong;
        tokio::time::sleep(Duration::from_millis(1100)).await;
        becomes(&loaded, &["a", "bad"], true).await?;
    }
    *answer.lock() = ok("");
    becomes(&loaded, &[], true).await
}

#[tokio::test]
async fn a_url_that_never_ends_is_left() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let body = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
        let line = vec![b'x'; 1 << 16];
        let mut sent = 0;
        while stream.write_all(&line).await.is_ok() {
            sent += line.len();
        }
        anyhow::Ok(sent)
    });
    let url = format!("http://127.0.0.1:{port}/?token=secret");
    let source = HttpSource {
        url: url.clone(),
        timeout: PATIENCE,
    };
    let error = crate::http::load(&source).await.err().context("loaded")?;
    ensure!(matches!(error, LoadError::TooLong), "{error}");
    ensure!(body.await?? < 2 * MAX_SIZE);
    let shown = crate::http::shown(&url.replace("//", "//u:secret@"));
    ensure!(shown == format!("http://127.0.0.1:{port}/"), "{shown}");
    Ok(())
}

/// One source failing has no effect on what another one says.
#[tokio::test]
async fn sources_are_joined() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("list");
    std::fs::write(&path, "a\n")?;
    let answer = Arc::new(Mutex::new(ok("c\n")));
    let port = web(&answer).await?;
    let sources = SourceOptions {
        file: file(&path).file,
        ..http(format!("http://127.0.0.1:{port}/"))
    };
    let loaded = load(&sources).await?;
    becomes(&loaded, &["a", "c"], true).await?;
    *answer.lock() = failure();
    std::fs::write(&path, "b\n")?;
    becomes(&loaded, &["b", "c"], true).await
}

#[tokio::test]
async fn what_nothing_can_be_made_of_counts_as_not_loaded() -> Result<()> {
    let answer = Arc::new(Mutex::new(ok("none")));
    let port = web(&answer).await?;
    let sources = http(format!("http://127.0.0.1:{port}/"));
    let make = |loaded: Arc<Loaded>| -> gost_core::listener::BoxFuture<'static, _> {
        let text: String = loaded.texts().map(|(_, text)| text).collect();
        Box::pin(async move {
            let number = text.parse::<u8>().ok();
            let number = number.or(text.is_empty().then_some(0));
            number.ok_or_else(|| gost_core::Error::bad_input("not a number"))
        })
    };
    let loaded = Reloading::with("test", &sources, &[], make).await?;
    ensure!(**loaded.load() == 0);
    for (text, number) in [("7", 7), ("none", 7), ("8", 8)] {
        *answer.lock() = ok(text);
        if text == "none" {
            tokio::time::sleep(Duration::from_millis(1200)).await;
        }
        let waiting = async {
            while **loaded.load() != number {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting)
            .await
            .context(text)?;
    }
    Ok(())
}

#[tokio::test]
async fn dropping_it_ends_its_task() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("list");
    std::fs::write(&path, "a\n")?;
    let alive = Arc::new(());
    let held = alive.clone();
    let sources = file(&path);
    let loading = Reloading::new("test", &sources, &[], move |_| {
        let _ = &held;
    });
    drop(loading.await?);
    let waiting = async {
        while Arc::strong_count(&alive) > 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .context("it lives")
}

#[test]
fn lines_and_pairs() {
    let texts = |content: Content| {
        let source = crate::source::Source::File(FileSource { path: "f".into() });
        let loaded = Loaded::new(vec![(Arc::new(source), Some(Arc::new(content)))]);
        let pair = |entry: Entry<'_>| {
            let pair = entry.pair().map(|(a, b)| format!("{a}={b}"));
            (entry.uncommented().to_owned(), pair.unwrap_or_default())
        };
        let pairs: Vec<_> = loaded.entries().map(pair).collect();
        pairs
            .iter()
            .map(|(text, pair)| format!("{text}|{pair}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        texts(Content::Text("a b c\n# x\n \t\nu\tp#w\nu".into())),
        ["a b c|a=b c", "|", "|", "u\tp|u=p#w", "u|u="]
    );
    assert_eq!(texts(Content::Items(vec![" #a b ".into()])), ["#a b|#a=b"]);
    let pair = ("user".to_owned(), "pass word".to_owned());
    assert_eq!(texts(Content::Pairs(vec![pair])), ["user|user=pass word"]);
}

#[test]
fn what_was_left_out_is_named() {
    let source = crate::source::Source::File(FileSource { path: "f".into() });
    let content = Content::Text("bad\n".repeat(10) + "good\nbad\n");
    let loaded = Loaded::new(vec![(Arc::new(source), Some(Arc::new(content)))]);
    table(&loaded);
    assert_eq!(
        loaded.complaint().unwrap(),
        "left out: file f: line 1 is bad; file f: line 2 is bad; file f: line 3 is bad; \
         file f: line 4 is bad; file f: line 5 is bad; and 6 more"
    );
}

fn redis_source(port: u16, key: &str, password: &str) -> RedisSource {
    RedisSource {
        addr: format!("127.0.0.1:{port}"),
        db: 3,
        login: Credentials {
            username: if password == "of al" { "al" } else { "" }.into(),
            password: password.into(),
        },
        key: key.into(),
        kind: String::new(),
    }
}

/// Runs a command of redis-cli.
async fn redis_cli(port: u16, args: &[&str]) -> Result<()> {
    let port = port.to_string();
    let all = ["-p", &port, "-n", "3", "-a", "secret", "--no-auth-warning"];
    let run = tokio::task::spawn_blocking({
        let args: Vec<_> = all.iter().chain(args).map(|s| (*s).to_owned()).collect();
        move || std::process::Command::new("redis-cli").args(args).output()
    });
    let output = run.await??;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success() && !text.contains("ERR"), "{text}");
    Ok(())
}

#[tokio::test]
async fn redis_holds_sets_lists_hashes_and_texts() -> Result<()> {
    if peers::need("redis-server").is_none() {
        return Ok(());
    }
    let (port, folder) = (ports::tcp(), tempfile::tempdir()?);
    let text = port.to_string();
    let args = ["--port", &text, "--save", "", "--requirepass", "secret"];
    let mut server = Launch::new("redis-server")
        .args(args)
        .dir(folder.path())
        .spawn()?;
    server.ready(port).await?;
    for command in [
        &["sadd", "set", "b", "a"][..],
        &["rpush", "list", "b", "a"],
        &["hset", "hash", "user", "pass word", "al", "x"],
        &["set", "text", "a\nb"],
        &["sadd", "gost", "default"],
        &["acl", "setuser", "al", "on", ">of al", "+@all", "~*"],
    ] {
        redis_cli(port, command).await?;
    }
    let get = async |key: &str, kind, password: &str| {
        crate::redis::load(&redis_source(port, key, password), kind).await
    };
    let items = |items: &[&str]| Content::Items(items.iter().map(|s| (*s).to_owned()).collect());
    ensure!(get("set", RedisKind::Set, "secret").await? == items(&["a", "b"]));
    ensure!(get("set", RedisKind::Set, "of al").await? == items(&["a", "b"]));
    ensure!(get("list", RedisKind::List, "secret").await? == items(&["b", "a"]));
    ensure!(get("", RedisKind::Set, "secret").await? == items(&["default"]));
    ensure!(get("none", RedisKind::Set, "secret").await? == items(&[]));
    ensure!(get("text", RedisKind::Text, "secret").await? == Content::Text("a\nb".into()));
    let pairs = [("al", "x"), ("user", "pass word")];
    let pairs = pairs.map(|(a, b)| (a.to_owned(), b.to_owned())).to_vec();
    ensure!(get("hash", RedisKind::Hash, "secret").await? == Content::Pairs(pairs));
    for (key, kind, password, said) in [
        ("set", RedisKind::Hash, "secret", "WRONGTYPE"),
        ("none", RedisKind::Text, "secret", "no such key"),
        ("set", RedisKind::Set, "guess", "WRONGPASS"),
        ("set", RedisKind::Set, "", "NOAUTH"),
    ] {
        let error = get(key, kind, password).await.err().context("loaded")?;
        let error = error.to_string();
        let is_said = error.contains(said) || error.to_lowercase().contains("auth");
        ensure!(is_said && !error.contains("guess"), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn a_redis_that_says_too_much_or_ends_in_the_middle_is_an_error() -> Result<()> {
    for (answer, endless) in [(&b"*2\r\n$3\r\nab"[..], false), (b"$5000000000\r\n", true)] {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await?;
            let mut request = [0; 4096];
            // To select the database comes first.
            let _ = stream.read(&mut request).await?;
            stream.write_all(b"+OK\r\n").await?;
            let _ = stream.read(&mut request).await?;
            stream.write_all(answer).await?;
            let line = vec![b'x'; 1 << 16];
            while endless && stream.write_all(&line).await.is_ok() {}
            anyhow::Ok(())
        });
        let source = redis_source(port, "set", "");
        let loading = crate::redis::load(&source, RedisKind::Set);
        let loaded = tokio::time::timeout(PATIENCE, loading).await?;
        ensure!(loaded.is_err(), "{loaded:?}");
        server.await??;
    }
    Ok(())
}

#[test]
fn kinds_are_those_of_the_component_and_passwords_are_not_printed() {
    let of = |kind: &str, kinds: &[RedisKind]| {
        let redis = RedisSource {
            kind: kind.into(),
            ..redis_source(1, "", "secret")
        };
        assert!(!format!("{redis:?}").contains("secret"));
        let options = SourceOptions {
            redis: Some(redis),
            ..SourceOptions::default()
        };
        crate::source::Source::all(&options, kinds).is_ok()
    };
    let both = [RedisKind::Set, RedisKind::List];
    assert!(of("", &both) && of("list", &both));
    assert!(!of("hash", &both) && !of("lits", &both));
    assert!(
        of("hash", &both[..1]),
        "as in the original it does not matter"
    );
}
