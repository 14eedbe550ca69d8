//! What clients without credentials get to see instead of a proxy.

use std::{io, path::PathBuf, time::SystemTime};

use gost_core::{
    addr::{Addr, Target},
    error::{Error, Result, Side},
    outbound::{Ask, Outbound as _},
    session::Upstream,
};
use gost_net::sockets::Sockets;
use tokio::{
    fs::File,
    io::AsyncReadExt as _,
    time::{Duration, Instant},
};

use crate::{
    body::Framing,
    exchange::exchange,
    handler::{End, Step, Stepped},
    options::{Limits, wrong},
    peer::Peer,
    record::Seen,
    refusal::Voice,
    request::{Connection, Kind, Request},
    target::address,
};

/// How long the server behind a decoy may take to be reached and to answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// A decoy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decoy {
    /// A status alone.
    Status(u16),
    /// What a web server answers: its address, its authority, the path.
    Web(Addr, String, String),
    /// A server that takes the whole connection over.
    Host(Addr),
    /// A page.
    File(PathBuf),
}

impl Decoy {
    /// Reads `type:value`; `None` for the empty text.
    ///
    /// As in the original, a type that is not known and a value that is none of its type make a
    /// decoy that is always out of service.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>> {
        if text.is_empty() {
            return Ok(None);
        }
        let Some((kind, value)) = text.split_once(':') else {
            return Err(wrong(format!(
                "probeResist: {text:?} is none of code:STATUS, web:URL, host:ADDRESS, file:PATH"
            )));
        };
        let decoy = match kind {
            "code" => value
                .parse()
                .ok()
                .filter(|status| (200..=999).contains(status))
                .map(Self::Status),
            "web" => web(value),
            "host" => address(value).map(Self::Host),
            "file" => Some(Self::File(value.into())),
            _ => None,
        };
        Ok(Some(decoy.unwrap_or_else(|| {
            tracing::warn!("probeResist: {text:?} can't be shown; clients see 503");
            Self::Status(503)
        })))
    }

    /// Shows the decoy to a client.
    pub(crate) async fn show(
        &self,
        mut request: Request,
        client: &mut Peer,
        limits: &Limits,
    ) -> Stepped {
        // Behind a body that nobody reads, or in what might be a tunnel, there is no next request.
        let keep =
            request.keep && request.framing == Framing::EMPTY && request.kind == Kind::Forward;
        match self {
            Self::Status(status) => reply(client, *status).await,
            Self::Web(addr, authority, path) => {
                request.keep = keep;
                request.framing = Framing::EMPTY;
                request.upgrade = None;
                visit(addr, authority, path, &request, client, limits).await
            }
            Self::Host(addr) => hand_over(addr, &request, client).await,
            Self::File(path) => match File::open(path).await {
                Ok(file) => page(file, &request, keep, client).await,
                Err(error) => {
                    tracing::warn!("probeResist: open {}: {error}", path.display());
                    reply(client, 503).await
                }
            },
        }
    }
}

fn web(url: &str) -> Option<Decoy> {
    if url.starts_with("https://") {
        return None;
    }
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let path = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    };
    if path.bytes().any(|b| b <= b' ' || b == 0x7f) {
        return None;
    }
    Some(Decoy::Web(address(authority)?, authority.to_owned(), path))
}

/// A status without a body.
async fn reply(client: &mut Peer, status: u16) -> Stepped {
    let text = Voice::hidden(status);
    client.write(text.as_bytes()).await.map_err(End::cut)?;
    Ok(Step::Finish)
}

async fn page(file: File, request: &Request, keep: bool, client: &mut Peer) -> Stepped {
    let about = async {
        let about = file.metadata().await?;
        if !about.is_file() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let length = about.len();
        io::Result::Ok((length, about.modified().ok()))
    };
    let Ok((length, modified)) = about.await else {
        return reply(client, 503).await;
    };
    let date = httpdate::fmt_http_date(SystemTime::now());
    let modified = modified.map_or_else(String::new, |at| {
        format!("Last-Modified: {}\r\n", httpdate::fmt_http_date(at))
    });
    let connection = if keep { "keep-alive" } else { "close" };
    let head = format!(
        "HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\
         {modified}Connection: {connection}\r\n\r\n"
    );
    client.write(head.as_bytes()).await.map_err(End::cut)?;
    if request.method != "HEAD" {
        let sent = tokio::io::copy(&mut file.take(length), &mut client.stream).await;
        let sent = sent.map_err(|error| End::cut(error.into()))?;
        if sent < length {
            return Err(End::cut(wrong("the page became shorter".into())));
        }
    }
    Ok(if keep { Step::Again } else { Step::Finish })
}

async fn visit(
    addr: &Addr,
    authority: &str,
    path: &str,
    request: &Request,
    client: &mut Peer,
    limits: &Limits,
) -> Stepped {
    let Ok(mut server) = dial(addr).await else {
        return reply(client, 503).await;
    };
    let method = if request.method == "HEAD" {
        "HEAD"
    } else {
        "GET"
    };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: Go-http-client/1.1\r\nConnection: close\r\n\r\n"
    );
    let limits = Limits {
        header: PATIENCE,
        ..*limits
    };
    match exchange(
        request,
        head.as_bytes(),
        client,
        &mut server,
        &limits,
        &mut Seen::default(),
    )
    .await
    {
        Ok(outcome) if outcome.response.client_keep && outcome.sent => Ok(Step::Again),
        Ok(_) => Ok(Step::Finish),
        Err(failure) if failure.answered || failure.error.at_side() == Side::Client => {
            Err(End::cut(failure.error))
        }
        Err(_) => reply(client, 503).await,
    }
}

async fn hand_over(addr: &Addr, request: &Request, client: &mut Peer) -> Stepped {
    let Ok(mut server) = dial(addr).await else {
        return reply(client, 503).await;
    };
    let head = request.forwarded(Connection::AsSent, "");
    if server.write(&head).await.is_err() {
        return reply(client, 503).await;
    }
    Ok(Step::Relay(Upstream::new(server.into_conn(Box::default()))))
}

/// Reaches a server of a decoy: from here, never through the chain, where it would look as if it
/// came from elsewhere.
async fn dial(addr: &Addr) -> Result<Peer> {
    let ask = Ask {
        deadline: Some((Instant::now() + PATIENCE).into_std()),
        ..Ask::default()
    };
    let target = Target::tcp(addr.clone());
    let conn = Sockets::default().connect(&target, &ask).await;
    let dialed = conn.and_then(|conn| Ok(Peer::new(conn.into_stream()?.0)));
    dialed.inspect_err(|error: &Error| tracing::warn!("probeResist: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoys_are_read_from_text() {
        let addr = |text: &str| Addr::parse(text).unwrap();
        for (text, decoy) in [
            ("code:404", Decoy::Status(404)),
            ("code:abc", Decoy::Status(503)),
            ("code:99", Decoy::Status(503)),
            ("nosuch:1", Decoy::Status(503)),
            ("host:a:1", Decoy::Host(addr("a:1"))),
            ("file:/a b", Decoy::File("/a b".into())),
            ("web:a", Decoy::Web(addr("a:80"), "a".into(), "/".into())),
            (
                "web:http://a:1/b?c",
                Decoy::Web(addr("a:1"), "a:1".into(), "/b?c".into()),
            ),
            (
                "web:a?b",
                Decoy::Web(addr("a:80"), "a".into(), "/?b".into()),
            ),
            ("web:https://a/", Decoy::Status(503)),
            ("web:a/b c", Decoy::Status(503)),
        ] {
            assert_eq!(Decoy::parse(text).unwrap(), Some(decoy), "{text}");
        }
        assert_eq!(Decoy::parse("").unwrap(), None);
        assert!(Decoy::parse("404").is_err());
    }
}
