//! The request of a client, and why a server refuses one.

use std::{fmt::Write as _, net::IpAddr, time::SystemTime};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};
use thiserror::Error;

use super::{Headers, Key, MAX_HEADERS, has_token, is_too_long, value};

/// What Go leaves as it is in a path.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b',')
    .remove(b'/')
    .remove(b':')
    .remove(b';')
    .remove(b'=')
    .remove(b'@');

/// The name by which clients introduce themselves, unless told otherwise: that of the original.
const USER_AGENT: &str = "Go-http-client/1.1";

/// A request as a client sends it, but for what differs from one connection to the next.
#[derive(Clone, Debug)]
pub struct Request {
    target: String,
    host: Option<String>,
    user_agent: String,
    headers: Headers,
}

impl Request {
    /// A request for a path. `Host` and `User-Agent` among the headers replace the usual ones.
    ///
    /// The path is encoded, so that a `?` in it does not begin a query.
    pub fn new(path: &str, mut headers: Headers) -> Self {
        let slash = if path.starts_with('/') { "" } else { "/" };
        Self {
            target: format!("{slash}{}", utf8_percent_encode(path, PATH)),
            host: headers.take("Host"),
            user_agent: headers
                .take("User-Agent")
                .unwrap_or_else(|| USER_AGENT.to_owned()),
            headers,
        }
    }

    /// The head for a server called `host`. The lines stand in the order in which the original
    /// sends them.
    pub fn encode(&self, host: &str, key: &Key) -> String {
        let host = self.host.as_deref().unwrap_or(host);
        let mut head = format!("GET {} HTTP/1.1\r\nHost: {host}\r\n", self.target);
        if !self.user_agent.is_empty() {
            line(&mut head, "User-Agent", &self.user_agent);
        }
        let mut own = [
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", key.as_str()),
            ("Sec-WebSocket-Version", "13"),
            ("Upgrade", "websocket"),
        ]
        .into_iter()
        .peekable();
        for (name, value) in self.headers.lines() {
            while let Some((name, value)) = own.next_if(|(own, _)| *own < name) {
                line(&mut head, name, value);
            }
            line(&mut head, name, value);
        }
        for (name, value) in own {
            line(&mut head, name, value);
        }
        head.push_str("\r\n");
        head
    }
}

pub(super) fn line(head: &mut String, name: &str, value: &str) {
    // Writing to a string never fails.
    let _ = write!(head, "{name}: {value}\r\n");
}

/// A request that asks for a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// Its length; what follows are frames.
    pub length: usize,
    /// The key to be answered.
    pub key: Key,
    /// The client as a proxy before us names it: by `CF-Connecting-IP`, the first of
    /// `X-Forwarded-For`, or `X-Real-Ip`. Anybody can write these.
    pub client: Option<IpAddr>,
}

impl RequestHead {
    /// Reads a request for `path` from the start of `bytes`; `None` while it is incomplete.
    ///
    /// A path that ends in `/` stands for everything below it, and a query counts for nothing.
    pub fn parse(bytes: &[u8], path: &str) -> Result<Option<Self>, Refusal> {
        let mut lines = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut lines);
        let length = match request.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if is_too_long(bytes) => return Err(Refusal::TooLarge),
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(Refusal::TooLarge),
            Err(_) => return Err(Refusal::Malformed("not a request of HTTP/1")),
        };
        let headers = &*request.headers;
        let hosts = headers
            .iter()
            .filter(|h| h.name.eq_ignore_ascii_case("Host"))
            .count();
        // Proxies that ask in HTTP/1.0, as nginx does unless told otherwise, are taken too.
        if hosts > 1 || (hosts == 0 && request.version != Some(0)) {
            return Err(Refusal::Malformed("not one Host"));
        }
        if !matches(path, request.path.unwrap_or_default()) {
            return Err(Refusal::Path);
        }
        if !has_token(headers, "Connection", b"upgrade") {
            return Err(Refusal::Upgrade("Connection does not say upgrade"));
        }
        if !has_token(headers, "Upgrade", b"websocket") {
            return Err(Refusal::Upgrade("Upgrade does not say websocket"));
        }
        if request.method != Some("GET") {
            return Err(Refusal::Method);
        }
        if !has_token(headers, "Sec-WebSocket-Version", b"13") {
            return Err(Refusal::Upgrade("Sec-WebSocket-Version is not 13"));
        }
        let key = value(headers, "Sec-WebSocket-Key")
            .and_then(Key::parse)
            .ok_or(Refusal::Upgrade("Sec-WebSocket-Key is not one"))?;
        Ok(Some(Self {
            length,
            key,
            client: client(headers),
        }))
    }
}

/// True when the target of a request is the path, or below it.
fn matches(path: &str, target: &str) -> bool {
    let target = target.split('?').next().unwrap_or_default();
    // The absolute form, which a client may use with any server.
    let target = match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => {
            rest.find('/').map_or("/", |slash| &rest[slash..])
        }
        _ => target,
    };
    let target: Vec<u8> = percent_decode(target.as_bytes()).collect();
    if path.ends_with('/') {
        target.starts_with(path.as_bytes())
    } else {
        target == path.as_bytes()
    }
}

fn client(headers: &[httparse::Header<'_>]) -> Option<IpAddr> {
    let named = ["CF-Connecting-IP", "X-Forwarded-For", "X-Real-Ip"]
        .into_iter()
        .filter_map(|name| value(headers, name))
        .filter_map(|list| list.split(|byte| *byte == b',').next())
        .map(<[u8]>::trim_ascii)
        .find(|first| !first.is_empty())?;
    std::str::from_utf8(named).ok()?.parse().ok()
}

/// Why a server refuses a request.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// It asks for another path.
    #[error("another path was asked for")]
    Path,
    /// It is not a GET.
    #[error("the method is not GET")]
    Method,
    /// It does not ask for a WebSocket that we speak.
    #[error("not a WebSocket request: {0}")]
    Upgrade(&'static str),
    /// It is not a request.
    #[error("malformed request: {0}")]
    Malformed(&'static str),
    /// Its head has more bytes or lines than are taken.
    #[error("the header is too large")]
    TooLarge,
}

impl Refusal {
    /// The answer to a request that begins with these bytes, after which the server closes. It is
    /// what the original answers.
    pub fn encode(self, request: &[u8], now: SystemTime) -> String {
        let (status, body) = match self {
            Self::Path => ("404 Not Found", "404 page not found\n"),
            Self::Method => ("405 Method Not Allowed", "Method Not Allowed\n"),
            Self::Upgrade(_) | Self::Malformed(_) => ("400 Bad Request", "Bad Request\n"),
            Self::TooLarge => (
                "431 Request Header Fields Too Large",
                "Request Header Fields Too Large\n",
            ),
        };
        let mut head = format!("HTTP/1.1 {status}\r\n");
        line(&mut head, "Content-Type", "text/plain; charset=utf-8");
        if matches!(self, Self::Method | Self::Upgrade(_)) {
            line(&mut head, "Sec-Websocket-Version", "13");
        }
        line(&mut head, "X-Content-Type-Options", "nosniff");
        line(&mut head, "Date", &httpdate::fmt_http_date(now));
        line(&mut head, "Content-Length", &body.len().to_string());
        line(&mut head, "Connection", "close");
        head.push_str("\r\n");
        if !request.starts_with(b"HEAD ") {
            head.push_str(body);
        }
        head
    }
}
