//! Conversations recorded between programs of the original, and by hand with its server.

use std::time::SystemTime;

use gost_ws::{
    Close, Decoder, End, Role,
    handshake::{Headers, Key, Refusal, Request, RequestHead, Response, ResponseHead, accept},
};
use serde_json::Value;

const GOLDEN: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/golden/wire/ws.json"
));

fn transcripts() -> Vec<Value> {
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    golden["transcripts"].as_array().unwrap().clone()
}

fn unhex(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

/// What went each way of a recorded connection, one piece for each that was received; pieces that
/// were recorded by their digest are left out.
fn pieces(transcript: &Value, direction: &str) -> Vec<Vec<u8>> {
    let events = transcript["events"].as_array().unwrap();
    let data = |event: &&Value| event["dir"] == direction && event["kind"] == "data";
    events
        .iter()
        .filter(data)
        .filter(|event| event["hex"].is_string())
        .map(|event| unhex(&event["hex"]))
        .collect()
}

fn line<'a>(head: &'a str, name: &str) -> &'a str {
    let prefix = format!("{name}: ");
    head.lines()
        .find_map(|line| line.strip_prefix(&prefix))
        .unwrap()
}

#[test]
fn our_heads_are_those_of_the_original_byte_for_byte() {
    let mut compared = 0;
    for transcript in transcripts() {
        if transcript["events"].is_null() {
            continue;
        }
        let name = transcript["name"].as_str().unwrap();
        let client = transcript["client"].as_str().unwrap();
        if client.contains("enableCompression") {
            continue;
        }
        let request = String::from_utf8(pieces(&transcript, "c2s").remove(0)).unwrap();
        let key = Key::parse(line(&request, "Sec-WebSocket-Key").as_bytes()).unwrap();
        let path = if client.contains("path=/chat") {
            "/chat"
        } else {
            "/ws"
        };
        let ours = Request::new(path, Headers::default()).encode(line(&request, "Host"), &key);
        assert_eq!(ours, request, "{name}");

        let response = String::from_utf8(pieces(&transcript, "s2c").remove(0)).unwrap();
        if name == "wrong path" {
            let refusal = RequestHead::parse(request.as_bytes(), "/chat").unwrap_err();
            assert_eq!(refusal, Refusal::Path);
            assert_refused(&response, refusal);
            continue;
        }
        let read = RequestHead::parse(request.as_bytes(), path)
            .unwrap()
            .unwrap();
        assert_eq!((read.length, &read.key), (request.len(), &key), "{name}");
        assert_eq!(Response::default().encode(&key), response, "{name}");
        let read = ResponseHead::parse(response.as_bytes(), &key)
            .unwrap()
            .unwrap();
        assert_eq!(read.length, response.len());
        compared += 1;
    }
    assert_eq!(compared, 6);
}

/// The original's refusal has the same status, lines and body, but for the time, the order of the
/// lines, and that we say that we close.
fn assert_refused(theirs: &str, refusal: Refusal) {
    let ours = refusal.encode(b"GET", SystemTime::UNIX_EPOCH);
    let parts = |answer: &str| {
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().to_owned();
        let mut lines: Vec<_> = lines
            .filter(|line| !line.starts_with("Date:") && *line != "Connection: close")
            .map(str::to_owned)
            .collect();
        lines.sort();
        (status, lines, body.to_owned())
    };
    let (status, lines, body) = parts(&ours);
    assert!(
        ours.contains("\r\nConnection: close\r\n") && ours.contains("\r\nDate: Thu, 01 Jan 1970")
    );
    let (their_status, their_lines, their_body) = parts(theirs);
    assert_eq!((status, lines), (their_status, their_lines));
    // The recorder kept the body of one of them for the next piece.
    assert!(their_body.is_empty() || body == their_body, "{their_body}");
}

#[test]
fn requests_made_by_hand_are_answered_as_by_the_original() {
    let mut seen = (0, 0);
    for transcript in transcripts() {
        let Some(turns) = transcript["transcript"].as_array() else {
            continue;
        };
        let name = transcript["name"].as_str().unwrap();
        let request = unhex(&turns[0][1]);
        let answer = turns[1][1].as_str().unwrap();
        if answer == "closed" {
            // A frame behind the request: the original closes, we take it.
            let head = RequestHead::parse(&request, "/ws").unwrap().unwrap();
            assert_eq!(request[head.length], 0x82);
            continue;
        }
        let answer = String::from_utf8(hex::decode(answer).unwrap()).unwrap();
        match RequestHead::parse(&request, "/ws") {
            Ok(head) => {
                let head = head.unwrap();
                assert_eq!(Response::default().encode(&head.key), answer, "{name}");
                assert_eq!(line(&answer, "Sec-WebSocket-Accept"), accept(&head.key));
                seen.0 += 1;
            }
            Err(refusal) => {
                assert_refused(&answer, refusal);
                seen.1 += 1;
            }
        }
    }
    assert_eq!(seen, (13, 6));
}

#[test]
fn frames_made_by_hand_end_as_with_the_original() {
    let mut closed = 0;
    for transcript in transcripts() {
        let Some(turns) = transcript["transcript"].as_array() else {
            continue;
        };
        let name = transcript["name"].as_str().unwrap();
        let mut server = Decoder::new(Role::Server);
        let mut client = Decoder::new(Role::Client);
        for turn in turns.iter().skip(2) {
            let Ok(mut bytes) = hex::decode(turn[1].as_str().unwrap()) else {
                continue;
            };
            if turn[0] == "c2s" {
                server.decode(&mut bytes);
                continue;
            }
            client.decode(&mut bytes);
            let Some(End::Closed(theirs)) = client.end() else {
                continue;
            };
            let ours = match server.end() {
                Some(End::Violated(violation)) => violation.close(),
                // Closes are echoed without their reason.
                Some(End::Closed(close)) => Close {
                    reason: String::new(),
                    ..close.clone()
                },
                None => panic!("{name}: the original closed with {theirs:?}"),
            };
            assert_eq!(&ours, theirs, "{name}");
            closed += 1;
        }
    }
    assert_eq!(closed, 6);
}

#[test]
fn recorded_frames_are_read_as_described() {
    let mut frames = 0;
    for transcript in transcripts() {
        if transcript["events"].is_null() || transcript["name"] == "wrong path" {
            continue;
        }
        if transcript["client"]
            .as_str()
            .unwrap()
            .contains("enableCompression")
        {
            // What was agreed on there is never agreed on by us.
            let mut frame = pieces(&transcript, "s2c").remove(1);
            let mut decoder = Decoder::new(Role::Client);
            assert_eq!(decoder.decode(&mut frame), 0);
            assert!(matches!(decoder.end(), Some(End::Violated(_))));
            continue;
        }
        for (direction, role) in [("c2s", Role::Server), ("s2c", Role::Client)] {
            let mut decoder = Decoder::new(role);
            for mut piece in pieces(&transcript, direction).into_iter().skip(1) {
                let length = decoder.decode(&mut piece);
                assert_eq!(decoder.end(), None);
                let empty = decoder.take_ping().is_some() || decoder.take_pong();
                assert_eq!(length == 0, empty);
                frames += 1;
            }
        }
    }
    assert!(frames > 30, "{frames}");
}
