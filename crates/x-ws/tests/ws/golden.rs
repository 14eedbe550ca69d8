//! Conversations by hand with the server of the original, replayed with ours.

use gost_core::{
    conn::{Conn, Meta},
    outbound::Upgrade,
};
use gost_x_ws::{Settings, WebSocket, WsOptions};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::soon;

const GOLDEN: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/golden/wire/ws.json"
));

/// The answer of the recorded relay server to what it was asked, which here is a detail.
fn relay_answer(sent: &[u8]) -> Vec<u8> {
    let request = hex::decode("0101000a020007017f000001a153").unwrap();
    if sent == request {
        return vec![1, 0, 0, 0];
    }
    sent.to_ascii_uppercase()
}

#[tokio::test]
async fn frames_are_answered_as_by_the_original() {
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    let mut replayed = 0;
    for transcript in golden["transcripts"].as_array().unwrap() {
        let Some(turns) = transcript["transcript"].as_array() else {
            continue;
        };
        let name = transcript["name"].as_str().unwrap();
        let answered = turns[1][1]
            .as_str()
            .unwrap()
            .starts_with(&hex::encode("HTTP/1.1 101 "));
        if turns.len() == 2 || !answered {
            continue;
        }
        let (mut client, far) = tokio::io::duplex(1 << 16);
        tokio::spawn(async move {
            let ws = WebSocket::new(Settings::new(&WsOptions::default()).unwrap());
            let conn = ws.server(Conn::stream(far, Meta::default())).await.unwrap();
            let (mut stream, _) = conn.into_stream().unwrap();
            let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
            while let Ok(n @ 1..) = stream.read(&mut buffer).await {
                request.extend_from_slice(&buffer[..n]);
                // The request of the recording comes in fragments.
                if request[0] == 1 && request.len() < 14 {
                    continue;
                }
                stream.write_all(&relay_answer(&request)).await.unwrap();
                request.clear();
            }
            let _ = stream.shutdown().await;
        });
        for turn in turns {
            let hex = turn[1].as_str().unwrap();
            if turn[0] == "c2s" {
                client.write_all(&hex::decode(hex).unwrap()).await.unwrap();
            } else if hex != "nothing" {
                let expected = hex::decode(hex).unwrap();
                let mut found = vec![0; expected.len()];
                soon(client.read_exact(&mut found)).await.unwrap();
                assert_eq!(hex::encode(found), hex, "{name}");
            }
        }
        replayed += 1;
    }
    assert_eq!(replayed, 8);
}
