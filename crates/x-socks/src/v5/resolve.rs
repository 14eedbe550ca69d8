//! RESOLVE: the address of a name, as Tor's clients ask for it.

use gost_core::prelude::*;

use super::{
    handler::{accept, refuse},
    wire::ReplyCode,
};
use crate::exchange::Exchange;

/// Tells the address of a name, with the hosts and the resolver of the service.
///
/// Only where the way out is direct: through a chain the name means what it means at the far end,
/// which nothing here can ask, and asking here would give away what the chain is to hide.
pub(super) async fn resolve(
    mut client: Exchange,
    name: &Addr,
    session: &mut Session,
) -> Result<Next> {
    match found(name, session).await {
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

async fn found(name: &Addr, session: &Session) -> Result<Addr> {
    if !session.is_direct() {
        let what = format!("RESOLVE {name}: not through a chain");
        return Err(Error::new(Why::Unsupported, what));
    }
    // Rules know connections to addresses, of which this would be the first half.
    session.check(&Target::tcp(name.clone())).await?;
    let found = Addr::from(session.resolve(name).await?);
    session.check(&Target::tcp(found.clone())).await?;
    Ok(found)
}
