//! The socks4 handler.

use gost_core::prelude::*;

use super::wire::{self, Command, Host, ReplyCode, Request, WireError};
use crate::{address, exchange::Exchange};

/// Serves SOCKS4, with or without 4a: connections to targets.
///
/// The user id is checked as a user with an empty password, since the protocol has none. Binding
/// is refused, as is whatever has no reply code of its own: code 91.
#[derive(Debug, Default)]
pub struct Socks4Handler;

/// A request, as far as it still matters once it was read.
struct Wanted {
    command: Command,
    user: String,
    /// `None` for a name that no host has.
    target: Option<Addr>,
}

impl From<Request<'_>> for Wanted {
    fn from(request: Request<'_>) -> Self {
        let target = match request.host {
            Host::Ip(ip) => Some(Addr::Ip((ip, request.port).into())),
            Host::Name(name) => {
                address::is_hostname(name).then(|| address::from_host(name, request.port))
            }
        };
        Self {
            command: request.command,
            // A user of a table is text, which other bytes can't equal.
            user: String::from_utf8_lossy(request.user).into_owned(),
            target,
        }
    }
}

#[async_trait]
impl Handler for Socks4Handler {
    async fn handle(&self, conn: Conn, session: &mut Session) -> Result<Next> {
        let mut client = Exchange::new(conn, Side::Client)?;
        let decode = |bytes: &[u8]| {
            let request = wire::decode_request(bytes)?;
            Ok(request.map(|(request, len)| (Wanted::from(request), len)))
        };
        let wanted = match client.read(decode).await? {
            Ok(wanted) => wanted,
            // Who speaks another protocol understands no reply of this one.
            Err(error @ WireError::Version(_)) => return Err(client.nonsense(error)),
            Err(error) => {
                let error = client.nonsense(error);
                return Err(refuse(client, ReplyCode::FAILED, error).await);
            }
        };
        if session.requires_auth()
            && let Err(error) = session.authenticate(&wanted.user, "").await
        {
            return Err(refuse(client, ReplyCode::WRONG_USER, error).await);
        }
        let target = match (wanted.command, wanted.target) {
            (Command::Connect, Some(target)) => target,
            (Command::Connect, None) => {
                let error = Error::bad_input("connect: no name of a host");
                return Err(refuse(client, ReplyCode::FAILED, error).await);
            }
            (command, _) => {
                let what = format!("SOCKS4 command {} is not supported", command.code());
                let error = Error::new(Why::Unsupported, what).side(Side::Client);
                return Err(refuse(client, ReplyCode::FAILED, error).await);
            }
        };
        match session.open(&Target::tcp(target)).await {
            Ok(upstream) => {
                client.write(&wire::reply(ReplyCode::GRANTED)).await?;
                Ok(Next::Relay(client.into_conn(), upstream))
            }
            Err(error) => {
                let code = match error.why() {
                    Why::Denied => ReplyCode::REJECTED,
                    _ => ReplyCode::FAILED,
                };
                Err(refuse(client, code, error).await)
            }
        }
    }
}

/// Says no, ends the connection and gives the reason back.
async fn refuse(client: Exchange, code: ReplyCode, error: Error) -> Error {
    client.end(&wire::reply(code)).await;
    error
}
