use super::*;

fn parse(text: &str) -> Result<Request, RequestError> {
    Request::parse(BytesMut::from(text), "tok")
}

fn forwarded(text: &str, connection: Connection) -> String {
    String::from_utf8(parse(text).unwrap().forwarded(connection, "tok")).unwrap()
}

#[test]
fn what_a_request_asks_for() {
    for (text, kind, target, keep) in [
        (
            "CONNECT a:1 HTTP/1.1\r\nHost: b\r\n\r\n",
            Kind::Connect,
            "a:1",
            true,
        ),
        ("CONNECT a HTTP/1.1\r\n\r\n", Kind::Connect, "a:80", true),
        (
            "CONNECT  HTTP/1.1\r\nHost: \r\nX-Gost-Protocol: udp\r\n\r\n",
            Kind::Udp,
            "",
            true,
        ),
        (
            "CONNECT  HTTP/1.1\r\nHost: a:1\r\n\r\n",
            Kind::Connect,
            "a:1",
            true,
        ),
        (
            "CONNECT :1 HTTP/1.1\r\nHost: :1\r\n\r\n",
            Kind::Connect,
            "",
            true,
        ),
        (
            "CONNECT /a HTTP/1.1\r\nHost: b\r\n\r\n",
            Kind::Connect,
            "",
            true,
        ),
        (
            "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n",
            Kind::Forward,
            "a:80",
            true,
        ),
        (
            "GET /x HTTP/1.1\r\nHost: b:8\r\n\r\n",
            Kind::Forward,
            "b:8",
            true,
        ),
        ("GET /x HTTP/1.1\r\n\r\n", Kind::Forward, "", true),
        (
            "GET /x HTTP/1.1\r\nHost: [::1]:8\r\n\r\n",
            Kind::Forward,
            "[::1]:8",
            true,
        ),
        (
            "GET /x HTTP/1.1\r\nHost: bad!\r\n\r\n",
            Kind::Forward,
            "",
            true,
        ),
        (
            "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
            Kind::Forward,
            "",
            true,
        ),
        (
            "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n",
            Kind::Forward,
            "",
            true,
        ),
        (
            "GET /x HTTP/1.1\r\nHost: b\r\ncdn-loop: a, tok\r\n\r\n",
            Kind::Forward,
            "",
            true,
        ),
        (
            "GET http://a/ HTTP/1.1\r\nConnection: x, Close\r\n\r\n",
            Kind::Forward,
            "a:80",
            false,
        ),
        (
            "GET http://a/ HTTP/1.1\r\nProxy-Connection: close\r\n\r\n",
            Kind::Forward,
            "a:80",
            false,
        ),
        (
            "GET http://a/ HTTP/1.0\r\n\r\n",
            Kind::Forward,
            "a:80",
            false,
        ),
        (
            "GET http://a/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            Kind::Forward,
            "a:80",
            true,
        ),
        (
            "CONNECT decoy.example:1 HTTP/1.1\r\nX-Gost-Target: 7GZA7k1USTNMakF1TUM0eE9qTTJNVEEx\r\n\r\n",
            Kind::Connect,
            "127.0.0.1:36105",
            true,
        ),
        (
            "GET / HTTP/1.1\r\nHost: decoy\r\nGost-Target: tvpOuVpYaGhiWEJzWlM1amIyMA\r\nX-Gost-Target: bad\r\n\r\n",
            Kind::Forward,
            "example.com:80",
            true,
        ),
    ] {
        let request = parse(text).unwrap();
        let found = request
            .target
            .map(|addr| addr.to_string())
            .unwrap_or_default();
        assert_eq!(
            (request.kind, &*found, request.keep),
            (kind, target, keep),
            "{text:?}"
        );
    }
}

#[test]
fn two_hosts_and_two_lengths_are_refused() {
    for text in [
        "GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        assert!(parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn credentials_are_basic_ones() {
    for (line, user, password) in [
        ("Proxy-Authorization: Basic dXNlcjpwYXNz", "user", "pass"),
        (
            "Proxy-Authorization: Basic dXNlcjpwOmE6c3M=",
            "user",
            "p:a:ss",
        ),
        ("Proxy-Authorization: basic dXNlcjpwYXNz", "", ""),
        ("Proxy-Authorization: Basic dXNlcg==", "", ""),
        ("Proxy-Authorization: Basic ???", "", ""),
        ("Authorization: Basic dXNlcjpwYXNz", "", ""),
    ] {
        let request = parse(&format!("GET http://a/ HTTP/1.1\r\n{line}\r\n\r\n")).unwrap();
        let given = request.credentials;
        assert_eq!(
            (&*given.username, &*given.password),
            (user, password),
            "{line}"
        );
    }
}

#[test]
fn forwarded_requests_keep_what_is_not_for_the_proxy() {
    let text = "GET http://u:p@a:1/x?y HTTP/1.0\r\nhOST: other\r\nX-B: 1\r\nproxy-connection: keep-alive\r\n\
                Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nProxy-Authorization: Basic eA==\r\nx-a:  2 \r\n\
                Gost-Record: off\r\nTE: trailers\r\nContent-Length: 3, 3\r\nContent-Length: 3\r\n\r\n";
    assert_eq!(
        forwarded(text, Connection::Close),
        "GET /x?y HTTP/1.1\r\nhOST: a:1\r\nX-B: 1\r\nx-a: 2\r\nTE: trailers\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"
    );
}

#[test]
fn forwarded_request_lines() {
    for (line, expected) in [
        ("GET http://a HTTP/1.1", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (
            "GET http://a?b HTTP/1.1",
            "GET /?b HTTP/1.1\r\nHost: a\r\n\r\n",
        ),
        (
            "OPTIONS http://a:8 HTTP/1.1",
            "OPTIONS * HTTP/1.1\r\nHost: a:8\r\n\r\n",
        ),
        (
            "CONNECT a:1 HTTP/1.1",
            "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
        ),
    ] {
        assert_eq!(
            forwarded(&format!("{line}\r\n\r\n"), Connection::Keep),
            expected
        );
    }
    // A request without a host of its own is marked, so that it can't run in a circle.
    assert_eq!(
        forwarded("GET /x HTTP/1.1\r\nHost: a\r\n\r\n", Connection::Keep),
        "GET /x HTTP/1.1\r\nHost: a\r\nCDN-Loop: tok\r\n\r\n"
    );
}

#[test]
fn an_upgrade_passes() {
    let text = "GET http://a/ HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(parse(text).unwrap().upgrade.as_deref(), Some("websocket"));
    assert_eq!(
        forwarded(text, Connection::Close),
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    );
}
