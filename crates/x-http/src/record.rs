//! What a recorder is told of a request and its answer.

use std::{collections::BTreeMap, net::IpAddr};

use bytes::Bytes;
use gost_core::{
    record::{HttpDetails, HttpMessage, Mode},
    session::Session,
};

use crate::{
    body::{Body, Framing},
    head::{Header, RequestHead, ResponseHead, first, room},
    refusal::is_anonymous,
    request::Request,
};

/// The most that is kept of the sizes between the chunks of a body, beside what is in them.
const BETWEEN: usize = 16 * 1024;

/// Keeps the beginning of a body that passes by.
#[derive(Debug, Default)]
pub(crate) struct Tap {
    limit: usize,
    bytes: Vec<u8>,
    /// What is kept is without chunks.
    plain: bool,
}

impl Tap {
    fn new(limit: usize) -> Self {
        let limit = if limit == 0 { 0 } else { limit + BETWEEN };
        Self {
            limit,
            ..Self::default()
        }
    }

    /// Keeps what there still is room for.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        let room = self.limit.saturating_sub(self.bytes.len());
        if room > 0 {
            self.bytes
                .extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }

    /// From here on chunks come without their sizes.
    pub(crate) const fn unchunked(&mut self) {
        self.plain = true;
    }

    /// What was in the body; `None` for nothing.
    fn body(&self, framing: Framing, limit: usize) -> Option<Bytes> {
        let mut kept = Vec::new();
        let mut rest = &*self.bytes;
        let framing = if self.plain {
            Framing::UntilClose
        } else {
            framing
        };
        let mut body = Body::new(framing);
        while !rest.is_empty() && !body.is_done() && kept.len() < limit {
            // What breaks off or makes no sense was kept as far as it did.
            let Ok(piece) = body.next_piece(rest) else {
                break;
            };
            let (bytes, after) = rest.split_at(piece.len);
            if piece.payload {
                kept.extend_from_slice(bytes);
            }
            rest = after;
        }
        kept.truncate(limit);
        (!kept.is_empty()).then(|| kept.into())
    }
}

/// What is seen of an exchange, where somebody wants to know.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) request: Tap,
    pub(crate) response: Tap,
    pub(crate) answer: Answer,
}

/// The head of a response.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    wanted: bool,
    head: Option<(u16, HttpMessage, Framing)>,
}

impl Answer {
    /// Notes the head of the last response.
    pub(crate) fn note(&mut self, head: &[u8], framing: Framing) {
        if !self.wanted {
            return;
        }
        let mut room = room();
        if let Ok(head) = ResponseHead::parse(head, &mut room) {
            let message = message(head.headers, framing);
            self.head = Some((head.status, message, framing));
        }
    }
}

impl Seen {
    /// Looks at what the session wants to know.
    pub(crate) fn of(session: &mut Session) -> Self {
        let Some(details) = session.details() else {
            return Self::default();
        };
        let limit = match details.mode {
            Mode::Full => details.body_limit,
            Mode::Headers | Mode::Off => 0,
        };
        Self {
            request: Tap::new(limit),
            response: Tap::new(limit),
            answer: Answer {
                wanted: true,
                head: None,
            },
        }
    }

    /// Tells the session what was seen.
    pub(crate) fn tell(self, session: &mut Session, asked: Framing) {
        let Some(details) = session.details() else {
            return;
        };
        let limit = details.body_limit;
        let Some(http) = &mut details.http else {
            return;
        };
        http.request.body = self.request.body(asked, limit);
        if let Some((status, mut message, framing)) = self.answer.head {
            message.body = self.response.body(framing, limit);
            http.status = status;
            http.response = message;
        }
    }
}

/// Tells the session of a request.
pub(crate) fn describe(request: &Request, session: &mut Session) {
    let Some(details) = session.details() else {
        return;
    };
    let mut room = room();
    // It was read before, so it can be read again.
    let Ok(head) = RequestHead::parse(request.raw(), &mut room) else {
        return;
    };
    let header = |name| first(head.headers, name).unwrap_or_default();
    details.proto = "http";
    details.mode = Mode::parse(header("Gost-Record"));
    details.client_ip = client_ip(head.headers);
    details.http = Some(Box::new(HttpDetails {
        host: match header("Host") {
            "" => head.target.to_owned(),
            host => host.to_owned(),
        },
        method: head.method.to_owned(),
        proto: if head.old { "HTTP/1.0" } else { "HTTP/1.1" }.to_owned(),
        scheme: "http".to_owned(),
        uri: head.target.to_owned(),
        status: 0,
        request: message(head.headers, request.framing),
        response: HttpMessage::default(),
    }));
}

/// Tells the session what the proxy itself has answered, if there is no other answer.
pub(crate) fn answered(status: u16, agent: &str, session: &mut Session) {
    let http = session.details().and_then(|details| details.http.as_mut());
    if let Some(http) = http.filter(|http| http.status == 0 && status > 0) {
        http.status = status;
        if !is_anonymous(status) {
            let agent = ("Proxy-Agent".to_owned(), vec![agent.to_owned()]);
            http.response.header = Some([agent].into());
        }
    }
}

/// The client as another proxy before this one has named it. Names as of the original.
fn client_ip(headers: &[Header<'_>]) -> String {
    let named = ["CF-Connecting-IP", "X-Forwarded-For", "X-Real-Ip"]
        .iter()
        .find_map(|name| first(headers, name).filter(|value| !value.is_empty()));
    let ip = named.and_then(|named| named.split(',').next()?.trim().parse::<IpAddr>().ok());
    ip.map(|ip| ip.to_string()).unwrap_or_default()
}

/// A message without its body. Passwords are nothing to be recorded, and the host stands elsewhere.
fn message(headers: &[Header<'_>], framing: Framing) -> HttpMessage {
    let mut map: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for header in headers {
        let name = canonical(header.name);
        if !matches!(&*name, "Host" | "Proxy-Authorization" | "Gost-Record") {
            let value = String::from_utf8_lossy(header.value).trim().to_owned();
            map.entry(name).or_default().push(value);
        }
    }
    HttpMessage {
        length: match framing {
            Framing::Length(length) => i64::try_from(length).unwrap_or(i64::MAX),
            Framing::Chunked | Framing::UntilClose => -1,
        },
        header: Some(map),
        body: None,
    }
}

/// `Content-Type`, whatever was sent.
fn canonical(name: &str) -> String {
    let mut first = true;
    name.chars()
        .map(|c| {
            let upper = std::mem::replace(&mut first, c == '-');
            if upper {
                c.to_ascii_uppercase()
            } else {
                c.to_ascii_lowercase()
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_taken_off_what_is_kept() {
        let mut tap = Tap::new(8);
        for piece in ["5\r\nhel", "lo\r\n6\r\n wo", "rld\r\n0\r\n\r\n"] {
            tap.take(piece.as_bytes());
        }
        let kept = tap.body(Framing::Chunked, 8);
        assert_eq!(kept.as_deref(), Some(&b"hello wo"[..]));
        let mut tap = Tap::new(0);
        tap.take(b"abc");
        assert_eq!(tap.body(Framing::Length(3), 0), None);
        let mut tap = Tap::new(10);
        tap.unchunked();
        tap.take(b"abc");
        assert_eq!(tap.body(Framing::Chunked, 10).as_deref(), Some(&b"abc"[..]));
    }

    #[test]
    fn no_password_is_kept() {
        let raw = "GET http://a/ HTTP/1.1\r\nhost: a\r\nPROXY-authorization: Basic dTpw\r\n\
                   x-forwarded-for: 10.0.0.1, 10.0.0.2\r\nuser-AGENT: x\r\nA: 1\r\na: 2\r\n\r\n";
        let mut room = room();
        let head = RequestHead::parse(raw.as_bytes(), &mut room).unwrap();
        let header = message(head.headers, Framing::EMPTY).header.unwrap();
        let names: Vec<_> = header.keys().map(String::as_str).collect();
        assert_eq!(names, ["A", "User-Agent", "X-Forwarded-For"]);
        assert_eq!(header["A"], ["1", "2"]);
        assert_eq!(client_ip(head.headers), "10.0.0.1");
    }
}
