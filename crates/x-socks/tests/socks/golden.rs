//! What was recorded of the original, held against our servers.

use gost_testbed::{Forbid, OneUser, Running, serve};
use gost_testkit::tcp::{Behaviour, Server};
use serde_json::Value;

use crate::support::{Raw, handler, open, transcripts};

const SOCKS5: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/golden/wire/socks5.json"
));
const SOCKS4: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/golden/wire/socks4.json"
));

/// The port of the target in the recordings.
const RECORDED: &str = "a115";

async fn with_auth(name: &str, query: &str) -> Running {
    serve(handler(name, query).await, |serving| {
        serving.policies.auther = Some(std::sync::Arc::new(OneUser("user", "pass")));
    })
    .await
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> Vec<&'a str> {
    let items = value[key].as_array().unwrap();
    items.iter().map(|item| item.as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_choice_of_a_method() {
    // Without TLS there is no difference that `notls` could make.
    let (plain, auth) = (open("socks5", "").await, with_auth("socks5", "").await);
    let transcripts = transcripts(SOCKS5);
    let table = transcripts
        .iter()
        .find_map(|transcript| transcript["table"].as_array())
        .unwrap();
    let mut rows = 0;
    for row in table {
        let server = match text(row, "server") {
            "no auth, notls" => &plain,
            "auth, notls" => &auth,
            _ => continue,
        };
        // An empty list has an answer, too: the original's silence helps nobody.
        let wanted = match text(row, "answer") {
            "" => "05ff",
            answer => answer,
        };
        let mut client = Raw::connect(server).await;
        client.send(text(row, "offered")).await;
        assert_eq!(client.take(2).await, wanted, "{row}");
        if wanted == "05ff" {
            assert_eq!(client.rest().await, "");
        }
        rows += 1;
    }
    assert_eq!(rows, 28);
}

/// Where our answer to a recorded request is another than the original's, and why.
fn better(name: &str) -> Option<&'static str> {
    match name {
        // The empty host would be this machine, which no rule has seen.
        "commands, all features off: connect zero-length domain" => Some("05010001000000000000"),
        // The protocol has a word for it.
        "commands, all features off: bad address type 2" => Some("05080001000000000000"),
        _ => None,
    }
}

#[tokio::test]
async fn every_command_and_what_becomes_of_it() {
    let target = Server::start(Behaviour::Echo).await.unwrap();
    let port = format!("{:04x}", target.port());
    let mut rows = 0;
    for transcript in transcripts(SOCKS5) {
        let name = text(&transcript, "name");
        let Some((_, query)) = text(&transcript, "server").split_once("SERVER?") else {
            continue;
        };
        // What the server without a chain makes of names is another test's.
        if transcript["c2s"].is_null() || name == "features on: resolve without a chain" {
            continue;
        }
        let server = if query.contains("bypass") {
            serve(handler("socks5", query).await, |serving| {
                serving.policies.bypass = Some(std::sync::Arc::new(Forbid(|addr| {
                    addr.host() == "127.0.0.1"
                })));
            })
            .await
        } else {
            open("socks5", query).await
        };
        let (sent, got) = (list(&transcript, "c2s"), list(&transcript, "s2c"));
        let mut client = Raw::connect(&server).await;
        client.send(sent[0]).await;
        assert_eq!(client.take(2).await, got[0], "{name}");
        client.send(&sent[1].replace(RECORDED, &port)).await;
        let better = better(name);
        let wanted = better.unwrap_or(got[1]);
        if wanted == "nothing for 3 s" {
            // It waits for the rest, then.
            client.send(&format!("017f000001{port}")).await;
            assert!(client.take(10).await.starts_with("050000017f000001"));
        } else if let Some(end) = wanted
            .strip_suffix("000000000000")
            .or(Some("").filter(|_| wanted.is_empty()))
        {
            assert_eq!(
                client.rest().await,
                format!("{end}{}", &wanted[end.len()..]),
                "{name}"
            );
            assert!(
                better.is_some() || text(&transcript, "then") == "closed",
                "{name}"
            );
        } else {
            // Granted: all but the port, which was that of the run, is the same.
            let reply = client.take(10).await;
            assert_eq!(reply[..16], wanted[..16], "{name}");
            assert_ne!(&reply[16..], "0000", "{name}");
            assert_eq!(text(&transcript, "then"), "open", "{name}");
            if name.contains("in one segment") {
                // The original loses them.
                assert_eq!(client.take(5).await, hex::encode("early"));
            }
        }
        rows += 1;
    }
    assert_eq!(rows, 19);
}

#[tokio::test]
async fn users_and_passwords() {
    let server = with_auth("socks5", "").await;
    let mut client = Raw::connect(&server).await;
    client.send("05020002").await;
    assert_eq!(client.take(2).await, "0502");
    client.send("01047573657203626164").await;
    assert_eq!(client.rest().await, "0101");

    let target = Server::start(Behaviour::Echo).await.unwrap();
    let mut client = Raw::connect(&server).await;
    client.send("05020002").await;
    assert_eq!(client.take(2).await, "0502");
    client.send("0104757365720470617373").await;
    assert_eq!(client.take(2).await, "0100");
    client
        .send(&format!("050100017f000001{:04x}", target.port()))
        .await;
    assert!(client.take(10).await.starts_with("050000017f000001"));
    client.send("70696e67").await;
    assert_eq!(client.take(4).await, "70696e67");
}

/// The first request of each conversation between programs of the original, sent to our server.
#[tokio::test]
async fn socks4_conversations() {
    let target = Server::start(Behaviour::Echo).await.unwrap();
    let port = format!("{:04x}", target.port());
    let mut rows = 0;
    for transcript in transcripts(SOCKS4) {
        let name = text(&transcript, "name");
        let line = text(&transcript, "server");
        let server = serve(handler("socks4", "").await, |serving| {
            if line.contains("user:pass@") {
                serving.policies.auther = Some(std::sync::Arc::new(OneUser("user", "pass")));
            } else if line.contains("user@") {
                serving.policies.auther = Some(std::sync::Arc::new(OneUser("user", "")));
            }
            if line.contains("bypass") {
                serving.policies.bypass = Some(std::sync::Arc::new(Forbid(|addr| {
                    addr.host() == "127.0.0.1"
                })));
            }
        })
        .await;
        let (request, recorded) = if let Some(events) = transcript["events"].as_array() {
            let first = |dir: &str| {
                let mut data = events.iter().filter(|e| e["kind"] == "data");
                text(data.find(|e| e["dir"] == dir).unwrap(), "hex").to_owned()
            };
            (first("c2s"), first("s2c"))
        } else {
            (
                text(&transcript, "c2s").to_owned(),
                text(&transcript, "s2c").to_owned(),
            )
        };
        let wanted = match name {
            // What the original closes without a word has a code; and the empty host would be
            // this machine, which no rule has seen.
            "by hand: BIND" | "by hand: command 9" | "by hand: 4a with empty name" => {
                "005b000000000000"
            }
            // Another protocol has none.
            "by hand: version 5" => "",
            _ => &recorded,
        };
        let mut client = Raw::connect(&server).await;
        client.send(&request.replacen(RECORDED, &port, 1)).await;
        if wanted.starts_with("005a") {
            assert_eq!(client.take(8).await, wanted, "{name}");
            client.send("70696e6731").await;
            assert_eq!(client.take(5).await, "70696e6731", "{name}");
        } else {
            assert_eq!(client.rest().await, wanted, "{name}");
        }
        rows += 1;
    }
    assert_eq!(rows, 13);
}
