//! The options of the udp listener.

use std::time::Duration;

use gost_net::udp::FlowOptions;

/// How long a flow may be idle: with keep-alive, what RFC 4787 recommends; without, what it
/// demands at least of most ports; and where each datagram is a flow, long enough for answers.
const KEPT: Duration = Duration::from_mins(2);
const PLAIN: Duration = Duration::from_mins(1);
const STATELESS: Duration = Duration::from_secs(5);

gost_core::options! {
    /// Options of the udp listener.
    pub struct UdpOptions {
        /// How many new clients may wait to be accepted; the datagrams of more are dropped.
        backlog: usize = 4096, "backlog";
        /// Keep an idle client for two minutes instead of one. Answers never end it.
        keepalive: bool = false, "keepalive";
        /// How long a client is kept without a datagram in either direction; 0 leaves it to
        /// `keepalive` and `stateless`.
        ttl: Duration = Duration::ZERO, "ttl" | "keepalive.ttl";
        /// Without effect: datagrams of every length are received whole.
        read_buffer_size: usize = 0, "readBufferSize" | "udp.bufferSize";
        /// How many datagrams of one client may wait; what comes beyond is dropped.
        read_queue_size: usize = 1024, "readQueueSize" | "recvQueueSize";
        /// Take each datagram for a client of its own, which is answered for five seconds.
        stateless: bool = false, "stateless";
    }
}

impl UdpOptions {
    /// What the options mean for the flows.
    pub fn flows(&self) -> FlowOptions {
        let default = FlowOptions::default();
        let or = |n: usize, other: usize| if n == 0 { other } else { n };
        FlowOptions {
            ttl: match self.ttl {
                Duration::ZERO if self.stateless => STATELESS,
                Duration::ZERO if self.keepalive => KEPT,
                Duration::ZERO => PLAIN,
                ttl => ttl,
            },
            queue: or(self.read_queue_size, default.queue),
            backlog: or(self.backlog, default.backlog),
            stateless: self.stateless,
            ..default
        }
    }
}
