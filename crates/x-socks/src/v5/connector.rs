//! The socks5 connector.

use std::{fmt, net::SocketAddr};

use gost_core::{outbound::Upgrade, policy::Credentials, prelude::*};
use gost_mux::{MuxSettings, Version};
use gost_net::{
    framed::{Framed, SocksUdp},
    udp::Flows,
};
use tokio::io::AsyncWriteExt as _;

use super::{
    Socks5ConnectorOptions,
    listener::{OnePeer, decode_reply},
    packets::{Association, OneTarget},
    resolve::Answer,
    visitors::Visitors,
    wire::{self, Command, Method, ReplyCode, Request, UserPassword},
};
use crate::{address, deadline, exchange::Exchange};

/// Asks a SOCKS5 server for connections, datagrams and bound ports.
///
/// With an upgrade to TLS it offers methods 80 and 82 behind those of the standard, as the
/// original does; without one it behaves as with `notls`. It sends nothing behind a request before
/// the reply is there: servers of the original throw away what comes early.
pub struct Socks5Connector {
    options: Socks5ConnectorOptions,
    auth: Option<Credentials>,
    tls: Option<Arc<dyn Upgrade>>,
    greeting: Vec<u8>,
    /// For the sessions that bring the visitors of what a node has bound for us.
    mux: MuxSettings,
}

impl Socks5Connector {
    /// A connector with options, with credentials if the server may ask for some, and with what
    /// TLS inside the conversation takes.
    ///
    /// # Errors
    /// User or password are longer than 255 bytes, or the options of the multiplexed sessions make
    /// no sense.
    pub fn new(
        options: Socks5ConnectorOptions,
        auth: Option<Credentials>,
        tls: Option<Arc<dyn Upgrade>>,
    ) -> Result<Self> {
        if let Some(auth) = &auth {
            user_password(auth)?;
        }
        let tls = tls.filter(|_| !options.notls);
        let offers = [
            Some(Method::Plain),
            auth.is_some().then_some(Method::User),
            tls.is_some().then_some(Method::Tls),
            (auth.is_some() && tls.is_some()).then_some(Method::TlsUser),
        ];
        let offers: Vec<_> = offers.into_iter().flatten().collect();
        let mut greeting = Vec::new();
        wire::encode_greeting(&offers, &mut greeting);
        let mux = options.mux.settings(Version::V1)?;
        Ok(Self {
            options,
            auth,
            tls,
            greeting,
            mux,
        })
    }

    /// Agrees on a method, and does what it demands.
    async fn negotiate(&self, over: Conn, node: &NodeAddr) -> Result<Exchange> {
        let mut exchange = Exchange::new(over, Side::Node)?;
        exchange.write(&self.greeting).await?;
        let code = exchange.expect(wire::decode_choice).await?;
        let fault = |why, what: String| Err(Error::new(why, what).side(Side::Node));
        match (Method::from_code(code), &self.auth, &self.tls) {
            (Some(Method::Plain), ..) => Ok(exchange),
            (Some(Method::User), Some(auth), _) => authenticate(exchange, auth).await,
            (Some(Method::Tls), _, Some(tls)) => {
                Exchange::new(tls.client(exchange.into_conn(), node).await?, Side::Node)
            }
            (Some(Method::TlsUser), Some(auth), Some(tls)) => {
                let inside = tls.client(exchange.into_conn(), node).await?;
                authenticate(Exchange::new(inside, Side::Node)?, auth).await
            }
            (Some(Method::Unacceptable), None, _) => fault(
                Why::Auth,
                "the server takes none of our methods; it may ask for a user".into(),
            ),
            (Some(Method::Unacceptable), ..) => fault(
                Why::Unsupported,
                "the server takes none of our methods".into(),
            ),
            _ => fault(
                Why::BadInput,
                format!("the server chose method {code:#04x}, which was not offered"),
            ),
        }
    }

    /// Negotiates, asks, and gives the address of the reply.
    async fn ask(
        &self,
        over: Conn,
        command: Command,
        at: &Addr,
        node: &NodeAddr,
    ) -> Result<(Exchange, Addr)> {
        let address = address::to_wire(at)?;
        let mut exchange = self.negotiate(over, node).await?;
        let request = Request {
            command,
            address: (&address).into(),
        };
        let mut bytes = Vec::with_capacity(32);
        wire::encode_request(&request, &mut bytes);
        exchange.write(&bytes).await?;
        match exchange.expect(decode_reply).await? {
            (ReplyCode::SUCCEEDED, bound) => Ok((exchange, bound)),
            (code, _) => Err(refused(code)),
        }
    }

    /// Asks what a name or an address stands for; the connection is the answer.
    async fn question(
        &self,
        over: Conn,
        command: Command,
        at: &Addr,
        cx: &NodeCx<'_>,
    ) -> Result<Conn> {
        let (exchange, found) = self.ask(over, command, at, cx.node).await?;
        let (mut stream, meta) = exchange.into_conn().into_stream()?;
        // The answer is there, whatever becomes of the end.
        let _ = stream.shutdown().await;
        Ok(Conn {
            io: Io::Other(Box::new(Answer(found))),
            meta,
        })
    }

    async fn datagrams(&self, over: Conn, to: &Addr, cx: &NodeCx<'_>) -> Result<Conn> {
        let (packet, meta) = if self.options.relay == "udp" {
            self.associate(over, cx).await?
        } else {
            let (exchange, _) = self
                .ask(over, Command::UdpTunnel, &Addr::Any, cx.node)
                .await?;
            let (stream, meta) = exchange.into_conn().into_stream()?;
            (Box::new(Framed::addressed(stream)) as Box<dyn Packet>, meta)
        };
        let packet = match to {
            Addr::Any => packet,
            to => Box::new(OneTarget::new(packet, or_loopback(to))),
        };
        Ok(Conn {
            io: Io::Packet(packet),
            meta,
        })
    }

    async fn associate(&self, over: Conn, cx: &NodeCx<'_>) -> Result<(Box<dyn Packet>, Box<Meta>)> {
        let (exchange, bound) = self
            .ask(over, Command::Associate, &Addr::Any, cx.node)
            .await?;
        let relay = match (&bound, &exchange.meta.peer) {
            // "Wherever you found me".
            (Addr::Ip(bound), Addr::Ip(node)) if bound.ip().is_unspecified() => {
                SocketAddr::new(node.ip(), bound.port()).into()
            }
            _ => bound,
        };
        let socket = cx.sockets.connect(&Target::udp(relay), cx.ask).await?;
        let (socket, meta) = socket.into_packet()?;
        let (control, _) = exchange.into_conn().into_stream()?;
        let inside = Box::new(SocksUdp::client(socket, Addr::Any));
        let association = Association::new(inside, control).silent_for(self.options.udp_timeout);
        Ok((Box::new(association), meta))
    }

    async fn listen(
        &self,
        over: Conn,
        at: &Target,
        how: &BindOptions,
        cx: &NodeCx<'_>,
    ) -> Result<Box<dyn Listener>> {
        match at.network {
            Network::Tcp if how.mux => {
                let (exchange, bound) = self.ask(over, Command::MuxBind, &at.addr, cx.node).await?;
                let settings = self.mux.clone().with_backlog(how.backlog);
                let streams = gost_mux::server(exchange.into_conn(), &settings)?;
                Ok(Box::new(Visitors::new(streams, bound)))
            }
            Network::Tcp => {
                let (exchange, bound) = self.ask(over, Command::Bind, &at.addr, cx.node).await?;
                Ok(Box::new(OnePeer::new(exchange, bound)))
            }
            Network::Udp => {
                let (exchange, bound) = self
                    .ask(over, Command::UdpTunnel, &at.addr, cx.node)
                    .await?;
                let (stream, _) = exchange.into_conn().into_stream()?;
                let packet = Box::new(Framed::addressed(stream));
                Ok(Box::new(Flows::new(packet, bound, how.into())?))
            }
            _ => Err(unsupported(at)),
        }
    }
}

#[async_trait]
impl Connector for Socks5Connector {
    async fn connect(&self, over: Conn, to: &Target, cx: &NodeCx<'_>) -> Result<Conn> {
        let work = async {
            match to.network {
                Network::Tcp => {
                    let (exchange, _) = self
                        .ask(over, Command::Connect, &or_loopback(&to.addr), cx.node)
                        .await?;
                    Ok(exchange.into_conn())
                }
                Network::Udp => self.datagrams(over, &to.addr, cx).await,
                Network::Resolve => self.question(over, Command::Resolve, &to.addr, cx).await,
                Network::ResolvePtr => self.question(over, Command::ResolvePtr, &to.addr, cx).await,
                _ => Err(unsupported(to)),
            }
        };
        deadline::within(cx.ask, self.options.timeout, work)
            .await
            .map_err(|e| e.context(format_args!("socks5 connect {to}")))
    }

    async fn bind(
        &self,
        over: Conn,
        at: &Target,
        how: &BindOptions,
        cx: &NodeCx<'_>,
    ) -> Result<Box<dyn Listener>> {
        deadline::within(cx.ask, self.options.timeout, self.listen(over, at, how, cx))
            .await
            .map_err(|e| e.context(format_args!("socks5 bind {at}")))
    }
}

impl fmt::Debug for Socks5Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socks5Connector")
            .field("options", &self.options)
            .field("auth", &self.auth)
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

fn user_password(auth: &Credentials) -> Result<UserPassword<'_>> {
    UserPassword::new(auth.username.as_bytes(), auth.password.as_bytes())
        .map_err(|e| Error::new(Why::BadInput, "").caused_by(e))
}

async fn authenticate(mut node: Exchange, auth: &Credentials) -> Result<Exchange> {
    let mut bytes = Vec::with_capacity(64);
    wire::encode_user(&user_password(auth)?, &mut bytes);
    node.write(&bytes).await?;
    if node.expect(wire::decode_user_status).await? {
        Ok(node)
    } else {
        Err(Error::new(Why::Auth, "the server refuses our user and password").side(Side::Node))
    }
}

/// An empty host is the node's own, which servers know as 127.0.0.1.
fn or_loopback(to: &Addr) -> Addr {
    match to {
        Addr::Name(name, port) if name.is_empty() => {
            SocketAddr::from(([127, 0, 0, 1], *port)).into()
        }
        other => other.clone(),
    }
}

fn unsupported(to: &Target) -> Error {
    Error::new(
        Why::Unsupported,
        format!("SOCKS5 carries no {}", to.network),
    )
}

/// What a reply other than success says. All but broken servers answer about the target: that the
/// node is to blame would keep others from it.
pub(super) fn refused(code: ReplyCode) -> Error {
    let (why, side) = match code {
        ReplyCode::FAILURE => (Why::Other, Side::Target),
        ReplyCode::NOT_ALLOWED => (Why::Denied, Side::Target),
        ReplyCode::NETWORK_UNREACHABLE | ReplyCode::HOST_UNREACHABLE | ReplyCode::TTL_EXPIRED => {
            (Why::Unreachable, Side::Target)
        }
        ReplyCode::REFUSED => (Why::Refused, Side::Target),
        ReplyCode::COMMAND_UNSUPPORTED | ReplyCode::ADDRESS_UNSUPPORTED => {
            (Why::Unsupported, Side::Target)
        }
        _ => (Why::BadInput, Side::Node),
    };
    Error::new(
        why,
        format!("the server says: {} ({})", code.text(), code.0),
    )
    .side(side)
    .phase(Phase::Dial)
}
