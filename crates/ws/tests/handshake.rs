//! Heads that are not as they should be, and those that proxies have touched.

use std::time::SystemTime;

use gost_ws::handshake::{
    Headers, Key, MAX_HEAD, Refusal, Request, RequestHead, Response, ResponseError, ResponseHead,
    accept,
};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

fn key() -> Key {
    Key::parse(KEY.as_bytes()).unwrap()
}

/// A good request with a line replaced, or one more.
fn request(start: &str, line: &str) -> Vec<u8> {
    let name = line.split(':').next().unwrap().to_ascii_lowercase();
    let mut head = format!("{start}\r\n");
    let mut lines = vec![
        "Host: example.com".to_owned(),
        "Connection: Upgrade".to_owned(),
        "Upgrade: websocket".to_owned(),
        "Sec-WebSocket-Version: 13".to_owned(),
        format!("Sec-WebSocket-Key: {KEY}"),
    ];
    lines.retain(|own| name.is_empty() || !own.to_ascii_lowercase().starts_with(&name));
    lines.push(line.to_owned());
    for line in lines
        .iter()
        .filter(|line| !line.is_empty() && !line.ends_with('-'))
    {
        head.push_str(line);
        head.push_str("\r\n");
    }
    (head + "\r\n").into_bytes()
}

const GET: &str = "GET /ws HTTP/1.1";

#[test]
fn requests_that_are_taken() {
    for (start, line) in [
        (GET, ""),
        ("GET /ws?token=1 HTTP/1.1", ""),
        ("GET /%77s HTTP/1.1", ""),
        ("GET http://example.com/ws HTTP/1.1", ""),
        (GET, "Connection: keep-alive, uPGRADE"),
        (GET, "Upgrade: h2c, WebSocket"),
        (GET, "Sec-WebSocket-Extensions: permessage-deflate"),
        (GET, "Sec-WebSocket-Protocol: a, b"),
        (GET, "Origin: http://evil.example"),
        ("GET /ws HTTP/1.0", ""),
        ("GET /ws HTTP/1.0", "Host:-"),
    ] {
        let bytes = request(start, line);
        let head = RequestHead::parse(&bytes, "/ws").unwrap().unwrap();
        assert_eq!(
            (head.length, head.key, head.client),
            (bytes.len(), key(), None),
            "{line}"
        );
    }
}

#[test]
fn requests_that_are_refused() {
    for (start, line, status) in [
        ("GET / HTTP/1.1", "", "404"),
        ("GET /ws/ HTTP/1.1", "", "404"),
        ("GET /WS HTTP/1.1", "", "404"),
        ("GET /ws%3Fa HTTP/1.1", "", "404"),
        ("POST /ws HTTP/1.1", "", "405"),
        ("get /ws HTTP/1.1", "", "405"),
        ("GET /ws HTTP/2.0", "", "400"),
        ("GET /ws", "", "400"),
        ("\x16\x03\x01\x02", "", "400"),
        (GET, "Host:-", "400"),
        (GET, "Connection: close", "400"),
        (GET, "Connection:-", "400"),
        (GET, "Upgrade: h2c", "400"),
        (GET, "Upgrade:-", "400"),
        (GET, "Sec-WebSocket-Version: 8", "400"),
        (GET, "Sec-WebSocket-Version:-", "400"),
        (GET, "Sec-WebSocket-Key: AAAA", "400"),
        (GET, "Sec-WebSocket-Key:-", "400"),
        (GET, "no colon", "400"),
        (GET, "X: a\0b", "400"),
    ] {
        let request = request(start, line);
        let refusal = RequestHead::parse(&request, "/ws").unwrap_err();
        let answer = refusal.encode(&request, SystemTime::now());
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{start} {line}: {answer}"
        );
        let body = answer.split("\r\n\r\n").nth(1).unwrap();
        assert!(answer.contains(&format!("\r\nContent-Length: {}\r\n", body.len())));
    }
}

#[test]
fn who_asks_for_a_head_gets_no_body() {
    let request = request("HEAD /ws HTTP/1.1", "");
    let refusal = RequestHead::parse(&request, "/ws").unwrap_err();
    let answer = refusal.encode(&request, SystemTime::now());
    assert!(answer.starts_with("HTTP/1.1 405 ") && answer.ends_with("\r\n\r\n"));
    assert!(answer.contains("\r\nContent-Length: 19\r\n"), "{answer}");
}

#[test]
fn heads_are_limited_in_bytes_and_lines() {
    let many = "X: y\r\n".repeat(200);
    for bytes in [
        format!("{GET}\r\nHost: a\r\n{many}\r\n"),
        format!("{GET}\r\nX: {}", "y".repeat(MAX_HEAD)),
        format!("GET /{}", "y".repeat(MAX_HEAD)),
    ] {
        let refusal = RequestHead::parse(bytes.as_bytes(), "/ws").unwrap_err();
        assert_eq!(refusal, Refusal::TooLarge);
        assert!(
            refusal
                .encode(bytes.as_bytes(), SystemTime::now())
                .starts_with("HTTP/1.1 431 ")
        );
        let response = bytes.replacen(GET, "HTTP/1.1 101 OK", 1);
        let response = response.replacen("GET ", "HTTP/1.1 101 ", 1);
        let error = ResponseHead::parse(response.as_bytes(), &key()).unwrap_err();
        assert_eq!(error, ResponseError::TooLarge);
    }
}

#[test]
fn a_head_is_asked_for_until_it_is_complete() {
    let whole = request(GET, "");
    for end in 0..whole.len() {
        assert_eq!(RequestHead::parse(&whole[..end], "/ws"), Ok(None), "{end}");
    }
    let whole = Response::default().encode(&key());
    for end in 0..whole.len() {
        assert_eq!(
            ResponseHead::parse(&whole.as_bytes()[..end], &key()),
            Ok(None),
            "{end}"
        );
    }
}

#[test]
fn paths() {
    for (path, target, fits) in [
        ("/", "/anything", true),
        ("/ws/", "/ws/a/b?c", true),
        ("/ws/", "/ws", false),
        ("/a://b/c", "/a://b/c", true),
        ("/c", "/a://b/c", false),
        ("/a b", "/a%20b", true),
        ("/ä", "/%C3%A4", true),
        ("/a?b", "/a%3Fb", true),
        ("/a?b", "/a?b", false),
    ] {
        let bytes = request(&format!("GET {target} HTTP/1.1"), "");
        let refused = match RequestHead::parse(&bytes, path) {
            Ok(head) => head.is_none(),
            Err(refusal) => {
                assert_eq!(refusal, Refusal::Path);
                true
            }
        };
        assert_eq!(refused, !fits, "{path} {target}");
    }
    for (path, target) in [
        ("/ws", "/ws"),
        ("ws", "/ws"),
        ("/a?b=c", "/a%3Fb=c"),
        ("/a b/%/ä", "/a%20b/%25/%C3%A4"),
        ("/-._~$&+,/:;=@", "/-._~$&+,/:;=@"),
        ("/!*'()", "/%21%2A%27%28%29"),
    ] {
        let head = Request::new(path, Headers::default()).encode("h", &key());
        assert_eq!(
            head.lines().next().unwrap(),
            format!("GET {target} HTTP/1.1")
        );
    }
}

#[test]
fn the_client_that_a_proxy_names() {
    for (lines, client) in [
        ("X-Real-Ip: 192.0.2.3", Some("192.0.2.3")),
        (
            "X-Forwarded-For: 192.0.2.1, 192.0.2.2\r\nX-Real-Ip: 192.0.2.3",
            Some("192.0.2.1"),
        ),
        ("X-Forwarded-For: 2001:db8::1", Some("2001:db8::1")),
        (
            "CF-Connecting-IP: 192.0.2.9\r\nX-Forwarded-For: 192.0.2.1",
            Some("192.0.2.9"),
        ),
        (
            "X-Forwarded-For: , 192.0.2.2\r\nX-Real-Ip: 192.0.2.3",
            Some("192.0.2.3"),
        ),
        ("X-Forwarded-For: unknown", None),
        ("X-Forwarded-For: 192.0.2.1:80", None),
    ] {
        let head = RequestHead::parse(&request(GET, lines), "/ws")
            .unwrap()
            .unwrap();
        assert_eq!(head.client, client.map(|ip| ip.parse().unwrap()), "{lines}");
    }
}

#[test]
fn added_lines_stand_where_the_original_has_them() {
    let headers = Headers::new([
        ("x-token", "t"),
        ("host", "other.example"),
        ("user-agent", "curl/8"),
        ("authorization", "Basic x"),
        ("sec-websocket-protocol", "p"),
    ])
    .unwrap();
    let head = Request::new("/ws", headers).encode("example.com", &key());
    assert_eq!(
        head,
        format!(
            "GET /ws HTTP/1.1\r\nHost: other.example\r\nUser-Agent: curl/8\r\n\
             Authorization: Basic x\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\n\
             Sec-WebSocket-Protocol: p\r\nSec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n\
             X-Token: t\r\n\r\n"
        )
    );
    let twice = Headers::new([("host", "b"), ("HOST", "a")]).unwrap();
    let head = Request::new("/", twice).encode("h", &key());
    assert_eq!(head.matches("Host: ").count(), 1);
    let none = Headers::new([("User-Agent", "")]).unwrap();
    assert!(
        !Request::new("/", none)
            .encode("h", &key())
            .contains("User-Agent")
    );

    let response = Response::new(Headers::new([("server", "nginx")]).unwrap()).encode(&key());
    assert!(response.ends_with("\r\nServer: nginx\r\n\r\n"));
    assert!(
        ResponseHead::parse(response.as_bytes(), &key())
            .unwrap()
            .is_some()
    );
}

#[test]
fn responses_that_do_not_agree() {
    let accept = format!("Sec-WebSocket-Accept: {}", accept(&key()));
    let other = "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    for (lines, says) in [
        (
            vec!["Connection: upgrade", &accept],
            "Upgrade does not say websocket",
        ),
        (
            vec!["Upgrade: websocket", &accept],
            "Connection does not say upgrade",
        ),
        (
            vec!["Upgrade: websocket", "Connection: upgrade", other],
            "Sec-WebSocket-Accept does not answer the key",
        ),
        (
            vec!["Upgrade: websocket", "Connection: upgrade"],
            "Sec-WebSocket-Accept does not answer the key",
        ),
        (
            vec![
                "Upgrade: websocket",
                "Connection: upgrade",
                &accept,
                "Sec-WebSocket-Extensions: permessage-deflate",
            ],
            "it uses an extension that was not asked for",
        ),
    ] {
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\n{}\r\n\r\n",
            lines.join("\r\n")
        );
        let error = ResponseHead::parse(head.as_bytes(), &key()).unwrap_err();
        assert_eq!(error, ResponseError::Upgrade(says));
    }
    assert_eq!(
        ResponseHead::parse(b"SSH-2.0-OpenSSH_9.2\r\n", &key()),
        Err(ResponseError::Malformed)
    );
    let refused = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 5\r\n\r\nsorry";
    let error = ResponseHead::parse(refused, &key()).unwrap_err();
    assert_eq!(error.to_string(), "the server answered 502 Bad Gateway");
    let ResponseError::Refused { length, body, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!((&refused[length..], body), (&b"sorry"[..], Some(5)));
}
