//! Fetching configurations from URLs.

use std::time::Duration;

use gost_config::{Fetched, MAX_FETCHED};

/// How long everything may take, from the name to the last byte.
const PATIENCE: Duration = Duration::from_secs(30);

/// The document at an `http` or `https` URL; the error is a reason without the URL.
pub(crate) fn fetch(url: &str) -> Result<Fetched, String> {
    // One byte more than allowed, so that the reader sees that it is too much.
    let page = gost_loader::get(url, PATIENCE, MAX_FETCHED + 1)?;
    Ok(Fetched {
        content_type: page.content_type,
        body: page.body,
    })
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader, Write as _},
        net::TcpListener,
        thread,
    };

    use super::*;

    /// Answers requests with these texts, one each, and gives the heads of the requests.
    fn server(answers: Vec<String>) -> (u16, thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let thread = thread::spawn(move || {
            let mut heads = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().expect("a client");
                let lines = BufReader::new(stream.try_clone().expect("a socket")).lines();
                let head = lines.map_while(Result::ok).take_while(|l| !l.is_empty());
                heads.push(head.collect::<Vec<_>>().join("\n"));
                // The client may have seen enough.
                let _ = stream.write_all(answer.as_bytes());
            }
            heads
        });
        (port, thread)
    }

    fn ok(body: &str) -> String {
        let length = body.len();
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/yaml\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    }

    #[test]
    fn a_document_is_fetched_with_the_credentials_of_the_url() {
        let (port, server) = server(vec![ok("services: []")]);
        let fetched = fetch(&format!("http://al:s%40cret@127.0.0.1:{port}/a.yaml")).expect("ok");
        assert_eq!(fetched.body, b"services: []");
        assert_eq!(fetched.content_type.as_deref(), Some("text/yaml"));
        let head = server.join().expect("no panic").concat().to_lowercase();
        assert!(head.starts_with("get /a.yaml http/1.1"), "{head}");
        // al:s@cret
        assert!(head.contains("authorization: basic yww6c0bjcmv0"), "{head}");
    }

    #[test]
    fn redirects_are_followed_and_other_statuses_are_errors() {
        let to = |place: &str| {
            format!(
                "HTTP/1.1 302 Found\r\nLocation: {place}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
        };
        let (port, _server) = server(vec![to("/b"), ok("b")]);
        let fetched = fetch(&format!("http://127.0.0.1:{port}/a")).expect("ok");
        assert_eq!(fetched.body, b"b");
        let missing = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned();
        let (port, _server) = server(vec![missing]);
        let error = fetch(&format!("http://u:secret@127.0.0.1:{port}/a")).expect_err("404");
        assert_eq!(error, "status 404 Not Found");
    }

    #[test]
    fn too_much_is_cut_off_where_the_reader_sees_it() {
        let (port, _server) = server(vec![ok(&"x".repeat(MAX_FETCHED + 100))]);
        let fetched = fetch(&format!("http://127.0.0.1:{port}/a")).expect("ok");
        assert_eq!(fetched.body.len(), MAX_FETCHED + 1);
    }

    #[test]
    fn errors_do_not_tell_the_password() {
        for url in [
            "http://u:secret@127.0.0.1:1/",
            "http://u:secret@/",
            "https://u:secret@127.0.0.1:1/",
        ] {
            let error = fetch(url).expect_err("nobody is there");
            assert!(!error.contains("secret") && !error.is_empty(), "{error}");
        }
    }
}
