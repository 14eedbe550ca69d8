//! Datagrams from many, split into one conversation for each.

mod flow;
mod inbox;
mod shared;
mod table;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use gost_core::{
    addr::{Addr, Network},
    conn::{Conn, Meta},
    error::{Error, Phase, Result, Side, Why},
    listener::{Incoming, Listener},
    meter::Meter,
    outbound::BindOptions,
    packet::Packet,
};
use tokio::{sync::mpsc, task::JoinSet};

use self::{flow::Flow, shared::Shared, table::Demux};

/// How flows are to be kept.
#[derive(Clone, Debug)]
pub struct FlowOptions {
    /// How long a flow lives without a datagram in either direction.
    pub ttl: Duration,
    /// How many datagrams may wait in each flow; what comes beyond is dropped.
    pub queue: usize,
    /// How many flows may wait to be accepted; the datagrams of more are dropped.
    pub backlog: usize,
    /// How many flows there may be. The one that has been idle longest makes room for a new one.
    pub max: usize,
    /// Make a flow of each datagram: it reads one, and can answer until its time is up.
    pub stateless: bool,
    /// Counts and limits the datagrams of all flows; what is above the limit is dropped.
    pub meter: Meter,
}

impl Default for FlowOptions {
    fn default() -> Self {
        Self {
            ttl: Duration::from_mins(1),
            queue: 1024,
            backlog: 4096,
            max: 16_384,
            stateless: false,
            meter: Meter::default(),
        }
    }
}

impl From<&BindOptions> for FlowOptions {
    fn from(how: &BindOptions) -> Self {
        Self {
            ttl: how.ttl,
            queue: how.queue,
            // A burst of new clients arrives at once, unlike connections, and can't wait.
            backlog: how.backlog.max(1024),
            ..Self::default()
        }
    }
}

/// A listener that makes a connection of each remote address that datagrams come from.
///
/// A task of its own splits the datagrams, so that accepted flows go on while nobody accepts.
/// Flows end when they have been idle, when the source ends, and when the listener is dropped.
pub struct Flows {
    accepted: mpsc::Receiver<Flow>,
    local: Addr,
    shared: Arc<Shared>,
    /// Ends with the listener.
    _demux: JoinSet<()>,
}

impl Flows {
    /// Splits the datagrams of `packet`: a [`UdpConn`](super::UdpConn), or anything whose
    /// datagrams have addresses. `local` is the address that is listened on. Has to be called
    /// inside a runtime.
    pub fn new(packet: Box<dyn Packet>, local: Addr, options: FlowOptions) -> Result<Self> {
        let (accept, accepted) = mpsc::channel(options.backlog.max(1));
        let shared = Arc::new(Shared::new(packet, &local, options)?);
        let mut demux = JoinSet::new();
        demux.spawn(Demux::new(shared.clone(), accept));
        Ok(Self {
            accepted,
            local,
            shared,
            _demux: demux,
        })
    }

    /// How many datagrams were dropped because a flow did not read them, was not accepted in
    /// time, or by the limit.
    pub fn dropped(&self) -> u64 {
        self.shared.drops.total()
    }
}

#[async_trait]
impl Listener for Flows {
    async fn accept(&mut self) -> Result<Incoming> {
        let Some(flow) = self.accepted.recv().await else {
            let mut error = Error::new(Why::Closed, format!("listen {}", self.local))
                .side(Side::Us)
                .phase(Phase::Bind);
            if let Some(reason) = self.shared.failure() {
                error = error.caused_by(reason);
            }
            return Err(error);
        };
        let peer = flow.peer().clone();
        let meta = Meta::new(self.local.clone(), peer.clone());
        Ok(Incoming::ready(peer, Conn::packet(flow, meta)))
    }

    fn addr(&self) -> Addr {
        self.local.clone()
    }

    fn network(&self) -> Network {
        Network::Udp
    }
}
