//! The response of a server, and what may be wrong with one.

use thiserror::Error;

use super::{Headers, Key, MAX_HEADERS, accept, has_token, is_too_long, request::line, value};

/// A response as a server sends it, but for the answer to the key.
#[derive(Clone, Debug, Default)]
pub struct Response {
    headers: Headers,
}

impl Response {
    /// A response with header lines beside its own.
    pub const fn new(headers: Headers) -> Self {
        Self { headers }
    }

    /// The head that answers a key.
    pub fn encode(&self, key: &Key) -> String {
        let mut head = String::from("HTTP/1.1 101 Switching Protocols\r\n");
        line(&mut head, "Upgrade", "websocket");
        line(&mut head, "Connection", "Upgrade");
        line(&mut head, "Sec-WebSocket-Accept", &accept(key));
        for (name, value) in self.headers.lines() {
            line(&mut head, name, value);
        }
        head + "\r\n"
    }
}

/// What is wrong with a response.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ResponseError {
    /// It is not a response of HTTP/1.
    #[error("no response of HTTP/1")]
    Malformed,
    /// Its head has more bytes or lines than are taken.
    #[error("the header of the response is too large")]
    TooLarge,
    /// It has status 101, but this is amiss.
    #[error("the server switched protocols, but {0}")]
    Upgrade(&'static str),
    /// It has another status.
    #[error("the server answered {status} {reason}")]
    Refused {
        /// The status.
        status: u16,
        /// The words that stand beside it, as far as they can be printed.
        reason: String,
        /// The length of the head; a body may follow.
        length: usize,
        /// The bytes of the body, if it says so.
        body: Option<usize>,
    },
}

/// A response that agrees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// Its length; what follows are frames.
    pub length: usize,
}

impl ResponseHead {
    /// Reads the response to a request with `key` from the start of `bytes`; `None` while it is
    /// incomplete.
    pub fn parse(bytes: &[u8], key: &Key) -> Result<Option<Self>, ResponseError> {
        let mut lines = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut lines);
        let length = match response.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if is_too_long(bytes) => {
                return Err(ResponseError::TooLarge);
            }
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(ResponseError::TooLarge),
            Err(_) => return Err(ResponseError::Malformed),
        };
        let headers = &*response.headers;
        let status = response.code.unwrap_or_default();
        if status != 101 {
            let reason = response.reason.unwrap_or_default();
            let body = value(headers, "Content-Length");
            return Err(ResponseError::Refused {
                status,
                reason: reason.chars().filter(|c| !c.is_control()).collect(),
                length,
                body: body.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok()),
            });
        }
        let amiss = if !has_token(headers, "Upgrade", b"websocket") {
            "Upgrade does not say websocket"
        } else if !has_token(headers, "Connection", b"upgrade") {
            "Connection does not say upgrade"
        } else if value(headers, "Sec-WebSocket-Accept") != Some(accept(key).as_bytes()) {
            "Sec-WebSocket-Accept does not answer the key"
        } else if value(headers, "Sec-WebSocket-Extensions").is_some_and(|v| !v.is_empty()) {
            "it uses an extension that was not asked for"
        } else {
            return Ok(Some(Self { length }));
        };
        Err(ResponseError::Upgrade(amiss))
    }
}
