//! The socks4 connector.

use std::{net::SocketAddr, time::Duration};

use gost_core::{
    policy::{Asker, Credentials, Family},
    prelude::*,
    routing::Names,
};

use super::wire::{self, Command, Host, ReplyCode, Request};
use crate::{deadline, exchange::Exchange};

options! {
    /// Options of the socks4 connector.
    pub struct Socks4ConnectorOptions {
        /// How long the node may take to answer; 0 for no limit of its own.
        timeout: Duration = Duration::ZERO, "timeout";
        /// Resolve names here and ask for IPv4 addresses only.
        disable_4a: bool = false, "disable4a";
    }
}

/// Asks a SOCKS4 server, best one that knows 4a, for connections to targets.
///
/// It sends the host as a name, even if it is an address, which is what the original does; with
/// `disable4a` it sends IPv4 addresses.
#[derive(Debug)]
pub struct Socks4Connector {
    options: Socks4ConnectorOptions,
    user: String,
}

impl Socks4Connector {
    /// A connector with options. Of the credentials only the user counts: there are no passwords.
    ///
    /// # Errors
    /// The user is longer than 255 bytes, or has a zero byte.
    pub fn new(options: Socks4ConnectorOptions, auth: Option<Credentials>) -> Result<Self> {
        let user = auth.map(|auth| auth.username).unwrap_or_default();
        let connector = Self { options, user };
        // Whatever is wrong with the user is wrong with every request.
        connector.request(&Addr::from_host("localhost", 0))?;
        Ok(connector)
    }

    fn request(&self, to: &Addr) -> Result<Vec<u8>> {
        let name;
        let host = match to {
            Addr::Ip(SocketAddr::V4(addr)) if self.options.disable_4a => Host::Ip(*addr.ip()),
            Addr::Ip(_) | Addr::Name(..) => {
                name = to.host();
                Host::Name(if name.is_empty() { "127.0.0.1" } else { &name })
            }
            Addr::Any | Addr::Path(_) => {
                return Err(Error::new(
                    Why::Unsupported,
                    format!("SOCKS4 reaches hosts, not {to:?}"),
                ));
            }
        };
        let request = Request {
            command: Command::Connect,
            host,
            port: to.port(),
            user: self.user.as_bytes(),
        };
        let mut bytes = Vec::new();
        wire::encode_request(&request, &mut bytes)
            .map_err(|e| Error::new(Why::BadInput, "").caused_by(e))?;
        Ok(bytes)
    }

    async fn resolved(&self, to: &Addr) -> Result<Addr> {
        if !self.options.disable_4a {
            return Ok(to.clone());
        }
        let found =
            gost_net::sockets::resolve(to, &Names::default(), Family::V4, &Asker::default())
                .await?;
        match found {
            SocketAddr::V4(_) => Ok(found.into()),
            SocketAddr::V6(_) => Err(Error::new(
                Why::Unsupported,
                format!("SOCKS4 without names reaches no {to}"),
            )
            .side(Side::Target)),
        }
    }
}

#[async_trait]
impl Connector for Socks4Connector {
    async fn connect(&self, over: Conn, to: &Target, cx: &NodeCx<'_>) -> Result<Conn> {
        if to.network != Network::Tcp {
            return Err(Error::new(
                Why::Unsupported,
                format!("connect {to}: SOCKS4 carries TCP only"),
            ));
        }
        let work = async {
            let mut node = Exchange::new(over, Side::Node)?;
            let request = self.request(&self.resolved(&to.addr).await?)?;
            node.write(&request).await?;
            let code = node.expect(wire::decode_reply).await?;
            if code == ReplyCode::GRANTED {
                return Ok(node.into_conn());
            }
            let (why, side) = match code {
                ReplyCode::FAILED => (Why::Unreachable, Side::Target),
                ReplyCode::REJECTED => (Why::Denied, Side::Target),
                ReplyCode::WRONG_USER => (Why::Auth, Side::Node),
                _ => (Why::Other, Side::Node),
            };
            Err(Error::new(why, format!("{} ({})", code.text(), code.0)).side(side))
        };
        deadline::within(cx.ask, self.options.timeout, work)
            .await
            .map_err(|e| {
                e.phase(Phase::Handshake)
                    .context(format_args!("socks4 connect {to}"))
            })
    }
}
