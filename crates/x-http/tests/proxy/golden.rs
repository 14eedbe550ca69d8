//! Recordings of the original: what its clients sent, and what its server answered.

use gost_testbed::values;
use gost_testkit::tcp::{Behaviour, Server};
use serde_json::Value;

use crate::support::{Origin, Raw, guarded, ok, proxy, serve};

const RECORDED: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/golden/wire/http.json"
));

/// Rows in which we differ, and what our answer begins with instead.
const DIFFERENT: [(&str, &str); 7] = [
    // An empty host would mean the proxy itself.
    ("plain: CONNECT empty host", "HTTP/1.1 400 "),
    // The header line of a request without a host is enough.
    ("plain: GET relative with Host", "HTTP/1.1 200 "),
    ("plain: GET absolute then relative", "HTTP/1.1 200 "),
    // Closed without a word.
    ("plain: CONNECT lower-case method", "HTTP/1.1 400 "),
    ("plain: garbage", "HTTP/1.1 400 "),
    // Two programs might read it in two ways.
    ("plain: bare LF", "HTTP/1.1 400 "),
    // The name holds the address that was recorded; `connect` has a test of its own.
    ("plain: Gost-Target", "HTTP/1.1 503 "),
];

fn unhex(text: &Value) -> Option<Vec<u8>> {
    hex::decode(text.as_str()?).ok()
}

#[tokio::test]
async fn hand_made_requests_get_the_recorded_answers() {
    let file: Value = serde_json::from_str(RECORDED).unwrap();
    let mut compared = 0;
    'rows: for row in file["transcripts"].as_array().unwrap() {
        let name = row["name"].as_str().unwrap();
        let (Some(sent), Some(answered)) = (row["c2s"].as_array(), row["s2c"].as_array()) else {
            continue;
        };
        if !name.starts_with("plain: ")
            && !name.starts_with("auth: ")
            && !name.starts_with("options: ")
        {
            continue;
        }
        let echo = Server::start(Behaviour::Echo).await.unwrap();
        let web = Origin::start(|_, _| {
            let body = "<html>hello</html>";
            let mut answer = ok(body);
            answer.splice(17..17, b"Content-Type: text/html\r\n".iter().copied());
            answer
        })
        .await;
        let proxy = if name.starts_with("options: ") {
            guarded("authBasicRealm=zone&proxyAgent=agent/9").await
        } else if row["server"].as_str().unwrap().contains("user:pass") {
            guarded("").await
        } else {
            proxy("").await
        };
        let mut client = Raw::connect(&proxy).await;
        let here = |bytes: &[u8]| {
            String::from_utf8_lossy(bytes)
                .replace("127.0.0.1:36105", &echo.address().to_string())
                .replace("127.0.0.1:45659", &web.addr.to_string())
        };
        for (n, sent) in sent.iter().enumerate() {
            // One is too long to be recorded whole; `refusals` has a test of its own.
            let Some(sent) = unhex(sent) else {
                continue 'rows;
            };
            client.send(here(&sent)).await;
            if let Some((_, start)) = DIFFERENT.iter().find(|(row, _)| *row == name) {
                if n + 1 == row["c2s"].as_array().unwrap().len() {
                    assert!(client.head().await.starts_with(start), "{name}");
                } else {
                    client.head().await;
                    client.take(18).await;
                }
                continue;
            }
            let Some(answer) = answered.get(n).and_then(unhex) else {
                continue;
            };
            if name.contains("second GET without credentials") && n == 1 {
                assert!(client.head().await.starts_with("HTTP/1.1 407 "));
                continue;
            }
            let answer = String::from_utf8(answer).unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap_or(("", &answer));
            if !head.is_empty() {
                let ours = client.head().await;
                let mut lines = head.split("\r\n");
                assert_eq!(ours.lines().next(), lines.next(), "{name}");
                // Whatever it said, we say too; in refusals we say more.
                for line in lines.filter(|line| *line != "Proxy-Agent: gost/3.0") {
                    assert!(
                        ours.contains(&format!("\r\n{line}\r\n")),
                        "{name}: {line}: {ours}"
                    );
                }
            }
            // The echo of the recording shouted; ours does not.
            let ours = client.take(body.len()).await;
            assert_eq!(
                String::from_utf8_lossy(&ours).to_lowercase(),
                body.to_lowercase(),
                "{name}"
            );
            compared += 1;
        }
        if row["end"] == "closed" && !DIFFERENT.iter().any(|(row, _)| *row == name) {
            assert_eq!(client.rest().await, "", "{name}");
        }
    }
    assert!(compared > 20, "{compared}");
}

#[tokio::test]
async fn what_its_clients_sent_is_understood() {
    let file: Value = serde_json::from_str(RECORDED).unwrap();
    let mut understood = 0;
    for row in file["transcripts"].as_array().unwrap() {
        let Some(events) = row["events"].as_array() else {
            continue;
        };
        let first = events.iter().find(|event| event["kind"] == "data").unwrap();
        let echo = Server::start(Behaviour::Echo).await.unwrap();
        let proxy = serve(&values("udp=true"), |_| {}).await;
        let mut client = Raw::connect(&proxy).await;
        let sent = String::from_utf8(unhex(&first["hex"]).unwrap()).unwrap();
        let refused = sent.contains("127.0.0.1:1 ");
        client
            .send(sent.replace(":36105", &format!(":{}", echo.port())))
            .await;
        let answer = client.head().await;
        let status = if refused { "503" } else { "200" };
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{}: {answer}",
            row["name"]
        );
        understood += 1;
    }
    assert!(understood >= 9, "{understood}");
}
