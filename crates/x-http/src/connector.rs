//! The http connector: asks a node for a tunnel with CONNECT.

use std::{
    fmt, io,
    task::{Context, Poll},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use gost_core::{packet::RawPacket, policy::Credentials, prelude::*};
use gost_net::framed::Framed;
use tokio::time::timeout;

use crate::{
    head::{ResponseHead, room},
    options::{HttpConnectorOptions, header_lines},
    peer::{NoHead, Peer, response_head},
};

/// Asks a node for a tunnel with CONNECT.
pub struct HttpConnector {
    timeout: Duration,
    /// The header lines of every request, ready to be sent.
    header: String,
}

impl fmt::Debug for HttpConnector {
    /// Without the header, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpConnector")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// Lines that say what we say ourselves, or that would put a body into the request.
const OWN_LINES: [&str; 5] = [
    "Host",
    "Proxy-Connection",
    "X-Gost-Protocol",
    "Content-Length",
    "Transfer-Encoding",
];

impl HttpConnector {
    /// A connector with options, and the credentials that it shows; an error names the option
    /// that is wrong.
    pub fn shared(
        options: &HttpConnectorOptions,
        auth: Option<&Credentials>,
    ) -> Result<Arc<dyn Connector>> {
        let mut lines = header_lines(&options.header, &OWN_LINES)?;
        let has = |lines: &[(String, String)], name: &str| {
            lines.iter().any(|(n, _)| n.eq_ignore_ascii_case(name))
        };
        if !has(&lines, "User-Agent") {
            lines.insert(0, ("User-Agent".into(), "Go-http-client/1.1".into()));
        }
        if let Some(Credentials { username, password }) = auth {
            lines.retain(|(name, _)| !name.eq_ignore_ascii_case("Proxy-Authorization"));
            let pair = STANDARD.encode(format!("{username}:{password}"));
            lines.push(("Proxy-Authorization".into(), format!("Basic {pair}")));
        }
        lines.push(("Proxy-Connection".into(), "keep-alive".into()));
        let mut header = String::new();
        for (name, value) in &lines {
            header.extend([name, ": ", value, "\r\n"]);
        }
        Ok(Arc::new(Self {
            timeout: options.timeout,
            header,
        }))
    }

    /// Sends the request and reads the answer; what follows it stays in the peer.
    async fn ask(&self, node: &mut Peer, to: &Target) -> Result<()> {
        let authority = match &to.addr {
            Addr::Any => String::new(),
            addr => addr.to_string(),
        };
        let udp = if to.network == Network::Udp {
            "X-Gost-Protocol: udp\r\n"
        } else {
            ""
        };
        let request = format!(
            "CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{}{udp}\r\n",
            self.header
        );
        node.write(request.as_bytes()).await?;
        // An interim answer may come before the real one.
        loop {
            let length = response_head(&mut node.stream, &mut node.buf)
                .await
                .map_err(no_answer)?;
            let head = node.buf.split_to(length);
            let mut room = room();
            let head = ResponseHead::parse(&head, &mut room)
                .map_err(|e| Error::new(Why::BadInput, format!("http: {e}")))?;
            match head.status {
                200 => return Ok(()),
                100..=199 if head.status != 101 => {}
                status => return Err(refused(status, head.reason)),
            }
        }
    }

    async fn negotiate(&self, over: Conn, to: &Target) -> Result<(Peer, Box<Meta>)> {
        let (stream, meta) = over.into_stream()?;
        let mut node = Peer::new(stream);
        let asking = self.ask(&mut node, to);
        let asked = if self.timeout.is_zero() {
            asking.await
        } else {
            timeout(self.timeout, asking)
                .await
                .unwrap_or_else(|_| Err(Error::new(Why::TimedOut, "http: no answer in time")))
        };
        match asked {
            Ok(()) => Ok((node, meta)),
            Err(error) => {
                node.close().await;
                Err(error)
            }
        }
    }
}

/// The node answered, but not with a tunnel. Only some answers are about the target; the others
/// are the node's own fault, and the default side is changed for those where the node is named.
fn refused(status: u16, reason: &str) -> Error {
    let (why, side) = match status {
        403 => (Why::Denied, Side::Target),
        407 => (Why::Auth, Side::Node),
        429 => (Why::Limited, Side::Node),
        502 | 503 => (Why::Unreachable, Side::Target),
        504 => (Why::TimedOut, Side::Target),
        400..=499 => (Why::Unsupported, Side::Node),
        _ => (Why::Other, Side::Node),
    };
    let text = format!("http: {status} {reason}");
    Error::new(why, text.trim_end()).side(side)
}

fn no_answer(error: NoHead) -> Error {
    match error {
        NoHead::Closed(_) => Error::new(Why::Closed, "http: closed without an answer"),
        NoHead::Failed(error) => Error::from(error).context("http: read the answer"),
        NoHead::Bad(error) => Error::new(Why::BadInput, format!("http: {error}")),
    }
}

#[async_trait]
impl Connector for HttpConnector {
    async fn connect(&self, over: Conn, to: &Target, cx: &NodeCx<'_>) -> Result<Conn> {
        let fault = |error: Error| {
            let error = error.phase(Phase::Handshake);
            if error.at_side() == Side::Target {
                error
            } else {
                error.at_node(&cx.node.name)
            }
        };
        let supported = match to.network {
            Network::Tcp => {
                matches!(&to.addr, Addr::Ip(_) | Addr::Name(..))
                    && to.addr != Addr::Name("".into(), 0)
            }
            Network::Udp => matches!(&to.addr, Addr::Any | Addr::Ip(_) | Addr::Name(..)),
            _ => false,
        };
        if !supported {
            let what = format!("connect {to}: http can't");
            return Err(Error::new(Why::Unsupported, what).phase(Phase::Handshake));
        }
        let negotiating = async {
            let negotiated = self.negotiate(over, to).await;
            negotiated.map_err(|error| error.context(format_args!("connect {to}")))
        };
        let negotiated = cx.ask.within("connect", to, negotiating).await;
        let (node, meta) = negotiated.map_err(fault)?;
        if to.network == Network::Tcp {
            return Ok(node.into_conn(meta));
        }
        let framed = Framed::addressed(node.into_stream());
        Ok(match &to.addr {
            Addr::Any => Conn::packet(framed, *meta),
            addr => Conn::packet(
                OneTarget {
                    inner: framed,
                    to: addr.clone(),
                },
                *meta,
            ),
        })
    }
}

/// Datagrams that all go to one address.
struct OneTarget {
    inner: Framed,
    to: Addr,
}

impl Packet for OneTarget {
    fn poll_recv(&mut self, cx: &mut Context<'_>, into: &mut Batch) -> Poll<io::Result<()>> {
        self.inner.poll_recv(cx, into)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, from: &mut Batch) -> Poll<io::Result<()>> {
        from.readdress(&self.to);
        self.inner.poll_send(cx, from)
    }

    fn into_raw(self: Box<Self>) -> std::result::Result<RawPacket, Box<dyn Packet>> {
        Err(self)
    }
}
