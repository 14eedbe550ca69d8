//! What is written down, counted and told, and what services run: by whole programs.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use gost_testkit::{PATIENCE, ports, process::Process, tcp};
use gost_tests::{curl, exchange, gost_logged, web};
use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    sync::mpsc,
    time::timeout,
};

/// Starts the program with a configuration; records may go into its folder, `FOLDER` in the text.
/// Nothing connects to it to see whether it listens: that would be recorded.
async fn start(config: &str) -> Result<(Process, TempDir)> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("gost.yaml");
    let path = folder.path().display().to_string();
    std::fs::write(&file, config.replace("FOLDER", &path))?;
    let process = gost_logged(&["-C", &file.to_string_lossy()]).await?;
    Ok((process, folder))
}

/// Waits until something is there.
async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> Result<T> {
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
async fn lines(file: &Path, count: usize) -> Result<Vec<String>> {
    let what = format!("{count} lines in {}", file.display());
    until(&what, || {
        let text = std::fs::read_to_string(file).ok()?;
        let lines: Vec<_> = text.split_inclusive('\n').map(str::to_owned).collect();
        (lines.len() >= count && text.ends_with('\n')).then_some(lines)
    })
    .await
}

/// A recorder by name for each of the names of records, all into files.
const FILES: &str = "
recorders:
- {name: h, file: {path: FOLDER/deep/h, sep: \"\\n\"}}
- {name: c, file: {path: FOLDER/c, sep: \"\\n\"}}
- {name: d, file: {path: FOLDER/d, sep: \"\\n\"}}
- {name: e, file: {path: FOLDER/e, sep: \"\\n\"}}
";

const ALL: &str = "
  recorders:
  - {name: h, record: recorder.service.handler, metadata: {http.body: true}}
  - {name: c, record: recorder.service.client.address}
  - {name: d, record: recorder.service.router.dial.address}
  - {name: e, record: recorder.service.router.dial.address.error}
";

/// Keys with their kinds, in their order: what a program that reads records relies on.
fn shape(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let keys = map.iter().map(|(k, v)| match k.as_str() {
                "header" | "labels" => format!("{k}:map"),
                _ => format!("{k}:{}", shape(v)),
            });
            format!("{{{}}}", keys.collect::<Vec<_>>().join(","))
        }
        Value::String(_) => "s".into(),
        Value::Number(_) => "n".into(),
        Value::Bool(_) => "b".into(),
        Value::Null => "0".into(),
        Value::Array(_) => "a".into(),
    }
}

const MESSAGE: &str = "contentLength:n,header:map,body:";

#[tokio::test(flavor = "multi_thread")]
async fn files_get_every_record_in_the_shape_of_the_original() -> Result<()> {
    let (port, web, dead) = (ports::tcp(), web(b"hello").await?, ports::tcp());
    let config = format!(
        "services:
- name: s
  addr: 127.0.0.1:{port}
  handler: {{type: auto, auth: {{username: ann, password: pw}}}}
  metadata: {{labels: {{Team: red}}}}{ALL}{FILES}"
    );
    let (_gost, folder) = start(&config).await?;
    let proxy = format!("http://ann:pw@127.0.0.1:{port}");
    let url = format!("http://127.0.0.1:{web}/path?x=1");
    // Each record is awaited before the next is caused, so that their order is known.
    let handler = folder.path().join("deep/h");
    curl(&["-x", &proxy, "-d", "abc=1", &url]).await?;
    lines(&handler, 1).await?;
    curl(&["-p", "-x", &proxy, &url]).await?;
    lines(&handler, 2).await?;
    let socks = format!("socks5h://ann:pw@127.0.0.1:{port}");
    curl(&["-x", &socks, &format!("http://localhost:{dead}/")]).await?;
    lines(&handler, 3).await?;
    curl(&["-x", &format!("http://127.0.0.1:{port}"), &url]).await?;
    let lines_of = lines(&handler, 4).await?;
    let records: Vec<Value> = lines_of
        .iter()
        .map(|line| serde_json::from_str(line))
        .collect::<Result<_, _>>()?;

    let begin = "service:s,labels:map,network:s,remote:s,local:s,client:s,src:s,dst:s,host:s";
    let http = "host:s,method:s,proto:s,scheme:s,uri:s,cached:b,statusCode:n";
    let end = "sid:s,duration:n,time:s";
    let bytes = "inputBytes:n,outputBytes:n";
    let expected = [
        format!(
            "{{{begin},proto:s,clientIP:s,clientID:s,http:{{{http},request:{{{MESSAGE}s}},response:{{{MESSAGE}s}}}},route:s,{bytes},{end}}}"
        ),
        format!(
            "{{{begin},proto:s,clientIP:s,clientID:s,http:{{{http},request:{{{MESSAGE}0}},response:{{{MESSAGE}0}}}},route:s,{bytes},{end}}}"
        ),
        format!("{{{begin},clientIP:s,clientID:s,{bytes},err:s,{end}}}"),
        format!(
            "{{{begin},proto:s,clientIP:s,http:{{{http},request:{{{MESSAGE}0}},response:{{{MESSAGE}0}}}},{bytes},err:s,{end}}}"
        ),
    ];
    for (record, expected) in records.iter().zip(&expected) {
        ensure!(&shape(record) == expected, "{record}\n{expected}");
    }
    let post = &records[0];
    ensure!(post["http"]["request"]["body"] == "YWJjPTE=", "{post}");
    ensure!(post["http"]["response"]["body"] == "aGVsbG8=", "{post}");
    ensure!(post["http"]["statusCode"] == 200 && post["http"]["method"] == "POST");
    ensure!(post["host"] == format!("127.0.0.1:{web}") && post["labels"]["Team"] == "red");
    ensure!(post["clientID"] == "ann" && post["route"] == format!("127.0.0.1:{web}"));
    ensure!(post["inputBytes"].as_u64() > Some(100), "{post}");
    ensure!(post["dst"] == format!("127.0.0.1:{web}"), "{post}");
    let tunnel = &records[1];
    ensure!(tunnel["http"]["method"] == "CONNECT" && tunnel["http"]["statusCode"] == 200);
    ensure!(
        records[2]["host"] == format!("localhost:{dead}"),
        "{}",
        records[2]
    );
    ensure!(records[3]["http"]["statusCode"] == 407, "{}", records[3]);
    // YW5uOnB3 is ann:pw.
    ensure!(!lines_of.concat().contains("YW5uOnB3"), "{lines_of:?}");

    let text = |name: &str| std::fs::read_to_string(folder.path().join(name));
    ensure!(text("c")? == "127.0.0.1\n".repeat(4), "{:?}", text("c"));
    ensure!(
        text("d")? == "127.0.0.1\n127.0.0.1\nlocalhost\n",
        "{:?}",
        text("d")
    );
    ensure!(text("e")? == "localhost\n", "{:?}", text("e"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_a_forwarder_stands_in_the_record_and_what_was_cut_off_is_recorded() -> Result<()>
{
    let echo = tcp::Server::start(tcp::Behaviour::Echo).await?;
    let (port, target) = (ports::tcp(), echo.address());
    let config = format!(
        "services:
- name: s
  addr: 127.0.0.1:{port}
  handler: {{type: tcp}}
  forwarder: {{nodes: [{{name: n0, addr: '{target}'}}]}}{ALL}{FILES}"
    );
    let (gost, folder) = start(&config).await?;
    ensure!(exchange(port, b"seven!!").await? == b"seven!!");
    let mut stays = TcpStream::connect(("127.0.0.1", port)).await?;
    stays.write_all(b"abc").await?;
    stays.read_exact(&mut [0; 3]).await?;
    gost.signal(Signal::SIGTERM)?;
    let records = lines(&folder.path().join("deep/h"), 2).await?;
    let [ended, cut] = [&records[0], &records[1]].map(|line| serde_json::from_str::<Value>(line));
    let (ended, cut) = (ended?, cut?);
    ensure!(
        ended["node"] == "n0" && ended["network"] == "tcp",
        "{ended}"
    );
    ensure!(
        ended["inputBytes"] == 7 && ended["outputBytes"] == 7,
        "{ended}"
    );
    ensure!(cut["inputBytes"] == 3 && cut["err"].is_string(), "{cut}");
    Ok(())
}

/// Answers every post with 200, and gives what was posted.
async fn posts() -> Result<(u16, mpsc::UnboundedReceiver<(String, String)>)> {
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

#[tokio::test(flavor = "multi_thread")]
async fn tcp_and_http_get_records_too() -> Result<()> {
    let echo = tcp::Server::start(tcp::Behaviour::Echo).await?;
    let (port, target) = (ports::tcp(), echo.address());
    let raw = TcpListener::bind("127.0.0.1:0").await?;
    let (web, mut posts) = posts().await?;
    let config = format!(
        "services:
- name: s
  addr: 127.0.0.1:{port}
  handler: {{type: tcp}}
  forwarder: {{nodes: [{{name: n0, addr: '{target}'}}]}}
  recorders:
  - {{name: t, record: recorder.service.client.address}}
  - {{name: w, record: recorder.service.handler}}
recorders:
- {{name: t, tcp: {{addr: '{}', timeout: 5s}}}}
- {{name: w, http: {{url: '127.0.0.1:{web}/in', header: {{X-Key: k}}}}}}
",
        raw.local_addr()?
    );
    let (_gost, _folder) = start(&config).await?;
    for _ in 0..2 {
        ensure!(exchange(port, b"x").await? == b"x");
        let (mut record, _) = timeout(PATIENCE, raw.accept()).await??;
        let mut text = String::new();
        timeout(PATIENCE, record.read_to_string(&mut text)).await??;
        ensure!(text == "127.0.0.1", "{text}");
        let (head, body) = timeout(PATIENCE, posts.recv()).await?.context("a post")?;
        let head = head.to_ascii_lowercase();
        ensure!(head.starts_with("post /in http/1.1\r\n"), "{head}");
        ensure!(
            head.contains("content-type: application/json\r\n"),
            "{head}"
        );
        ensure!(head.contains("x-key: k\r\n"), "{head}");
        let record: Value = serde_json::from_str(&body)?;
        ensure!(
            record["service"] == "s" && record["inputBytes"] == 1,
            "{record}"
        );
    }
    Ok(())
}

/// A server of redis, ended when dropped.
async fn redis(port: u16) -> Result<Child> {
    let port = port.to_string();
    let server = Command::new("redis-server")
        .args(["--port", &port, "--bind", "127.0.0.1", "--save", ""])
        .args(["--requirepass", "pw"])
        .stdout(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("redis-server")?;
    let up = async {
        while TcpStream::connect(format!("127.0.0.1:{port}"))
            .await
            .is_err()
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, up).await.context("redis")?;
    Ok(server)
}

/// What redis answers to a command, as it prints it.
async fn ask(port: u16, command: &[&str]) -> Result<String> {
    let output = Command::new("redis-cli")
        .args(["-p", &port.to_string(), "-a", "pw", "--no-auth-warning"])
        .args(command)
        .output()
        .await?;
    Ok(String::from_utf8(output.stdout)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_gets_sets_lists_and_counts_and_may_be_away_for_a_while() -> Result<()> {
    let echo = tcp::Server::start(tcp::Behaviour::Echo).await?;
    let (port, db, target) = (ports::tcp(), ports::tcp(), echo.address());
    let server = redis(db).await?;
    let recorder = |name: &str, kind: &str| {
        format!(
            "- {{name: {name}, redis: {{addr: '127.0.0.1:{db}', password: pw, db: 1, key: {name}, type: '{kind}'}}}}\n"
        )
    };
    let config = format!(
        "services:
- name: s
  addr: 127.0.0.1:{port}
  handler: {{type: tcp}}
  forwarder: {{nodes: [{{name: n0, addr: '{target}'}}]}}
  recorders:
  - {{name: set, record: recorder.service.client.address}}
  - {{name: counts, record: recorder.service.router.dial.address}}
  - {{name: list, record: recorder.service.handler}}
recorders:
{}{}{}",
        recorder("set", ""),
        recorder("counts", "sset"),
        recorder("list", "list"),
    );
    let (gost, _folder) = start(&config).await?;
    let length = async |wanted: &str| -> Result<()> {
        let work = async {
            while ask(db, &["-n", "1", "LLEN", "list"]).await?.trim() != wanted {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            anyhow::Ok(())
        };
        timeout(PATIENCE, work).await.context("records in redis")?
    };
    for _ in 0..3 {
        ensure!(exchange(port, b"x").await? == b"x");
    }
    length("3").await?;
    ensure!(ask(db, &["-n", "1", "SMEMBERS", "set"]).await? == "127.0.0.1\n");
    let counts = ask(
        db,
        &["-n", "1", "ZRANGE", "counts", "0", "-1", "WITHSCORES"],
    )
    .await?;
    ensure!(counts == "127.0.0.1\n3\n", "{counts}");

    // Nobody waits for it, and it is said.
    drop(server);
    ensure!(exchange(port, b"x").await? == b"x");
    gost.line("records lost so far").await?;
    let _server = redis(db).await?;
    ensure!(exchange(port, b"x").await? == b"x");
    length("1").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn observers_are_told_of_states_and_of_what_has_moved() -> Result<()> {
    let (port, web) = (ports::tcp(), web(b"hello").await?);
    let (observer, mut posts) = posts().await?;
    let config = format!(
        "services:
- name: s
  addr: 127.0.0.1:{port}
  handler:
    type: auto
    auther: a
    observer: o
    metadata: {{observer.period: 1s}}
  observer: o
  metadata: {{enableStats: true, observer.period: 1s, observer.resetTraffic: true}}
authers: [{{name: a, auths: [{{username: ann, password: pw}}]}}]
observers: [{{name: o, plugin: {{type: http, addr: 'http://127.0.0.1:{observer}/observer'}}}}]
"
    );
    let (gost, _folder) = start(&config).await?;
    let mut next = async || -> Result<Vec<Value>> {
        let (_, body) = timeout(PATIENCE, posts.recv()).await?.context("events")?;
        let body: Value = serde_json::from_str(&body)?;
        body["events"].as_array().cloned().context("events")
    };
    for state in ["running", "ready"] {
        let events = next().await?;
        let expected = serde_json::json!([{
            "kind": "service", "service": "s", "type": "status",
            "status": {"state": state, "msg": format!("service s is {state}")}
        }]);
        ensure!(Value::Array(events.clone()) == expected, "{events:?}");
    }
    let proxy = format!("http://ann:pw@127.0.0.1:{port}");
    let url = format!("http://127.0.0.1:{web}/");
    curl(&["-p", "-x", &proxy, &url]).await?;
    curl(&["-x", &proxy, &url]).await?;
    curl(&["-x", &format!("http://127.0.0.1:{port}"), &url]).await?;
    let (mut service, mut client) = (Value::Null, Value::Null);
    let mut input = 0;
    let complete = |service: &Value, client: &Value| {
        service["totalConns"].as_u64() >= Some(3)
            && service["currentConns"] == 0
            && client["totalConns"].as_u64() >= Some(2)
            && client["currentConns"] == 0
    };
    while !complete(&service, &client) {
        let events = next().await;
        for event in events.with_context(|| format!("after {service}, {client}"))? {
            ensure!(event["type"] == "stats", "{event}");
            if event["kind"] == "service" {
                // Those since the last report.
                input += event["stats"]["inputBytes"].as_u64().unwrap_or(0);
                service = event["stats"].clone();
            } else {
                ensure!(
                    event["kind"] == "handler" && event["client"] == "ann",
                    "{event}"
                );
                client = event["stats"].clone();
            }
        }
    }
    ensure!(service["totalErrs"] == 1, "{service}");
    ensure!(input > 300 && input < 2000, "{input}");
    ensure!(client["outputBytes"].as_u64() >= Some(10), "{client}");
    gost.signal(Signal::SIGTERM)?;
    let closed = loop {
        let events = next().await?;
        if events[0]["type"] == "status" {
            break events;
        }
    };
    ensure!(closed[0]["status"]["state"] == "closed", "{closed:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn services_run_their_commands_when_they_come_and_go() -> Result<()> {
    let port = ports::tcp();
    let say = |word: &str| format!("sh -c 'echo {word} >> FOLDER/said'");
    let service = format!(
        "services:
- name: s
  addr: 127.0.0.1:{port}
  handler: {{type: socks5}}
  metadata:
    preUp: [\"{}\", nosuchcommand]
    postUp: \"{}\"
    preDown: [\"{}\"]
    postDown: [\"{}\"]
",
        say("pre-up"),
        say("post-up"),
        say("pre-down"),
        say("post-down"),
    );
    let (gost, folder) = start(&service).await?;
    let said = folder.path().join("said");
    lines(&said, 2).await?;
    gost.line("[pre-up] nosuchcommand: No such file").await?;
    gost.signal(Signal::SIGHUP)?;
    gost.line("1 unchanged").await?;
    gost.signal(Signal::SIGTERM)?;
    let all = lines(&said, 4).await?.concat();
    ensure!(all == "pre-up\npost-up\npre-down\npost-down\n", "{all}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn services_log_where_they_are_told_to_and_files_are_put_aside() -> Result<()> {
    let echo = tcp::Server::start(tcp::Behaviour::Echo).await?;
    let (one, two, target) = (ports::tcp(), ports::tcp(), echo.address());
    let service = |name: &str, port: u16, more: &str| {
        format!(
            "- {{name: {name}, addr: '127.0.0.1:{port}', handler: {{type: tcp}}, {more} forwarder: {{nodes: [{{name: n, addr: '{target}'}}]}}}}\n"
        )
    };
    let config = format!(
        "services:
{}{}loggers:
- {{name: l, log: {{output: FOLDER/l.log, format: json, level: info, rotation: {{maxSize: 1, maxBackups: 1, compress: true}}}}}}
- {{name: quiet, log: {{output: FOLDER/quiet.log, format: text, level: error}}}}
- {{name: none}}
",
        service("named", one, "logger: l, loggers: [quiet],"),
        service("plain", two, "logger: none,"),
    );
    let (gost, folder) = start(&config).await?;
    // Enough for more than one file of a megabyte: two lines for each connection.
    std::fs::write(folder.path().join("before"), "")?;
    ensure!(exchange(two, b"x").await? == b"x");
    gost.line(">-<").await?;
    ensure!(exchange(one, b"x").await? == b"x");
    let file = folder.path().join("l.log");
    let lines = lines(&file, 3).await?;
    for line in &lines {
        let line: Value = serde_json::from_str(line)?;
        ensure!(
            line["logger"] == "l" && line["service"] == "named",
            "{line}"
        );
    }
    ensure!(lines[2].contains(">-<"), "{lines:?}");
    let quiet = std::fs::read_to_string(folder.path().join("quiet.log"))?;
    ensure!(quiet.is_empty(), "{quiet}");
    let main = gost.lines().join("\n");
    ensure!(!main.contains("\"service\":\"named\""), "{main}");
    ensure!(main.contains("\"service\":\"plain\""), "{main}");
    Ok(())
}
