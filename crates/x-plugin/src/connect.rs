//! Connections to a plugin: TCP or a Unix socket, with TLS or without.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use gost_core::{
    addr::{Addr, Target},
    conn::Conn,
    error::Result,
    outbound::{Ask, NodeAddr, Outbound as _, Upgrade as _},
    stream::Stream,
};
use gost_net::sockets::Sockets;
use gost_tls::ClientTls;
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use tokio::time::Instant;
use tower_service::Service;

/// Connects to one plugin, whatever the address of a request.
#[derive(Clone)]
pub(crate) struct Connector(Arc<Way>);

struct Way {
    target: Target,
    node: NodeAddr,
    tls: Option<Arc<ClientTls>>,
    timeout: Duration,
}

impl Connector {
    /// Connects to `target`, within `timeout`.
    pub(crate) fn new(target: Target, tls: Option<Arc<ClientTls>>, timeout: Duration) -> Self {
        let node = NodeAddr::new(target.addr.clone());
        Self(Arc::new(Way {
            target,
            node,
            tls,
            timeout,
        }))
    }
}

impl Way {
    async fn connect(&self) -> Result<Link> {
        let ask = Ask {
            deadline: Instant::now()
                .checked_add(self.timeout)
                .map(Instant::into_std),
            ..Ask::default()
        };
        let connect = async {
            let conn: Conn = Sockets::default().connect(&self.target, &ask).await?;
            let conn = match &self.tls {
                Some(tls) => tls.client(conn, &self.node).await?,
                None => conn,
            };
            conn.into_stream()
        };
        let (stream, _) = ask.within("connect to", &self.node.host, connect).await?;
        Ok(Link(TokioIo::new(stream)))
    }
}

impl Service<Uri> for Connector {
    type Response = Link;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Link>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let way = self.0.clone();
        Box::pin(async move { Ok(way.connect().await?) })
    }
}

/// A connection, as the HTTP client wants it.
pub(crate) struct Link(TokioIo<Box<dyn Stream>>);

impl Connection for Link {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl Write for Link {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// The host of an address with a port of its own, or else with this one. `None` when it is none.
pub(crate) fn host_and_port(text: &str, port: u16) -> Option<Addr> {
    let addr = Addr::parse(text)?;
    match &addr {
        Addr::Name(host, _) if host.is_empty() || host.contains(char::is_whitespace) => None,
        Addr::Any | Addr::Path(_) => None,
        _ if addr.port() == 0 => Some(addr.with_port(port)),
        _ => Some(addr),
    }
}
