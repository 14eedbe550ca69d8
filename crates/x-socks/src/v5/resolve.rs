//! `RESOLVE` and `RESOLVE_PTR`: the address of a name and the name of an address, as the clients of
//! Tor ask for them.

use gost_core::prelude::*;

use super::{
    handler::{accept, refuse},
    wire::ReplyCode,
};
use crate::exchange::Exchange;

/// What a node said to such a question. It is what the connector's connection consists of.
#[derive(Debug)]
pub(super) struct Answer(pub(super) Addr);

/// Tells what a name or an address stands for.
///
/// Where the way out is direct, the hosts and the resolver of the service know. Through a chain it
/// is the last node that is asked, if it speaks SOCKS5: asking here would give away what the chain
/// is to hide.
pub(super) async fn resolve(
    mut client: Exchange,
    network: Network,
    at: Addr,
    session: &mut Session,
) -> Result<Next> {
    match found(network, at, session).await {
        Ok(found) => {
            accept(&mut client, &found).await?;
            client.end(&[]).await;
            Ok(Next::Done)
        }
        Err(error) => {
            let code = match error.why() {
                Why::Denied => ReplyCode::NOT_ALLOWED,
                _ => ReplyCode::FAILURE,
            };
            Err(refuse(client, code, error).await)
        }
    }
}

async fn found(network: Network, at: Addr, session: &mut Session) -> Result<Addr> {
    // Rules know connections to addresses, of which this would be the first half.
    session.check(&Target::tcp(at.clone())).await?;
    let found = if !session.is_direct() {
        ask(Target { network, addr: at }, session).await?
    } else if network == Network::Resolve {
        Addr::from(session.resolve(&at).await?)
    } else {
        let what = format!("RESOLVE_PTR {at}: nothing here knows names of addresses");
        return Err(Error::new(Why::Unsupported, what));
    };
    session.check(&Target::tcp(found.clone())).await?;
    Ok(found)
}

async fn ask(question: Target, session: &mut Session) -> Result<Addr> {
    let upstream = session.open(&question).await?;
    let Io::Other(answer) = upstream.conn.io else {
        let what = format!("resolve {question}: the last node of the chain can't");
        return Err(Error::new(Why::Unsupported, what));
    };
    match answer.downcast::<Answer>() {
        Ok(answer) => Ok(answer.0),
        Err(_) => Err(Error::new(Why::Unsupported, format!("resolve {question}"))),
    }
}
