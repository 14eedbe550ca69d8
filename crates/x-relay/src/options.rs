//! The keys of handler and connector.

use std::time::Duration;

use gost_core::options;
use gost_mux::MuxOptions;

options! {
    /// Options of the relay handler.
    pub struct RelayOptions {
        /// Let clients listen here: TCP and Unix sockets, UDP sockets and associations.
        bind: bool = false, "bind";
        /// Answer at once instead of holding the answer some milliseconds for the first data.
        nodelay: bool = false, "nodelay";
        /// Read for compatibility: datagrams of any size pass.
        udp_buffer_size: usize = 4096, "udp.bufferSize" | "udpBufferSize";
        ..mux: MuxOptions;
    }
}

options! {
    /// Options of the relay connector.
    pub struct RelayConnectorOptions {
        /// How long the node may take to answer, where the answer is waited for: with nodelay, and
        /// when the node is to listen. 0 is 500ms for the first, past which the connection counts
        /// as made, and 15s for the second.
        connect_timeout: Duration = Duration::ZERO, "connectTimeout";
        /// Send the request at once and wait a moment for the answer, instead of holding the
        /// request some milliseconds for the first data.
        nodelay: bool = false, "nodelay";
        ..mux: MuxOptions;
    }
}
