//! The time between requests, in which nothing is held but the connections.

use std::future::pending;

use gost_core::{
    addr::Target,
    error::{Error, Result, Side},
};
use tokio::time::{Duration, sleep};

use crate::{options::Limits, peer::Peer};

/// How long a connection to a target waits for another request. Source: `protocols.md` 2.
const PARKED: Duration = Duration::from_secs(30);

/// A connection to a target that takes another request.
pub(crate) struct Parked {
    pub(crate) target: Target,
    /// For whom it was opened: another user may have to go another way.
    pub(crate) user: String,
    pub(crate) peer: Peer,
}

impl Parked {
    /// Ready when it is of no use any more: it ended, said something without being asked, or has
    /// waited long enough.
    async fn lost(&mut self) {
        tokio::select! {
            _ = self.peer.fill() => {}
            () = sleep(PARKED) => {}
        }
    }
}

/// Ends a connection that waits for a request, if there is one.
pub(crate) async fn close(parked: &mut Option<Parked>) {
    if let Some(parked) = parked.take() {
        Box::pin(parked.peer.close()).await;
    }
}

/// Waits for the first byte of another request; false when none will come.
pub(crate) async fn wait(
    client: &mut Peer,
    parked: &mut Option<Parked>,
    limits: &Limits,
) -> Result<bool> {
    if !client.buf.is_empty() {
        return Ok(true);
    }
    client.rest();
    let silence = sleep(limits.client);
    tokio::pin!(silence);
    loop {
        let lost = async {
            match parked {
                Some(parked) => parked.lost().await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            filled = client.fill() => return match filled {
                Ok(n) => Ok(n > 0),
                Err(error) => Err(Error::from(error).context("read a request").side(Side::Client)),
            },
            () = lost => {}
            () = &mut silence => return Ok(false),
        }
        close(parked).await;
    }
}
