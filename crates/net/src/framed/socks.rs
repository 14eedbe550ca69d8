//! The UDP datagrams of SOCKS5 (RFC 1928, section 7).

use std::{
    fmt, io,
    net::IpAddr,
    task::{Context, Poll, ready},
};

use gost_core::{
    addr::Addr,
    packet::{Batch, Packet, RawPacket},
};
use gost_relay::udp;

use super::address::{from_wire, to_wire};
use crate::udp::{Drops, lease};

/// The conversation inside an association: datagrams with the address of the far side in a header
/// of their own.
///
/// One that is too short, has an unknown type of address or is a fragment is dropped and counted;
/// it ends nothing.
pub struct SocksUdp {
    inner: Box<dyn Packet>,
    role: Role,
    /// Wrapped already, but not yet sent.
    owed: Option<Box<Batch>>,
    last: Addr,
    drops: Drops,
}

enum Role {
    /// We talk to the server that `inner` is connected to, or whose address this is.
    Client { server: Addr },
    /// We are the server.
    Server {
        /// Whose datagrams are taken; anybody's when unknown.
        from: Option<IpAddr>,
        /// Where the client was last seen, and so where it is answered.
        client: Option<Addr>,
    },
}

impl SocksUdp {
    /// The client's side. `inner` reaches the server at `server`; a connected socket needs no
    /// address, so [`Addr::Any`] will do.
    pub fn client(inner: Box<dyn Packet>, server: Addr) -> Self {
        Self::new(inner, Role::Client { server })
    }

    /// The server's side: `inner` is the socket that the client was told to send to. Datagrams of
    /// other hosts than `from`, the one that holds the association, are dropped. Answers go to
    /// where the client sent from last; those that come before it sent anything are dropped.
    pub fn server(inner: Box<dyn Packet>, from: Option<IpAddr>) -> Self {
        Self::new(
            inner,
            Role::Server {
                from: from.map(|ip| ip.to_canonical()),
                client: None,
            },
        )
    }

    fn new(inner: Box<dyn Packet>, role: Role) -> Self {
        Self {
            inner,
            role,
            owed: None,
            last: Addr::Any,
            drops: Drops::new("socks5 udp"),
        }
    }

    /// How many datagrams were dropped.
    pub fn dropped(&self) -> u64 {
        self.drops.total()
    }
}

impl Packet for SocksUdp {
    fn poll_recv(&mut self, cx: &mut Context<'_>, into: &mut Batch) -> Poll<io::Result<()>> {
        loop {
            let before = into.len();
            ready!(self.inner.poll_recv(cx, into))?;
            if into.len() == before {
                return Poll::Ready(Ok(()));
            }
            let (role, last) = (&mut self.role, &mut self.last);
            let dropped = into.trim(before, |bytes, addr| {
                if let Role::Server { from: Some(ip), .. } = role
                    && addr.ip().is_none_or(|addr| addr.ip().to_canonical() != *ip)
                {
                    return None;
                }
                let datagram = udp::decode_socks(bytes).ok().filter(|d| d.frag == 0)?;
                let far = from_wire(datagram.address, last);
                if *last != far {
                    last.clone_from(&far);
                }
                let sender = std::mem::replace(addr, far);
                if let Role::Server { client, .. } = role
                    && client.as_ref() != Some(&sender)
                {
                    *client = Some(sender);
                }
                Some(datagram.len - datagram.payload.len())
            });
            self.drops
                .add(dropped, "they are not the client's, or broken");
            if into.len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, from: &mut Batch) -> Poll<io::Result<()>> {
        loop {
            if let Some(owed) = &mut self.owed {
                ready!(self.inner.poll_send(cx, owed))?;
                self.owed = None;
            }
            if from.is_empty() {
                // It may still owe something itself.
                return self.inner.poll_send(cx, from);
            }
            let to = match &self.role {
                Role::Client { server } => server,
                Role::Server {
                    client: Some(to), ..
                } => to,
                Role::Server { client: None, .. } => {
                    self.drops.add(from.len(), "the client has not sent yet");
                    from.clear();
                    continue;
                }
            };
            let mut wrapped = lease();
            let (mut taken, mut dropped) = (0, 0);
            for (payload, far) in from.iter() {
                let mut room = wrapped.room();
                let whole = room.len();
                if whole < payload.len() + udp::MAX_HEADER_LEN {
                    break;
                }
                taken += 1;
                match to_wire(far) {
                    Some(far) if udp::encode_socks(far, payload, &mut room).is_ok() => {
                        let len = whole - room.len();
                        wrapped.commit(len, to.clone());
                    }
                    _ => dropped += 1,
                }
            }
            from.advance(taken);
            self.drops
                .add(dropped, "the header can't carry their address");
            if self.inner.poll_send(cx, &mut wrapped)?.is_pending() {
                self.owed = Some(Box::new(wrapped.take()));
                return Poll::Pending;
            }
        }
    }

    fn into_raw(self: Box<Self>) -> Result<RawPacket, Box<dyn Packet>> {
        Err(self)
    }
}

impl fmt::Debug for SocksUdp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocksUdp").finish_non_exhaustive()
    }
}
