//! A request as the proxy understands it, and as it is passed on.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::BytesMut;
use gost_core::{addr::Addr, policy::Credentials};
use thiserror::Error;

use crate::{
    body::{BodyError, Framing, of_request},
    head::{HeadError, Header, RequestHead, first, lists, room, values},
    target::{Form, address, is_plain_host, reveal},
};

/// Why a request is refused before it is looked at any further.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum RequestError {
    #[error(transparent)]
    Head(#[from] HeadError),
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error("more than one Host")]
    Hosts,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A tunnel of bytes.
    Connect,
    /// A tunnel of datagrams.
    Udp,
    /// A request to be passed on.
    Forward,
}

/// A request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) kind: Kind,
    pub(crate) method: String,
    /// Where it goes; `None` when it says nothing that the proxy could reach.
    pub(crate) target: Option<Addr>,
    /// The host in the request target itself, empty when it has none.
    pub(crate) host: String,
    /// Empty ones when there are none.
    pub(crate) credentials: Credentials,
    pub(crate) framing: Framing,
    /// True for HTTP/1.0.
    pub(crate) old: bool,
    /// True when the client may send another request on the connection.
    pub(crate) keep: bool,
    /// The protocol that the client would like to change to.
    pub(crate) upgrade: Option<String>,
    /// True when the client expects to be told about the connection to the proxy.
    pub(crate) proxy_keep_alive: bool,
    /// The head as it was sent.
    raw: BytesMut,
    /// What the `Host` line of the forwarded request says.
    authority: String,
    /// True when the request target has no host.
    relative: bool,
}

/// What to say of the connection in a request that is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connection {
    /// What the client said; the target is to take the client over.
    AsSent,
    /// That it may be kept.
    Keep,
    /// That it is to be closed.
    Close,
}

/// Header lines that are about the proxy. Source: `protocols.md` 2.
const FOR_PROXY: [&str; 5] = [
    "Proxy-Authorization",
    "Proxy-Connection",
    "Gost-Target",
    "X-Gost-Target",
    "Gost-Record",
];

impl Request {
    /// Reads a complete head. `token` marks requests that were passed on without a host of their
    /// own: one that comes back has gone in a circle, and leads nowhere.
    pub(crate) fn parse(raw: BytesMut, token: &str) -> Result<Self, RequestError> {
        let mut room = room();
        let head = RequestHead::parse(&raw, &mut room)?;
        let headers = head.headers;
        let framing = of_request(headers, head.old)?;
        if values(headers, "Host").nth(1).is_some() {
            return Err(RequestError::Hosts);
        }
        let form = Form::parse(head.method, head.target);
        let named = match form {
            Form::Authority("") | Form::Origin(_) => first(headers, "Host").unwrap_or_default(),
            Form::Authority(authority) | Form::Absolute(authority, _) => authority,
            Form::Other => "",
        };
        let revealed = ["X-Gost-Target", "Gost-Target"]
            .into_iter()
            .find_map(|name| reveal(first(headers, name)?));
        let authority = revealed.unwrap_or_else(|| named.to_owned());
        let relative = matches!(form, Form::Origin(_));
        let circle = relative && lists(headers, LOOP, token);
        let target = match form {
            Form::Other => None,
            _ if circle => None,
            Form::Origin(_) if !address(named).as_ref().is_some_and(is_plain_host) => None,
            _ => address(&authority),
        };
        let host = match form {
            Form::Authority(host) | Form::Absolute(host, _) => address(host),
            Form::Origin(_) | Form::Other => None,
        };
        let asks =
            |item| lists(headers, "Connection", item) || lists(headers, "Proxy-Connection", item);
        let kind = match head.method {
            "CONNECT" if first(headers, "X-Gost-Protocol") == Some("udp") => Kind::Udp,
            "CONNECT" => Kind::Connect,
            _ => Kind::Forward,
        };
        Ok(Self {
            kind,
            method: head.method.to_owned(),
            target,
            host: host.map(|host| host.host()).unwrap_or_default(),
            credentials: credentials(headers).unwrap_or_default(),
            framing: if kind == Kind::Forward {
                framing
            } else {
                Framing::EMPTY
            },
            old: head.old,
            keep: if head.old {
                asks("keep-alive")
            } else {
                !asks("close")
            },
            upgrade: upgrade(headers).filter(|_| !head.old),
            proxy_keep_alive: lists(headers, "Proxy-Connection", "keep-alive"),
            relative,
            authority,
            raw,
        })
    }

    /// The head as it was sent.
    pub(crate) fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// True when it may be sent again without harm.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.framing == Framing::EMPTY
            && matches!(&*self.method, "GET" | "HEAD" | "OPTIONS" | "TRACE")
    }

    /// The head as the target is to see it: a path alone, one `Host` line that names the target,
    /// nothing that was for the proxy. All other lines keep their order and spelling.
    pub(crate) fn forwarded(&self, connection: Connection, token: &str) -> Vec<u8> {
        let mut room = room();
        // It was read before, so it can be read again.
        let Ok(head) = RequestHead::parse(&self.raw, &mut room) else {
            return Vec::new();
        };
        let mut out = Vec::with_capacity(self.raw.len() + 64);
        let line = |out: &mut Vec<u8>, name: &str, value: &[u8]| {
            for part in [name.as_bytes(), b": ", value, b"\r\n"] {
                out.extend_from_slice(part);
            }
        };
        out.extend_from_slice(head.method.as_bytes());
        out.push(b' ');
        match Form::parse(head.method, head.target) {
            Form::Absolute(_, "") if head.method == "OPTIONS" => out.push(b'*'),
            Form::Absolute(_, path) => {
                if !path.starts_with('/') {
                    out.push(b'/');
                }
                out.extend_from_slice(path.as_bytes());
            }
            _ => out.extend_from_slice(head.target.as_bytes()),
        }
        out.extend_from_slice(b" HTTP/1.1\r\n");
        if values(head.headers, "Host").next().is_none() {
            line(&mut out, "Host", self.authority.as_bytes());
        }
        let mut length = false;
        for header in head.headers {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            if FOR_PROXY.into_iter().any(is) {
                continue;
            }
            if connection != Connection::AsSent && (is("Connection") || is("Keep-Alive")) {
                continue;
            }
            if is("Host") {
                line(&mut out, header.name, self.authority.as_bytes());
            } else if is("Content-Length") {
                // Several that agree become one.
                if let Framing::Length(n) = self.framing
                    && !std::mem::replace(&mut length, true)
                {
                    line(&mut out, header.name, n.to_string().as_bytes());
                }
            } else {
                line(&mut out, header.name, header.value);
            }
        }
        if connection != Connection::AsSent {
            if self.upgrade.is_some() {
                line(&mut out, "Connection", b"Upgrade");
            } else if connection == Connection::Close {
                line(&mut out, "Connection", b"close");
            }
            if self.relative {
                line(&mut out, LOOP, token.as_bytes());
            }
        }
        out.extend_from_slice(b"\r\n");
        out
    }
}

/// Where proxies leave a mark to recognise requests that come back. Source: RFC 8586.
const LOOP: &str = "CDN-Loop";

/// The user and password of the first `Proxy-Authorization` line. The scheme is `Basic` in this
/// very spelling, as the original has it.
fn credentials(headers: &[Header<'_>]) -> Option<Credentials> {
    let encoded = first(headers, "Proxy-Authorization")?.strip_prefix("Basic ")?;
    let pair = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (username, password) = pair.split_once(':')?;
    Some(Credentials {
        username: username.to_owned(),
        password: password.to_owned(),
    })
}

/// The protocol that a message wants to change to.
pub(crate) fn upgrade(headers: &[Header<'_>]) -> Option<String> {
    if !lists(headers, "Connection", "Upgrade") {
        return None;
    }
    first(headers, "Upgrade").map(str::to_owned)
}

#[cfg(test)]
mod tests;
