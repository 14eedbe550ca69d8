use super::*;

fn parse(text: &str) -> Result<(String, String, bool, usize), HeadError> {
    let bytes = text.as_bytes();
    let end = RequestScan::default()
        .find(bytes)?
        .ok_or(HeadError::Malformed("more"))?;
    let mut room = room();
    let head = RequestHead::parse(&bytes[..end], &mut room)?;
    Ok((
        head.method.into(),
        head.target.into(),
        head.old,
        head.headers.len(),
    ))
}

#[test]
fn requests_are_read_strictly() {
    for text in [
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
        "GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\n: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost a\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        "GET  / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1 \r\n\r\n",
        "GET /a b HTTP/1.1\r\n\r\n",
        "GET /\ta HTTP/1.1\r\n\r\n",
        "GET  HTTP/1.1\r\n\r\n",
        "GET / http/1.1\r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\n",
        "GET /\r\n\r\n",
        "get / HTTP/1.1\r\n\r\n",
        "\0\u{1}\u{2}garbage\r\n\r\n",
        " GET / HTTP/1.1\r\n\r\n",
        "\r\n",
    ] {
        assert!(
            matches!(parse(text), Err(HeadError::Malformed(why)) if why != "more"),
            "{text:?}: {:?}",
            parse(text)
        );
    }
}

#[test]
fn requests_that_are_right() {
    for (text, method, target, old, headers) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/", false, 1),
        (
            "GET http://a/b?c HTTP/1.0\r\n\r\n",
            "GET",
            "http://a/b?c",
            true,
            0,
        ),
        (
            "CONNECT  HTTP/1.1\r\nHost: \r\n\r\n",
            "CONNECT",
            "",
            false,
            1,
        ),
        (
            "M-SEARCH * HTTP/1.1\r\nA:b\r\nC:\t d \r\n\r\nrest",
            "M-SEARCH",
            "*",
            false,
            2,
        ),
        ("GET /\u{e9} HTTP/1.1\r\n\r\n", "GET", "/\u{e9}", false, 0),
    ] {
        let expected = (method.into(), target.into(), old, headers);
        assert_eq!(parse(text), Ok(expected), "{text:?}");
    }
}

#[test]
fn a_head_is_found_however_it_is_cut() {
    let text = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
    for step in 1..text.len() {
        let mut scan = RequestScan::default();
        let mut found = None;
        for end in (step..text.len() + step).step_by(step) {
            found = scan.find(&text[..end.min(text.len())]).unwrap();
            if found.is_some() {
                break;
            }
        }
        assert_eq!(found, Some(text.len() - 4), "{step}");
    }
}

#[test]
fn what_cannot_become_a_request_is_refused_at_once() {
    for start in [
        &b"\x16\x03\x01"[..],
        b"g",
        b"GETGETGETGETGETGETGETGETGETGETGETGET",
        b"A\n",
    ] {
        assert!(RequestScan::default().find(start).is_err(), "{start:?}");
    }
    assert_eq!(RequestScan::default().find(b"CONN"), Ok(None));
}

#[test]
fn large_heads_are_refused_before_they_end() {
    let mut long = b"GET / HTTP/1.1\r\nX: ".to_vec();
    long.resize(MAX_HEAD + 1, b'a');
    assert_eq!(RequestScan::default().find(&long), Err(HeadError::TooLarge));
    assert_eq!(
        ResponseScan::default().find(&long),
        Err(HeadError::TooLarge)
    );
    let many = format!(
        "GET / HTTP/1.1\r\n{}\r\n",
        "A: b\r\n".repeat(MAX_HEADERS + 1)
    );
    assert_eq!(parse(&many), Err(HeadError::TooLarge));
}

#[test]
fn responses_are_read_leniently() {
    for (text, status, reason, old, headers) in [
        ("HTTP/1.1 200 OK\r\nA: b\r\n\r\n", 200, "OK", false, 1),
        ("HTTP/1.0 404\r\n\r\n", 404, "", true, 0),
        ("HTTP/1.1 200 OK\nA: b\n\n", 200, "OK", false, 1),
        (
            "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nD : e\r\n\r\n",
            200,
            "OK",
            false,
            2,
        ),
    ] {
        let bytes = text.as_bytes();
        let end = ResponseScan::default().find(bytes).unwrap().unwrap();
        assert_eq!(end, bytes.len());
        let mut room = room();
        let head = ResponseHead::parse(bytes, &mut room).unwrap();
        assert_eq!(
            (head.status, head.reason, head.old, head.headers.len()),
            (status, reason, old, headers),
            "{text:?}"
        );
    }
    for text in [
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "SSH-2.0-x\r\n\r\n",
    ] {
        let mut room = room();
        assert!(
            ResponseHead::parse(text.as_bytes(), &mut room).is_err(),
            "{text:?}"
        );
    }
}

#[test]
fn lists_are_searched_by_item() {
    let headers = [
        Header {
            name: "connection",
            value: b"keep-alive, Upgrade",
        },
        Header {
            name: "Connection",
            value: b" TE ",
        },
    ];
    assert!(lists(&headers, "Connection", "upgrade"));
    assert!(lists(&headers, "Connection", "te"));
    assert!(!lists(&headers, "Connection", "close"));
    assert_eq!(first(&headers, "CONNECTION"), Some("keep-alive, Upgrade"));
}
