//! One request to a target and its response, with both bodies moving at once.

use std::{
    future::pending,
    pin::pin,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use bytes::BytesMut;
use gost_core::error::{Error, Phase, Side, Why};
use tokio::{
    io::{AsyncWriteExt, split},
    sync::Notify,
    time::sleep,
};

use crate::{
    body::Body,
    options::Limits,
    peer::{NoHead, Peer, fill, response_head},
    pump::{PumpError, pump, unchunk},
    record::{Answer, Seen, Tap},
    request::Request,
    response::{Response, ResponseError, pass_on},
};

/// How an exchange ended that brought a response.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The response that was passed on whole; of a 101, its head.
    pub(crate) response: Response,
    /// All of the request was sent, so that both connections are at the start of a message.
    pub(crate) sent: bool,
    /// Bytes of the request and of the response.
    pub(crate) bytes: (u64, u64),
}

/// How an exchange ended that brought none, or not all of it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// The client has seen the beginning of a response: nothing else can be said to it.
    pub(crate) answered: bool,
    /// The target took the connection away without a word, as it may at the end of a keep-alive.
    pub(crate) untouched: bool,
}

/// After a client has ended its direction, how long the response may be silent.
const HALF_CLOSED_IDLE: Duration = Duration::from_mins(2);

/// What both directions know of each other.
#[derive(Default)]
struct Progress {
    up: AtomicU64,
    down: AtomicU64,
    /// The request was sent, or the target takes no more of it.
    over: AtomicBool,
    /// The request was sent whole.
    sent: AtomicBool,
    /// Something came from the target.
    heard: AtomicBool,
    /// The head of the response is on its way to the client.
    answered: AtomicBool,
    /// The client sends no more.
    half_closed: AtomicBool,
    /// One of the above has changed.
    changed: Notify,
}

impl Progress {
    fn set(&self, flag: &AtomicBool) {
        flag.store(true, Relaxed);
        self.changed.notify_one();
    }

    fn moved(&self) -> u64 {
        self.up.load(Relaxed) + self.down.load(Relaxed)
    }

    /// How long nothing may move in the present state, and what to say if it does not.
    fn patience(&self, limits: &Limits) -> (Option<Duration>, Side, &'static str) {
        if !self.over.load(Relaxed) {
            (Some(limits.client), Side::Client, "the request stopped")
        } else if !self.answered.load(Relaxed) {
            (Some(limits.header), Side::Target, "no response in time")
        } else if self.half_closed.load(Relaxed) {
            let idle = limits.body.unwrap_or(HALF_CLOSED_IDLE);
            (Some(idle), Side::Target, "the response stopped")
        } else {
            (limits.body, Side::Target, "the response stopped")
        }
    }

    /// Ready when nothing has moved for as long as that is allowed.
    async fn stalled(&self, limits: &Limits) -> Error {
        loop {
            let before = self.moved();
            let (wait, side, what) = self.patience(limits);
            let waited = async {
                match wait {
                    Some(wait) => sleep(wait).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = self.changed.notified() => {}
                () = waited => if self.moved() == before {
                    return Error::new(Why::TimedOut, what).side(side);
                }
            }
        }
    }
}

/// Sends a request, whose head is given as the target is to see it, and passes the response on.
///
/// Bodies move in both directions at once, since a target may answer before it has read all, and
/// wants to be asked before it reads any when the client expects `100 Continue`.
pub(crate) async fn exchange(
    request: &Request,
    head: &[u8],
    client: &mut Peer,
    target: &mut Peer,
    limits: &Limits,
    seen: &mut Seen,
) -> Result<Outcome, Failure> {
    let progress = Progress::default();
    let Seen {
        request: request_tap,
        response: response_tap,
        answer,
    } = seen;
    let result = {
        let (client_read, mut client_write) = split(&mut client.stream);
        let (mut target_read, target_write) = split(&mut target.stream);
        let up = pin!(send(
            request,
            head,
            client_read,
            &mut client.buf,
            target_write,
            (&progress, request_tap),
        ));
        let down = pin!(receive(
            request,
            &mut target_read,
            &mut target.buf,
            &mut client_write,
            (&progress, response_tap, answer),
        ));
        tokio::select! {
            biased;
            result = down => result,
            error = up => Err(error),
            error = progress.stalled(limits) => Err(error),
        }
    };
    match result {
        Ok(response) => Ok(Outcome {
            response,
            sent: progress.sent.load(Relaxed),
            bytes: (progress.up.load(Relaxed), progress.down.load(Relaxed)),
        }),
        Err(error) => Err(Failure {
            answered: progress.answered.load(Relaxed),
            untouched: error.at_side() == Side::Target
                && matches!(error.why(), Why::Closed | Why::Reset)
                && !progress.heard.load(Relaxed),
            error: error.phase(Phase::Relay),
        }),
    }
}

/// Sends the request and then watches the client. Returns only when the client fails.
async fn send(
    request: &Request,
    head: &[u8],
    mut client: impl tokio::io::AsyncRead + Unpin,
    buf: &mut BytesMut,
    mut target: impl tokio::io::AsyncWrite + Unpin,
    (progress, tap): (&Progress, &mut Tap),
) -> Error {
    let mut body = Body::new(request.framing);
    let sent = async {
        target.write_all(head).await.map_err(PumpError::Write)?;
        progress.up.fetch_add(head.len() as u64, Relaxed);
        pump(&mut client, buf, &mut target, &mut body, &progress.up, tap).await
    };
    match sent.await {
        Ok(()) => progress.set(&progress.sent),
        // The target may have answered, and closed because it does not want the rest.
        Err(PumpError::Write(_)) => {}
        Err(PumpError::Read(error)) => {
            return Error::from(error)
                .context("read the request")
                .side(Side::Client);
        }
        Err(PumpError::Body(error)) => {
            let why = match error {
                crate::body::BodyError::Truncated => Why::Closed,
                _ => Why::BadInput,
            };
            return Error::new(why, error.to_string()).side(Side::Client);
        }
    }
    progress.set(&progress.over);
    // What the client sends from here on is its next request; one that came is enough.
    while buf.is_empty() {
        match fill(&mut client, buf).await {
            Ok(0) => {
                progress.set(&progress.half_closed);
                break;
            }
            Ok(_) => {}
            Err(error) => {
                return Error::from(error)
                    .context("the client left")
                    .side(Side::Client);
            }
        }
    }
    pending().await
}

/// Reads the response and passes it on.
async fn receive(
    request: &Request,
    target: &mut (impl tokio::io::AsyncRead + Unpin),
    buf: &mut BytesMut,
    client: &mut (impl tokio::io::AsyncWrite + Unpin),
    (progress, tap, answer): (&Progress, &mut Tap, &mut Answer),
) -> Result<Response, Error> {
    let mut out = BytesMut::new();
    let response = loop {
        let length = response_head(target, buf).await.map_err(|error| {
            if !buf.is_empty() {
                progress.set(&progress.heard);
            }
            no_response(error)
        })?;
        progress.set(&progress.heard);
        let head = buf.split_to(length);
        // A client that is answered while it still sends can't know where its next request would
        // begin, unless it ends the present one; it is told that the connection will end.
        let sent = progress.sent.load(Relaxed);
        let response =
            pass_on(&head, request, sent, &mut out).map_err(|error| bad_response(&error))?;
        if !response.is_interim() {
            answer.note(&head, response.framing);
            break response;
        }
        if request.old {
            out.clear();
            continue;
        }
        client.write_all(&out).await.map_err(client_left)?;
        client.flush().await.map_err(client_left)?;
        // Counted, so that a target which says that it is busy is given more time.
        progress.down.fetch_add(out.len() as u64, Relaxed);
        out.clear();
    };
    progress.set(&progress.answered);
    let mut body = Body::new(response.framing);
    if !response.unchunk && response.status != 101 {
        // The first bytes of the body go with the head.
        let mine = body
            .take(buf)
            .map_err(|error| bad_response(&error.into()))?;
        let first = buf.split_to(mine);
        tap.take(&first);
        out.extend_from_slice(&first);
    }
    client.write_all(&out).await.map_err(client_left)?;
    progress.down.fetch_add(out.len() as u64, Relaxed);
    drop(out);
    let moved = if response.status == 101 {
        client.flush().await.map_err(PumpError::Write)
    } else if response.unchunk {
        unchunk(target, buf, client, &mut body, &progress.down, tap).await
    } else {
        pump(target, buf, client, &mut body, &progress.down, tap).await
    };
    match moved {
        Ok(()) => Ok(response),
        Err(PumpError::Write(error)) => Err(client_left(error)),
        Err(PumpError::Read(error)) => Err(Error::from(error)
            .context("read the response")
            .side(Side::Target)),
        Err(PumpError::Body(error)) => Err(bad_response(&error.into())),
    }
}

fn client_left(error: std::io::Error) -> Error {
    Error::from(error)
        .context("write the response")
        .side(Side::Client)
}

fn no_response(error: NoHead) -> Error {
    match error {
        NoHead::Closed(false) => Error::new(Why::Closed, "closed without a response"),
        NoHead::Closed(true) => Error::new(Why::Closed, "closed in the middle of a response"),
        NoHead::Failed(error) => Error::from(error).context("read the response"),
        NoHead::Bad(error) => return bad_response(&error.into()),
    }
    .side(Side::Target)
}

fn bad_response(error: &ResponseError) -> Error {
    Error::new(Why::BadInput, format!("bad response: {error}")).side(Side::Target)
}
