//! What a node binds for us: a listener at the connector's side.

use gost_core::prelude::*;

use super::{
    connector::refused,
    wire::{self, ReplyCode},
};
use crate::{address, exchange::Exchange};

/// A listener for one connection: the one over which it was asked for becomes it.
pub(super) struct OnePeer {
    node: Option<Exchange>,
    bound: Addr,
}

impl OnePeer {
    /// `node` has been asked to BIND and has said that it did, at `bound`.
    pub(super) const fn new(node: Exchange, bound: Addr) -> Self {
        Self {
            node: Some(node),
            bound,
        }
    }
}

#[async_trait]
impl Listener for OnePeer {
    async fn accept(&mut self) -> Result<Incoming> {
        let Some(node) = &mut self.node else {
            return Err(Error::new(Why::Closed, "a bound port takes one connection"));
        };
        let reply = node.expect(decode_reply).await;
        let (code, peer) = match reply {
            Ok(reply) => reply,
            Err(error) => {
                self.node = None;
                return Err(error);
            }
        };
        // Just read from, so it is there.
        let Some(node) = self.node.take() else {
            return Err(Error::new(Why::Closed, ""));
        };
        if code != ReplyCode::SUCCEEDED {
            return Err(refused(code));
        }
        let mut conn = node.into_conn();
        conn.meta.local = self.bound.clone();
        conn.meta.peer = peer.clone();
        Ok(Incoming::ready(peer, conn))
    }

    fn addr(&self) -> Addr {
        self.bound.clone()
    }
}

/// A reply: code and address.
pub(super) fn decode_reply(bytes: &[u8]) -> wire::Decoded<(ReplyCode, Addr)> {
    let reply = wire::decode_reply(bytes)?;
    Ok(reply.map(|(reply, len)| ((reply.code, address::from_wire(reply.address)), len)))
}
