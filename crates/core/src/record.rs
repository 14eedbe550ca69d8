//! What only a recorder wants to know of a conversation.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use bytes::Bytes;

use crate::addr::Addr;

/// What only a recorder wants to know of a session.
#[derive(Clone, Debug)]
pub struct Details {
    /// When the session began.
    pub time: SystemTime,
    /// The other end of the client's socket, whoever is behind it.
    pub remote: Addr,
    /// Our address on the connection that was opened.
    pub src: Addr,
    /// The other end of it.
    pub dst: Addr,
    /// The node of the forwarder.
    pub node: Option<Arc<str>>,
    /// The protocol inside, as far as it is known: `http`, ...
    pub proto: &'static str,
    /// The client's address as its request gives it.
    pub client_ip: String,
    /// How many bytes of each body are wanted.
    pub body_limit: usize,
    /// What the client wants to be recorded.
    pub mode: Mode,
    /// A request of HTTP and the answer.
    pub http: Option<Box<HttpDetails>>,
}

/// How much a client wants to be recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Everything.
    #[default]
    Full,
    /// No bodies.
    Headers,
    /// Nothing.
    Off,
}

impl Mode {
    /// By the value of the header `Gost-Record`; what is unknown means everything.
    pub fn parse(text: &str) -> Self {
        if text.eq_ignore_ascii_case("headers") {
            Self::Headers
        } else if text.eq_ignore_ascii_case("off") {
            Self::Off
        } else {
            Self::Full
        }
    }
}

/// A request of HTTP and the answer.
#[derive(Clone, Debug, Default)]
pub struct HttpDetails {
    /// The host that was asked for.
    pub host: String,
    /// The method.
    pub method: String,
    /// `HTTP/1.1`.
    pub proto: String,
    /// `http`.
    pub scheme: String,
    /// The target of the request as it was sent.
    pub uri: String,
    /// The status of the answer; 0 when there was none.
    pub status: u16,
    /// The request.
    pub request: HttpMessage,
    /// The answer.
    pub response: HttpMessage,
}

/// A message of HTTP.
#[derive(Clone, Debug, Default)]
pub struct HttpMessage {
    /// Bytes of the body, -1 when they were not said.
    pub length: i64,
    /// The header: names with a capital at the beginning of each word, and their values.
    pub header: Option<BTreeMap<String, Vec<String>>>,
    /// What was kept of the body.
    pub body: Option<Bytes>,
}
