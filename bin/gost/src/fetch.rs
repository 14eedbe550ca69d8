//! Fetching configurations from URLs.

use std::{io::Read as _, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use gost_config::{Fetched, MAX_FETCHED};
use percent_encoding::percent_decode_str;
use ureq::Agent;

/// How long everything may take, from the name to the last byte.
const PATIENCE: Duration = Duration::from_secs(30);

/// The document at an `http` or `https` URL; the error is a reason without the URL.
pub(crate) fn fetch(url: &str) -> Result<Fetched, String> {
    let (url, authorization) = without_credentials(url);
    let mut request = agent(&url)?.get(&url);
    if let Some(authorization) = authorization {
        request = request.header("Authorization", authorization);
    }
    let mut response = request.call().map_err(|e| e.to_string())?;
    if response.status() != 200 {
        return Err(format!("status {}", response.status()));
    }
    let content_type = response.headers().get("content-type");
    let content_type = content_type
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let mut body = Vec::new();
    // One byte more than allowed, so that the reader sees that it is too much.
    let reader = response.body_mut().as_reader();
    reader
        .take(MAX_FETCHED as u64 + 1)
        .read_to_end(&mut body)
        .map_err(|e| e.to_string())?;
    Ok(Fetched { content_type, body })
}

/// The URL without user and password, and the header that has them instead.
fn without_credentials(url: &str) -> (String, Option<String>) {
    let plain = || (url.to_owned(), None);
    let Some((scheme, rest)) = url.split_once("://") else {
        return plain();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let Some((userinfo, _)) = rest[..end].rsplit_once('@') else {
        return plain();
    };
    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    let pair: Vec<u8> = percent_decode_str(user)
        .chain(*b":")
        .chain(percent_decode_str(password))
        .collect();
    let url = format!("{scheme}://{}", &rest[userinfo.len() + 1..]);
    (url, Some(format!("Basic {}", STANDARD.encode(pair))))
}

fn agent(url: &str) -> Result<Agent, String> {
    let config = Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false);
    let config = if url
        .get(..6)
        .is_some_and(|s| s.eq_ignore_ascii_case("https:"))
    {
        config.tls_config(tls()?)
    } else {
        config
    };
    Ok(config.build().into())
}

/// TLS as everybody does it, with the issuers that the system trusts.
#[cfg(feature = "tls")]
fn tls() -> Result<ureq::tls::TlsConfig, String> {
    use std::sync::Arc;

    use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        return Err("the system has no trusted certificates".to_owned());
    }
    let roots: Vec<_> = found
        .certs
        .iter()
        .map(|certificate| Certificate::from_der(certificate).to_owned())
        .collect();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    Ok(TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .unversioned_rustls_crypto_provider(Arc::new(provider))
        .build())
}

#[cfg(not(feature = "tls"))]
fn tls() -> Result<ureq::tls::TlsConfig, String> {
    Err("this program was built without TLS: use http, or fetch it to a file first".to_owned())
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
