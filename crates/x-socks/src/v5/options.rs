//! The keys of handler and connector.

use std::time::Duration;

use gost_core::options;
use gost_mux::MuxOptions;

options! {
    /// Options of the socks5 handler.
    pub struct Socks5Options {
        /// Never choose a method with TLS.
        notls: bool = false, "notls";
        /// Let clients listen here: BIND, its multiplexed form, and the UDP tunnel with a port.
        bind: bool = false, "bind";
        /// Let clients send datagrams: UDP ASSOCIATE and the UDP tunnel.
        udp: bool = false, "udp";
        /// Kept for the sake of old configurations: datagrams of every size pass.
        udp_buffer_size: usize = 4096, "udp.bufferSize" | "udpBufferSize";
        /// Resolve the names that datagrams came from before the client is told them.
        udp_resolve_domain: bool = false, "udp.resolveDomain" | "udpResolveDomain";
        /// The lowest port for the sockets of UDP ASSOCIATE; 0 for any.
        udp_min_port: u16 = 0, "udp.bindRange.min" | "udp.minPort";
        /// The highest port for the sockets of UDP ASSOCIATE.
        udp_max_port: u16 = 0, "udp.bindRange.max" | "udp.maxPort";
        /// The host that clients are told in replies to BIND and UDP ASSOCIATE; for the latter it
        /// has to be an IP address.
        public_addr: String = String::new(), "socks.publicAddr" | "publicAddr";
        /// Do not say in a stream of the multiplexed BIND who connected. No client of the current
        /// version takes that.
        comp: bool = false, "comp";
        /// Resolve names for clients: Tor's RESOLVE and RESOLVE_PTR. Through a chain its last node is
        /// asked, if it speaks SOCKS5.
        tor: bool = false, "tor" | "enableTor" | "socks5.tor";
        ..mux: MuxOptions;
    }
}

options! {
    /// Options of the socks5 connector.
    pub struct Socks5ConnectorOptions {
        /// How long the node may take to answer; 0 for no limit of its own.
        timeout: Duration = Duration::ZERO, "timeout";
        /// Offer no method with TLS.
        notls: bool = false, "notls";
        /// `udp` carries datagrams over UDP (UDP ASSOCIATE), anything else over the connection to
        /// the node (UDP tunnel), which only servers of gost know.
        relay: String = String::new(), "relay";
        /// Kept for the sake of old configurations: datagrams of every size pass.
        udp_buffer_size: usize = 4096, "udp.bufferSize" | "udpBufferSize";
        /// With `relay=udp`: end the association when nothing came back for so long; 0 for never.
        udp_timeout: Duration = Duration::ZERO, "udp.timeout";
        ..mux: MuxOptions;
    }
}
