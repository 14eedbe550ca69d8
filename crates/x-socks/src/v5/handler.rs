//! The socks5 handler: method, user, request, and what needs no more than a connection.

use std::fmt;

use gost_core::{outbound::Upgrade, prelude::*};
use gost_mux::{MuxSettings, Version};
use gost_relay::DecodeError;

use super::{
    Socks5Options, bind, resolve, udp, visitors,
    wire::{self, Command, Method, Reply, ReplyCode, WireError},
};
use crate::{address, exchange::Exchange};

/// Serves SOCKS5.
///
/// With an upgrade to TLS it prefers methods 80 and 82, which clients of the original offer;
/// without one it behaves as with `notls`.
pub struct Socks5Handler {
    options: Socks5Options,
    tls: Option<Arc<dyn Upgrade>>,
    /// For the sessions that take the visitors of bound ports to the clients.
    mux: MuxSettings,
}

/// A request, as far as it still matters once it was read.
struct Wanted {
    command: Command,
    at: Addr,
}

impl Socks5Handler {
    /// A handler with options, and with what TLS inside the conversation takes.
    ///
    /// # Errors
    /// The options of the multiplexed sessions make no sense.
    pub fn new(options: Socks5Options, tls: Option<Arc<dyn Upgrade>>) -> Result<Self> {
        let tls = tls.filter(|_| !options.notls);
        let mux = options.mux.settings(Version::V1)?;
        Ok(Self { options, tls, mux })
    }

    /// Agrees on a method, and does what it demands.
    async fn negotiate(&self, mut client: Exchange, session: &mut Session) -> Result<Exchange> {
        let (auth, tls) = (session.requires_auth(), self.tls.as_ref());
        let methods: &[Method] = match (auth, session.has_users()) {
            (true, _) => &[Method::TlsUser, Method::User],
            (false, false) => &[Method::Tls, Method::Plain],
            // Who need not be a user may insist on naming one.
            (false, true) => &[Method::Tls, Method::Plain, Method::TlsUser, Method::User],
        };
        let decode = |bytes: &[u8]| {
            let greeting = wire::decode_greeting(bytes)?;
            Ok::<_, WireError>(greeting.map(|(offered, len)| {
                let method = choose(offered, methods, tls.is_some());
                (method, len)
            }))
        };
        let method = client.expect(decode).await?;
        if method == Method::Unacceptable {
            client.end(&wire::choice(method)).await;
            let (why, what) = if auth {
                (Why::Auth, "the client offers no user and password")
            } else {
                (
                    Why::Unsupported,
                    "the client offers no method that is known here",
                )
            };
            return Err(Error::new(why, what).side(Side::Client));
        }
        client.write(&wire::choice(method)).await?;
        if let Some(tls) = tls.filter(|_| method.is_tls()) {
            client = Exchange::new(tls.server(client.into_conn()).await?, Side::Client)?;
        }
        if method.asks_user() {
            client = authenticate(client, session).await?;
        }
        Ok(client)
    }

    async fn connect(&self, mut client: Exchange, to: Addr, session: &mut Session) -> Result<Next> {
        match session.open(&Target::tcp(to)).await {
            Ok(upstream) => {
                let bound = upstream.local().clone();
                accept(&mut client, &bound).await?;
                Ok(Next::Relay(client.into_conn(), upstream))
            }
            Err(error) => {
                // Nothing finer, even where the error would allow it: clients of the original
                // know these two.
                let code = match error.why() {
                    Why::Denied => ReplyCode::NOT_ALLOWED,
                    _ => ReplyCode::NETWORK_UNREACHABLE,
                };
                Err(refuse(client, code, error).await)
            }
        }
    }
}

#[async_trait]
impl Handler for Socks5Handler {
    async fn handle(&self, conn: Conn, session: &mut Session) -> Result<Next> {
        let client = Exchange::new(conn, Side::Client)?;
        let mut client = self.negotiate(client, session).await?;
        let decode = |bytes: &[u8]| {
            let request = wire::decode_request(bytes)?;
            Ok(request.map(|(request, len)| {
                let (command, at) = (request.command, address::from_wire(request.address));
                (Wanted { command, at }, len)
            }))
        };
        let Wanted { command, at } = match client.read(decode).await? {
            Ok(wanted) => wanted,
            Err(error) => return Err(refuse_nonsense(client, error).await),
        };
        match command {
            Command::Resolve | Command::ResolvePtr if !self.options.tor => {
                Err(refuse_command(client, command).await)
            }
            Command::Connect | Command::Resolve if !names_host(&at) => {
                let error = Error::bad_input("the request has no name of a host");
                Err(refuse(client, ReplyCode::FAILURE, error).await)
            }
            Command::Connect => self.connect(client, at, session).await,
            Command::Bind => bind::bind(&self.options, client, at, session).await,
            Command::Associate => udp::associate(&self.options, client, session).await,
            Command::UdpTunnel => udp::tunnel(&self.options, client, at, session).await,
            Command::MuxBind => visitors::bind(&self.options, &self.mux, client, at, session).await,
            Command::Resolve => resolve::resolve(client, Network::Resolve, at, session).await,
            Command::ResolvePtr => resolve::resolve(client, Network::ResolvePtr, at, session).await,
            Command::Other(_) => Err(refuse_command(client, command).await),
        }
    }
}

impl fmt::Debug for Socks5Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socks5Handler")
            .field("options", &self.options)
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

/// The server's choice of a method. Source: wire-protocols 7, which was measured for all offers.
fn choose(offered: &[u8], methods: &[Method], tls: bool) -> Method {
    let is_possible =
        |method: &&Method| (tls || !method.is_tls()) && offered.contains(&(**method as u8));
    let chosen = methods.iter().find(is_possible);
    chosen.copied().unwrap_or(Method::Unacceptable)
}

async fn authenticate(mut client: Exchange, session: &mut Session) -> Result<Exchange> {
    let decode = |bytes: &[u8]| {
        let given = wire::decode_user(bytes)?;
        // Users and passwords are text, which other bytes can't equal.
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Ok::<_, WireError>(
            given.map(|(given, len)| ((text(given.user()), text(given.password())), len)),
        )
    };
    let (user, password) = client.expect(decode).await?;
    match session.authenticate(&user, &password).await {
        Ok(()) => {
            client.write(&wire::user_status(true)).await?;
            Ok(client)
        }
        Err(error) => {
            client.end(&wire::user_status(false)).await;
            Err(error)
        }
    }
}

/// False for a name that no host has.
fn names_host(at: &Addr) -> bool {
    match at {
        Addr::Name(name, _) => address::is_hostname(name),
        _ => true,
    }
}

/// Says yes, and which address was bound or has connected.
pub(super) async fn accept(client: &mut Exchange, bound: &Addr) -> Result<()> {
    let address = address::to_tell(bound);
    let mut bytes = Vec::with_capacity(32);
    let reply = Reply {
        code: ReplyCode::SUCCEEDED,
        address: (&address).into(),
    };
    wire::encode_reply(&reply, &mut bytes);
    client.write(&bytes).await
}

/// Says no, ends the connection and gives the reason back.
pub(super) async fn refuse(client: Exchange, code: ReplyCode, error: Error) -> Error {
    client.end(&wire::bare_reply(code)).await;
    error
}

/// Says no because the feature is switched off, which its name in small letters switches on.
pub(super) async fn refuse_feature(client: Exchange, what: &str) -> Error {
    let key = what.to_lowercase();
    let error = Error::new(
        Why::Denied,
        format!("{what} is switched off; {key}=true allows it"),
    );
    refuse(client, ReplyCode::NOT_ALLOWED, error).await
}

async fn refuse_command(client: Exchange, command: Command) -> Error {
    let what = format!("SOCKS5 command {:#04x} is not supported", command.code());
    let error = Error::new(Why::Unsupported, what).side(Side::Client);
    refuse(client, ReplyCode::COMMAND_UNSUPPORTED, error).await
}

async fn refuse_nonsense(client: Exchange, error: WireError) -> Error {
    let code = match error {
        // Who speaks another protocol understands no reply of this one.
        WireError::Version(_) => return client.nonsense(error),
        WireError::Address(DecodeError::AddressType(_)) => ReplyCode::ADDRESS_UNSUPPORTED,
        _ => ReplyCode::FAILURE,
    };
    let error = client.nonsense(error);
    refuse(client, code, error).await
}
