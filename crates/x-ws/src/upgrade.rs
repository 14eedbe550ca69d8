//! The handshake of both ends.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use bytes::{Buf, Bytes, BytesMut};
use gost_core::prelude::*;
use gost_ws::{
    Role,
    handshake::{Key, Request, RequestHead, Response, ResponseError, ResponseHead},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::{Keepalive, WsOptions, WsStream, entropy, head};

/// How long a refusal, or the body of one, may take.
const REFUSAL: Duration = Duration::from_secs(2);

/// How much of the body of a refusal is shown.
const EXCERPT: usize = 256;

/// How to speak WebSocket.
#[derive(Clone, Debug)]
pub struct Settings {
    path: String,
    host: String,
    request: Request,
    response: Response,
    keepalive: Option<Keepalive>,
    handshake_timeout: Option<Duration>,
    header_timeout: Option<Duration>,
    max_frame: usize,
    half_close: bool,
}

impl Settings {
    /// What the options say.
    ///
    /// # Errors
    /// [`Why::BadInput`] for a header line that can't be sent.
    pub fn new(options: &WsOptions) -> Result<Self> {
        let headers = options.headers()?;
        let path = options.path();
        let some = |wait: Duration| (!wait.is_zero()).then_some(wait);
        Ok(Self {
            request: Request::new(&path, headers.clone()),
            path,
            host: String::new(),
            response: Response::new(headers),
            keepalive: None,
            handshake_timeout: some(options.handshake_timeout),
            header_timeout: some(options.read_header_timeout),
            max_frame: options.write_buffer_size,
            half_close: options.half_close,
        })
    }

    /// As a client, calls the server by this name; empty for the address of the node.
    ///
    /// # Errors
    /// [`Why::BadInput`] for what can't stand in a request as a name with or without a port.
    pub fn with_host(mut self, host: &str) -> Result<Self> {
        let is_name = |c: char| !c.is_whitespace() && !c.is_control() && !"/?#@\\".contains(c);
        if !host.chars().all(is_name) {
            let what = format!("host: {host:?} can't be the name of a server");
            return Err(Error::new(Why::BadInput, what));
        }
        host.clone_into(&mut self.host);
        Ok(self)
    }

    /// As a client, sends pings.
    #[must_use]
    pub const fn with_keepalive(mut self, keepalive: Option<Keepalive>) -> Self {
        self.keepalive = keepalive;
        self
    }
}

/// Turns a connection into a WebSocket, at either end.
#[derive(Debug)]
pub struct WebSocket {
    settings: Settings,
}

impl WebSocket {
    /// Speaks as the settings say.
    pub const fn new(settings: Settings) -> Self {
        Self { settings }
    }

    fn stream(&self, below: Box<dyn Stream>, ahead: &[u8], role: Role) -> WsStream {
        // A copy: the buffer has room for the head, which is over.
        let below = Prefixed::new(Bytes::copy_from_slice(ahead), below);
        WsStream::new(below, role)
            .with_max_frame(self.settings.max_frame)
            .with_half_close(self.settings.half_close)
    }

    async fn accept(&self, conn: Conn) -> Result<Conn> {
        let (mut below, mut meta) = conn.into_stream()?;
        let mut buffer = BytesMut::new();
        let mut refused = None;
        let read = head::read(&mut below, &mut buffer, |bytes| {
            RequestHead::parse(bytes, &self.settings.path).map_err(|refusal| {
                refused = Some(refusal);
                Error::bad_input(format!("WebSocket: {refusal}"))
            })
        });
        let request = match self.settings.header_timeout {
            None => read.await,
            Some(most) => timeout(most, read)
                .await
                .unwrap_or_else(|_| Err(late("no header of a request", most))),
        };
        let request = match request {
            Ok(request) => request,
            Err(error) => {
                if let Some(refusal) = refused {
                    let answer = refusal.encode(&buffer, SystemTime::now());
                    // It is refused whether it listens or not.
                    let _ = timeout(REFUSAL, head::refuse(below, &answer, &mut buffer)).await;
                }
                return Err(error.side(Side::Client));
            }
        };
        let answer = self.settings.response.encode(&request.key);
        below.write_all(answer.as_bytes()).await?;
        below.flush().await?;
        if let Some(ip) = request.client {
            meta.client = Some(SocketAddr::new(ip, 0));
        }
        buffer.advance(request.length);
        Ok(Conn::stream(
            self.stream(below, &buffer, Role::Server),
            *meta,
        ))
    }

    async fn connect(&self, conn: Conn, node: &NodeAddr) -> Result<Conn> {
        let (mut below, meta) = conn.into_stream()?;
        let key = Key::new(entropy::nonce());
        let request = if self.settings.host.is_empty() {
            self.settings.request.encode(&node.host.to_string(), &key)
        } else {
            self.settings.request.encode(&self.settings.host, &key)
        };
        below.write_all(request.as_bytes()).await?;
        below.flush().await?;
        let mut buffer = BytesMut::new();
        let mut refused = None;
        let read = head::read(&mut below, &mut buffer, |bytes| {
            ResponseHead::parse(bytes, &key).map_err(|error| {
                let text = format!("WebSocket: {error}");
                let why = why(&error);
                refused = Some(error);
                Error::new(why, text)
            })
        });
        let response = match read.await {
            Ok(response) => response,
            Err(error) => {
                return Err(match refused {
                    Some(ResponseError::Refused { length, body, .. }) => {
                        buffer.advance(length);
                        let text = excerpt(&mut below, buffer, body).await;
                        Error::new(error.why(), format!("{error}: {text}"))
                    }
                    _ => error,
                });
            }
        };
        buffer.advance(response.length);
        let stream = self
            .stream(below, &buffer, Role::Client)
            .with_keepalive(self.settings.keepalive);
        Ok(Conn::stream(stream, *meta))
    }
}

#[async_trait]
impl gost_core::outbound::Upgrade for WebSocket {
    async fn client(&self, conn: Conn, node: &NodeAddr) -> Result<Conn> {
        self.connect(conn, node).await
    }

    async fn server(&self, conn: Conn) -> Result<Conn> {
        let accept = self.accept(conn);
        match self.settings.handshake_timeout {
            None => accept.await,
            Some(most) => timeout(most, accept)
                .await
                .unwrap_or_else(|_| Err(late("no handshake", most))),
        }
    }
}

fn late(what: &str, most: Duration) -> Error {
    Error::new(Why::TimedOut, format!("WebSocket: {what} within {most:?}")).side(Side::Client)
}

fn why(error: &ResponseError) -> Why {
    match error {
        ResponseError::Refused {
            status: 401 | 407, ..
        } => Why::Auth,
        ResponseError::Refused { status: 403, .. } => Why::Denied,
        ResponseError::Refused { .. } => Why::Refused,
        _ => Why::BadInput,
    }
}

/// The start of a body, as a line of text.
async fn excerpt(below: &mut Box<dyn Stream>, mut buffer: BytesMut, body: Option<usize>) -> String {
    let want = body.unwrap_or(EXCERPT).min(EXCERPT);
    let read = async {
        while buffer.len() < want && below.read_buf(&mut buffer).await? > 0 {}
        std::io::Result::Ok(())
    };
    // What has come so far will do.
    let _ = timeout(REFUSAL, read).await;
    buffer.truncate(want);
    let text = String::from_utf8_lossy(&buffer);
    let words: Vec<_> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .collect();
    let line = words
        .into_iter()
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    if line.is_empty() {
        "no body".to_owned()
    } else {
        line
    }
}
