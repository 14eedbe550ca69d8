//! A response as it is passed on.

use bytes::{BufMut, BytesMut};
use thiserror::Error;

use crate::{
    body::{BodyError, Framing, of_response},
    head::{HeadError, ResponseHead, lists, room},
    request::{Request, upgrade},
};

/// Why a response can't be passed on.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum ResponseError {
    #[error(transparent)]
    Head(#[from] HeadError),
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error("a change to protocol {0:?} that was not asked for")]
    Protocol(String),
}

/// What is to be done with a response whose head was passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) framing: Framing,
    /// The client can't read chunks: it gets what is in them.
    pub(crate) unchunk: bool,
    /// The client may send another request.
    pub(crate) client_keep: bool,
    /// The target takes another request.
    pub(crate) target_keep: bool,
}

impl Response {
    /// True for one that is followed by another to the same request.
    pub(crate) const fn is_interim(&self) -> bool {
        self.status < 200 && self.status != 101
    }
}

/// Reads a complete head and appends it to `out` as the client is to see it: in the client's
/// version, with what is said of the connection being about the client's. `keep` says whether
/// the client's connection may be kept as far as we are concerned.
pub(crate) fn pass_on(
    bytes: &[u8],
    asked: &Request,
    keep: bool,
    out: &mut BytesMut,
) -> Result<Response, ResponseError> {
    let mut room = room();
    let head = ResponseHead::parse(bytes, &mut room)?;
    let status = head.status;
    if status == 101 {
        let to = upgrade(head.headers).unwrap_or_default();
        if !asked
            .upgrade
            .as_ref()
            .is_some_and(|asked| asked.eq_ignore_ascii_case(&to))
        {
            return Err(ResponseError::Protocol(to));
        }
    }
    let framing = of_response(head.headers, status, asked.method == "HEAD")?;
    let unchunk = asked.old && framing == Framing::Chunked;
    let response = Response {
        status,
        framing,
        unchunk,
        client_keep: keep && asked.keep && framing != Framing::UntilClose && !unchunk,
        target_keep: framing != Framing::UntilClose
            && if head.old {
                lists(head.headers, "Connection", "keep-alive")
            } else {
                !lists(head.headers, "Connection", "close")
            },
    };
    out.reserve(bytes.len() + 64);
    out.put_slice(if asked.old {
        b"HTTP/1.0 "
    } else {
        b"HTTP/1.1 "
    });
    out.put_slice(status.to_string().as_bytes());
    out.put_u8(b' ');
    out.put_slice(head.reason.as_bytes());
    out.put_slice(b"\r\n");
    let mut length = false;
    for header in head.headers {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("Connection") || is("Keep-Alive") || is("Proxy-Connection") {
            continue;
        }
        if is("Content-Length") {
            let bodiless = framing == Framing::EMPTY;
            match framing {
                _ if matches!(status, 100..=199 | 204) => {}
                // The length that a body would have had.
                Framing::Length(_) if bodiless => line(out, header.name, header.value),
                // Several that agree become one.
                Framing::Length(n) if !length => {
                    length = true;
                    line(out, header.name, n.to_string().as_bytes());
                }
                _ => {}
            }
        } else if is("Transfer-Encoding") {
            if !unchunk && !matches!(status, 100..=199 | 204) {
                line(out, header.name, header.value);
            }
        } else {
            line(out, header.name, header.value);
        }
    }
    if status == 101 {
        line(out, "Connection", b"Upgrade");
    } else if status >= 200 && !response.client_keep {
        line(out, "Connection", b"close");
    } else if status >= 200 && asked.old {
        line(out, "Connection", b"keep-alive");
    }
    out.put_slice(b"\r\n");
    Ok(response)
}

/// Writes a header line. A folded value becomes one line: RFC 9112, section 5.2.
fn line(out: &mut BytesMut, name: &str, value: &[u8]) {
    out.put_slice(name.as_bytes());
    out.put_slice(b": ");
    let mut parts = value.split(|b| matches!(b, b'\r' | b'\n'));
    out.put_slice(parts.next().unwrap_or_default());
    for part in parts
        .map(<[u8]>::trim_ascii)
        .filter(|part| !part.is_empty())
    {
        out.put_u8(b' ');
        out.put_slice(part);
    }
    out.put_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &str = "GET http://a/ HTTP/1.1\r\n\r\n";
    const OLD: &str = "GET http://a/ HTTP/1.0\r\n\r\n";
    const OLD_KEEP: &str = "GET http://a/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    const HEAD: &str = "HEAD http://a/ HTTP/1.1\r\n\r\n";
    const WS: &str = "GET http://a/ HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

    fn pass(asked: &str, answer: &str) -> Result<(String, Response), ResponseError> {
        let asked = Request::parse(asked.into(), "tok").unwrap();
        let mut out = BytesMut::new();
        let response = pass_on(answer.as_bytes(), &asked, true, &mut out)?;
        Ok((String::from_utf8(out.to_vec()).unwrap(), response))
    }

    #[test]
    fn heads_are_written_for_the_client() {
        for (asked, answer, expected, client_keep, target_keep) in [
            (
                GET,
                "HTTP/1.1 200 OK\r\nx-A: b\r\nContent-Length: 3\r\nConnection: close\r\nKeep-Alive: x\r\n\r\n",
                "HTTP/1.1 200 OK\r\nx-A: b\r\nContent-Length: 3\r\n\r\n",
                true,
                false,
            ),
            (
                GET,
                "HTTP/1.0 200 Fine\r\nContent-Length: 3, 3\r\nContent-Length: 3\r\n\r\n",
                "HTTP/1.1 200 Fine\r\nContent-Length: 3\r\n\r\n",
                true,
                false,
            ),
            (
                GET,
                "HTTP/1.1 200 OK\r\nA: b\r\n  c\r\n\td\r\n\r\n",
                "HTTP/1.1 200 OK\r\nA: b c d\r\nConnection: close\r\n\r\n",
                false,
                false,
            ),
            (
                GET,
                "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                true,
                true,
            ),
            (
                OLD_KEEP,
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\n",
                false,
                true,
            ),
            (
                OLD_KEEP,
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
                "HTTP/1.0 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\n",
                true,
                true,
            ),
            (
                OLD,
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
                "HTTP/1.0 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\n",
                false,
                true,
            ),
            (
                HEAD,
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
                true,
                true,
            ),
            (
                GET,
                "HTTP/1.1 204 No\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
                "HTTP/1.1 204 No\r\n\r\n",
                true,
                true,
            ),
            (
                GET,
                "HTTP/1.1 100 Continue\r\n\r\n",
                "HTTP/1.1 100 Continue\r\n\r\n",
                true,
                true,
            ),
            (
                WS,
                "HTTP/1.1 101 Go\r\nupgrade: WebSocket\r\nconnection: upgrade\r\n\r\n",
                "HTTP/1.1 101 Go\r\nupgrade: WebSocket\r\nConnection: Upgrade\r\n\r\n",
                true,
                true,
            ),
        ] {
            let (text, response) = pass(asked, answer).unwrap();
            assert_eq!(text, expected);
            assert_eq!(
                (response.client_keep, response.target_keep),
                (client_keep, target_keep),
                "{answer:?}"
            );
        }
    }

    #[test]
    fn a_protocol_that_was_not_asked_for_is_refused() {
        for (asked, answer) in [
            (
                GET,
                "HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            ),
            (
                WS,
                "HTTP/1.1 101 Go\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
            ),
            (WS, "HTTP/1.1 101 Go\r\nUpgrade: websocket\r\n\r\n"),
        ] {
            assert!(
                matches!(pass(asked, answer), Err(ResponseError::Protocol(_))),
                "{answer:?}"
            );
        }
    }
}
