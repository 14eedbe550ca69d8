//! Messages recorded between programs of the original: each is decoded,
//! compared with the description that stands beside it, and encoded again

use bytes::BytesMut;
use gost_relay::{
    Address, Command, DecodeError, Feature, Host, NetworkId, Request, Response, TunnelId, udp,
};
use serde_json::Value;

macro_rules! golden {
    ($name:literal) => {
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/golden/wire/",
            $name,
            ".json"
        ))
    };
}

const CONNECT: &str = golden!("relay-connect");
const RAW: &str = golden!("relay-raw-requests");
const UDP_BIND: &str = golden!("relay-udp-bind");
const TUNNEL: &str = golden!("tunnel");

#[test]
fn every_recorded_message() {
    // The counts keep a changed file from being skipped in silence.
    assert_eq!(check_messages(CONNECT), 30);
    assert_eq!(check_messages(RAW), 58);
    assert_eq!(check_messages(UDP_BIND), 28);
    assert_eq!(check_messages(TUNNEL), 6);
}

#[test]
fn malformed_requests_that_the_original_closes_on() {
    for (name, error) in [
        (
            "plain server: unknown address type 9",
            DecodeError::AddressType(9),
        ),
        (
            "plain server: short address feature",
            DecodeError::FeatureShort { kind: 2 },
        ),
        (
            "plain server: feature list shorter than the feature says",
            DecodeError::FeatureOverrun {
                kind: 2,
                len: 64,
                left: 2,
            },
        ),
        ("plain server: version 2", DecodeError::Version(2)),
        ("plain server: version 0", DecodeError::Version(0)),
    ] {
        let transcript = transcript(RAW, name);
        let bytes = unhex(&transcript["c2s"]);
        assert_eq!(Request::parse(&bytes), Err(error), "{name}");
        assert_eq!(transcript["s2c"], "", "nothing is answered");
    }
}

#[test]
fn partial_requests_are_incomplete() {
    for transcript in transcripts(RAW) {
        if transcript["name"].as_str().unwrap().starts_with("partial") {
            assert_eq!(Request::parse(&unhex(&transcript["c2s"])), Ok(None));
        }
    }
}

#[test]
fn networks_of_raw_requests() {
    for (name, network) in [
        ("plain server: unknown network id 0x7777", NetworkId::TCP),
        ("plain server: network ip(2)", NetworkId::IP),
        ("plain server: unix domain path", NetworkId::UNIX),
        (
            "plain server: network feature udp without the flag",
            NetworkId::UDP,
        ),
        ("plain server: connect ok", NetworkId::TCP),
    ] {
        let bytes = unhex(&transcript(RAW, name)["c2s"]);
        let (request, _) = Request::parse(&bytes).unwrap().unwrap();
        assert_eq!(request.network(), network, "{name}");
    }
}

#[test]
fn the_mangled_bind_address_is_repaired() {
    let transcript = transcript(UDP_BIND, "relay BIND with empty host (rtcp://:PORT)");
    let request = unhex(&transcript["events"][1]["hex"]);
    let (request, _) = Request::parse(&request).unwrap().unwrap();
    assert_eq!(request.command(), Command::BIND);
    let address = request.last_address().unwrap().clone();
    assert_eq!(address.host(), Host::Domain("0.0.0.0::48395"));
    assert_eq!(address.repair_bind(), "0.0.0.0:48395".parse().unwrap());
}

#[test]
fn whole_conversations_over_udp() {
    for (name, request, answer) in [
        (
            "udp forward through relay, server nodelay=False client nodelay=False",
            "one two three",
            "ONE TWO THREE",
        ),
        (
            "udp forward through relay, server nodelay=True client nodelay=True",
            "one two three",
            "ONE TWO THREE",
        ),
        (
            "udp forward through relay, server nodelay=True client nodelay=False",
            "one two three",
            "ONE TWO THREE",
        ),
    ] {
        let next: Next = |bytes| {
            let (payload, len) = udp::decode_frame(bytes)?;
            let mut again = Vec::new();
            udp::encode_frame(payload, &mut again).unwrap();
            Some((payload.to_vec(), again, len))
        };
        check_conversation(name, request, answer, next);
    }
    for (name, request, answer) in [
        (
            "socks5 UDP ASSOCIATE in front, relay association behind",
            "data data",
            "DATA DATA",
        ),
        (
            "relay BIND udp (rudp), one client",
            "ONE TWO THREE",
            "one two three",
        ),
    ] {
        let next: Next = |bytes| {
            let datagram = udp::decode_tunnel(bytes).unwrap()?;
            let mut again = Vec::new();
            udp::encode_tunnel(datagram.address, datagram.payload, &mut again).unwrap();
            Some((datagram.payload.to_vec(), again, datagram.len))
        };
        check_conversation(name, request, answer, next);
    }
}

/// Reads one datagram: its payload, its bytes encoded again, its length.
type Next = fn(&[u8]) -> Option<(Vec<u8>, Vec<u8>, usize)>;

/// Feeds both directions of a recorded connection byte by byte.
fn check_conversation(name: &str, sent: &str, answered: &str, next: Next) {
    let transcript = &transcript(UDP_BIND, name);
    for (direction, expected) in [("c2s", sent), ("s2c", answered)] {
        let mut buffer = BytesMut::new();
        let mut started = false;
        let mut payloads = Vec::new();
        for byte in direction_bytes(transcript, direction) {
            buffer.extend_from_slice(&[byte]);
            if !started {
                started = if direction == "c2s" {
                    Request::decode(&mut buffer).unwrap().is_some()
                } else {
                    Response::decode(&mut buffer).unwrap().is_some()
                };
            } else if let Some((payload, again, len)) = next(&buffer) {
                assert_eq!(again, buffer[..len], "{name}");
                payloads.push(String::from_utf8(payload).unwrap());
                let _ = buffer.split_to(len);
            }
        }
        assert_eq!(payloads.join(" "), expected, "{name} {direction}");
        assert!(buffer.is_empty(), "{name} {direction}");
    }
}

fn direction_bytes(transcript: &Value, direction: &str) -> Vec<u8> {
    let events = transcript["events"].as_array().unwrap();
    events
        .iter()
        .filter(|event| event["dir"] == direction && event["kind"] == "data")
        .flat_map(|event| unhex(&event["hex"]))
        .collect()
}

/// Checks all messages of a file and returns how many there were.
fn check_messages(file: &'static str) -> usize {
    let mut count = 0;
    for transcript in &transcripts(file) {
        if let Some(events) = transcript["events"].as_array() {
            for event in events {
                count += check_described(&event["hex"], &lines(event, ""));
            }
        } else {
            count += check_described(&transcript["c2s"], &lines(transcript, "> "));
            count += check_described(&transcript["s2c"], &lines(transcript, "< "));
        }
    }
    count
}

/// The pairs of bytes and words that describe a part of a recording.
fn lines<'a>(part: &'a Value, prefix: &str) -> Vec<(&'a str, &'a str)> {
    let lines = part["decode"].as_array().into_iter().flatten();
    lines
        .filter_map(|line| {
            line.as_str()
                .unwrap()
                .strip_prefix(prefix)?
                .split_once("  ")
        })
        .collect()
}

/// Finds the messages that the description names and checks each.
fn check_described(bytes: &Value, lines: &[(&str, &str)]) -> usize {
    let mut count = 0;
    let mut rest = lines;
    while let [(header, words), after @ ..] = rest {
        rest = after;
        if !(words.starts_with("relay re") && words.contains("version 1")) {
            continue;
        }
        let features = rest
            .iter()
            .take_while(|(_, words)| words.starts_with("feature "))
            .count();
        let (described, after) = rest.split_at(features);
        rest = after;
        if described.iter().any(|(_, words)| {
            words.ends_with("malformed") || words.ends_with("longer than the list")
        }) {
            continue;
        }
        let message: String = std::iter::once(*header)
            .chain(described.iter().map(|(hex, _)| *hex))
            .collect();
        let words: Vec<&str> = std::iter::once(*words)
            .chain(described.iter().map(|(_, words)| *words))
            .collect();
        check_message(bytes.as_str().unwrap(), &message, &words);
        count += 1;
    }
    count
}

/// Decodes a message where it stands, with what follows it in the recording.
fn check_message(recorded: &str, message: &str, words: &[&str]) {
    let start = recorded.find(message).unwrap();
    let recorded = hex::decode(&recorded[start..]).unwrap();
    let message = hex::decode(message).unwrap();
    let (described, again, len) = if words[0].starts_with("relay request") {
        let (request, len) = Request::parse(&recorded).unwrap().unwrap();
        (describe_request(&request), request.to_vec(), len)
    } else {
        let (response, len) = Response::parse(&recorded).unwrap().unwrap();
        (describe_response(&response), response.to_vec(), len)
    };
    assert_eq!(described, words);
    assert_eq!(hex::encode(again.unwrap()), hex::encode(&message));
    assert_eq!(len, message.len());
}

fn describe_request(request: &Request) -> Vec<String> {
    let mut command = match request.command() {
        Command::UNSPECIFIED => "(0, same as CONNECT)".to_owned(),
        Command::CONNECT => "CONNECT".to_owned(),
        Command::BIND => "BIND".to_owned(),
        Command::ASSOCIATE => "ASSOCIATE".to_owned(),
        other => format!("cmd {}", other.as_u8()),
    };
    if request.has_udp_flag() {
        command.push_str(" + UDP flag 0x80");
    }
    let header = format!("relay request: version 1, {command}");
    describe(
        &header,
        request.encoded_len(),
        request.features().as_slice(),
    )
}

fn describe_response(response: &Response) -> Vec<String> {
    let status = response.status();
    let text = match status.text() {
        "OK" => "OK".to_owned(),
        text => text.to_lowercase(),
    };
    let header = format!(
        "relay response: version 1, status {:02x} {text}",
        status.as_u8()
    );
    describe(
        &header,
        response.encoded_len(),
        response.features().as_slice(),
    )
}

fn describe(header: &str, len: usize, features: &[Feature]) -> Vec<String> {
    let mut words = vec![format!("{header}, feature list {} bytes", len - 4)];
    words.extend(features.iter().map(describe_feature));
    words
}

fn describe_feature(feature: &Feature) -> String {
    let alone = Response::ok().with_feature(feature.clone());
    let len = alone.encoded_len() - 4 - 3;
    let (name, content) = match feature {
        Feature::UserAuth(auth) => (
            "user auth",
            format!("user {:?} password {:?}", auth.username(), auth.password()),
        ),
        Feature::Address(address) => ("address", describe_address(address)),
        Feature::Tunnel(bytes) => {
            let id = TunnelId::from_bytes(*bytes);
            let (flags, weight) = (bytes[16], id.weight());
            let text =
                format!("tunnel/connector id {id} flags {flags:02x} reserved 0000 weight {weight}");
            ("tunnel", text)
        }
        Feature::Network(network) => {
            let known = network.or_tcp() == *network;
            let name = if known { network.name() } else { "?" };
            ("network", name.to_owned())
        }
        Feature::Metadata(metadata) => {
            let pairs: Vec<_> = metadata.iter().map(|(k, v)| format!("{k}={v}")).collect();
            let text = format!("{} pairs: {}", pairs.len(), pairs.join(", "));
            ("metadata", text)
        }
        _ => ("?", "opaque".to_owned()),
    };
    format!(
        "feature {:02x} {name}, {len} bytes: {content}",
        feature.kind()
    )
}

fn describe_address(address: &Address) -> String {
    let port = address.port();
    match address.host() {
        Host::V4(ip) => format!("IPv4 {ip} port {port}"),
        Host::V6(ip) => format!("IPv6 {ip} port {port}"),
        Host::Domain(name) => format!("domain({}) {name:?} port {port}", name.len()),
    }
}

fn transcripts(file: &'static str) -> Vec<Value> {
    let mut file: Value = serde_json::from_str(file).unwrap();
    let Value::Array(transcripts) = file["transcripts"].take() else {
        panic!("a recording has transcripts");
    };
    transcripts
}

fn transcript(file: &'static str, name: &str) -> Value {
    transcripts(file)
        .into_iter()
        .find(|transcript| transcript["name"] == name)
        .unwrap_or_else(|| panic!("no transcript {name}"))
}

fn unhex(text: &Value) -> Vec<u8> {
    hex::decode(text.as_str().unwrap()).unwrap()
}
