//! The records of connections, in files.

use anyhow::{Result, ensure};
use gost_testkit::{ports, tcp};
use gost_tests::{curl, exchange, web};
use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{lines, start};

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
        format!("{{{begin},clientIP:s,clientID:s,route:s,{bytes},err:s,{end}}}"),
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
    // The way that was tried in vain, too.
    let in_vain = &records[2];
    for key in ["host", "route"] {
        ensure!(in_vain[key] == format!("localhost:{dead}"), "{in_vain}");
    }
    ensure!(records[3]["http"]["statusCode"] == 407, "{}", records[3]);
    // YW5uOnB3 is ann:pw.
    ensure!(!lines_of.concat().contains("YW5uOnB3"), "{lines_of:?}");

    for (file, expected) in [
        ("c", &["127.0.0.1"; 4][..]),
        ("d", &["127.0.0.1", "127.0.0.1", "localhost"]),
        ("e", &["localhost"]),
    ] {
        // Each file is written at its own pace.
        let got = lines(&folder.path().join(file), expected.len()).await?;
        let got: Vec<_> = got.iter().map(|line| line.trim_end()).collect();
        ensure!(got == expected, "{file}: {got:?}");
    }
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

#[tokio::test(flavor = "multi_thread")]
async fn of_a_body_there_is_as_much_as_is_asked_for() -> Result<()> {
    let body: &[u8] = Box::leak(vec![b'z'; 2 << 20].into_boxed_slice());
    let url = format!("http://127.0.0.1:{}/", web(body).await?);
    for (metadata, bytes) in [
        ("http.body: true", 65_536),
        ("http.body: true, http.maxBodySize: 10", 10),
        ("http.body: true, http.maxBodySize: 0", 65_536),
        ("http.body: true, http.maxBodySize: 5000000", 1 << 20),
        ("http.maxBodySize: 10", 0),
    ] {
        let port = ports::tcp();
        let config = format!(
            "services:
- name: s
  addr: 127.0.0.1:{port}
  handler: {{type: http}}
  recorders: [{{name: h, record: recorder.service.handler, metadata: {{{metadata}}}}}]{FILES}"
        );
        let (_gost, folder) = start(&config).await?;
        curl(&["-x", &format!("http://127.0.0.1:{port}"), &url]).await?;
        let record = lines(&folder.path().join("deep/h"), 1).await?.remove(0);
        let record: Value = serde_json::from_str(&record)?;
        let base64 = record["http"]["response"]["body"].as_str();
        let length = base64.map_or(0, str::len);
        ensure!(
            length == usize::div_ceil(bytes, 3) * 4,
            "{metadata}: {length}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_admitted_is_not_recorded() -> Result<()> {
    let port = ports::tcp();
    let config = format!(
        "services:
- name: s
  addr: 127.0.0.1:{port}
  admission: a
  metadata: {{proxyProtocol: 1}}
  handler: {{type: socks5}}
  recorders: [{{name: c, record: recorder.service.client.address}}]
admissions: [{{name: a, matchers: [10.9.9.9]}}]{FILES}"
    );
    let (_gost, folder) = start(&config).await?;
    for (client, is_served) in [("10.9.9.9", false), ("10.2.2.2", true)] {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let header = format!("PROXY TCP4 {client} 127.0.0.1 5555 {port}\r\n");
        stream
            .write_all(&[header.as_bytes(), &[5, 1, 0]].concat())
            .await?;
        let answered = stream.read_exact(&mut [0; 2]).await.is_ok();
        ensure!(answered == is_served, "{client}");
    }
    let seen = lines(&folder.path().join("c"), 1).await?;
    ensure!(seen == ["10.2.2.2\n"], "{seen:?}");
    Ok(())
}
