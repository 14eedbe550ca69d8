//! Questions in HTTP requests (RFC 8484).

use std::sync::Arc;

use bytes::Bytes;
use gost_core::{
    error::{Error, Result, Why},
    outbound::Ask,
};
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::{task::AbortHandle, time::Instant};

use crate::{
    DnsError, Server, message,
    way::{LIFE, Way},
};

/// The most bytes that the head of a response may have.
const HEAD: usize = 16 * 1024;

const MEDIA_TYPE: &str = "application/dns-message";

type Body = Full<Bytes>;

/// Asks over HTTP/2 where the server can, otherwise over HTTP/1.1.
#[derive(Default)]
pub(crate) struct Client {
    shared: Mutex<Option<Arc<Shared>>>,
    /// Held by whoever opens the connection, so that all others wait for it. Asynchronous.
    opening: tokio::sync::Mutex<()>,
}

/// A connection over HTTP/2, which takes many questions at once.
struct Shared {
    sender: http2::SendRequest<Body>,
    born: Instant,
    _task: Task,
}

/// Ends a task when it is dropped.
struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Takes a connection out of use when a question over it was given up or failed: it may be dead.
struct Doubt<'a> {
    client: &'a Client,
    shared: &'a Arc<Shared>,
    settled: bool,
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        let mut slot = self.client.shared.lock();
        if !self.settled
            && slot
                .as_ref()
                .is_some_and(|now| Arc::ptr_eq(now, self.shared))
        {
            *slot = None;
        }
    }
}

impl Client {
    pub(crate) async fn exchange(
        &self,
        way: &Way,
        server: &Server,
        question: &[u8],
        ask: &Ask,
    ) -> Result<Bytes> {
        // The same question is the same request, which caches on the way can answer.
        let mut body = question.to_vec();
        body.iter_mut().take(2).for_each(|byte| *byte = 0);
        let body = Bytes::from(body);
        let mut answer = loop {
            match self.connection(way, ask).await? {
                Connection::Shared(shared, is_new) => {
                    let answer = self.over(&shared, request(server, &body, true)?).await;
                    // It had ended before the question came.
                    if answer.is_err() && !is_new && shared.sender.is_closed() {
                        continue;
                    }
                    break answer?;
                }
                Connection::Own(sender, _task) => {
                    break own(sender, request(server, &body, false)?).await?;
                }
            }
        };
        message::check(&answer, &body)?;
        answer[..2].copy_from_slice(&question[..2]);
        Ok(answer.into())
    }

    async fn over(&self, shared: &Arc<Shared>, request: Request<Body>) -> Result<Vec<u8>> {
        let mut doubt = Doubt {
            client: self,
            shared,
            settled: false,
        };
        let response = shared.sender.clone().send_request(request).await;
        let answer = read(response.map_err(failed)?).await;
        doubt.settled = answer.is_ok();
        answer
    }

    fn usable(&self) -> Option<Arc<Shared>> {
        let slot = self.shared.lock();
        let usable =
            |shared: &&Arc<Shared>| !shared.sender.is_closed() && shared.born.elapsed() < LIFE;
        slot.as_ref().filter(usable).cloned()
    }

    async fn connection(&self, way: &Way, ask: &Ask) -> Result<Connection> {
        if let Some(shared) = self.usable() {
            return Ok(Connection::Shared(shared, false));
        }
        let _opening = self.opening.lock().await;
        if let Some(shared) = self.usable() {
            return Ok(Connection::Shared(shared, false));
        }
        let (stream, meta) = way.stream(ask).await?.into_stream()?;
        let alpn = meta.tls.as_ref().and_then(|tls| tls.alpn.as_deref());
        let io = TokioIo::new(stream);
        if alpn == Some("h2") {
            let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_header_list_size(HEAD as u32)
                .handshake(io)
                .await
                .map_err(failed)?;
            // How it ends is what the questions are told.
            let task = tokio::spawn(async { connection.await.unwrap_or_default() });
            let shared = Arc::new(Shared {
                sender,
                born: Instant::now(),
                _task: Task(task.abort_handle()),
            });
            *self.shared.lock() = Some(shared.clone());
            return Ok(Connection::Shared(shared, true));
        }
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD)
            .handshake(io)
            .await
            .map_err(failed)?;
        let task = tokio::spawn(async { connection.await.unwrap_or_default() });
        Ok(Connection::Own(sender, Task(task.abort_handle())))
    }
}

enum Connection {
    /// One of HTTP/2, and whether it is new.
    Shared(Arc<Shared>, bool),
    /// One of HTTP/1.1, for this question alone.
    Own(http1::SendRequest<Body>, Task),
}

async fn own(mut sender: http1::SendRequest<Body>, request: Request<Body>) -> Result<Vec<u8>> {
    read(sender.send_request(request).await.map_err(failed)?).await
}

/// A request for HTTP/2, with the whole URL, or for HTTP/1.1.
fn request(server: &Server, body: &Bytes, whole: bool) -> Result<Request<Body>> {
    let uri = if whole {
        let uri = Uri::builder().scheme("https").authority(server.authority());
        uri.path_and_query(server.path()).build()
    } else {
        Uri::builder().path_and_query(server.path()).build()
    };
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(uri.map_err(unsendable)?)
        .header(header::CONTENT_TYPE, MEDIA_TYPE)
        .header(header::ACCEPT, MEDIA_TYPE);
    if !whole {
        request = request.header(header::HOST, server.authority());
    }
    request.body(Full::new(body.clone())).map_err(unsendable)
}

async fn read(response: http::Response<Incoming>) -> Result<Vec<u8>> {
    if response.status() != StatusCode::OK {
        return Err(DnsError::Status(response.status().as_u16()).into());
    }
    let body = Limited::new(response.into_body(), message::MOST);
    match body.collect().await {
        Ok(body) => Ok(body.to_bytes().to_vec()),
        Err(error) if error.is::<LengthLimitError>() => Err(DnsError::TooLong.into()),
        Err(error) => Err(Error::new(Why::Closed, format!("http: {error}"))),
    }
}

fn failed(error: hyper::Error) -> Error {
    let why = if error.is_timeout() {
        Why::TimedOut
    } else if error.is_parse() {
        Why::BadInput
    } else {
        Why::Closed
    };
    Error::new(why, "http").caused_by(error)
}

/// The parts of a request were checked when the server's URL was read.
fn unsendable(error: http::Error) -> Error {
    Error::new(Why::BadInput, "http").caused_by(error)
}
