//! The keys of the forward handlers.

use std::time::Duration;

use gost_core::options;

options! {
    /// Options of the forward handlers.
    pub struct ForwardOptions {
        /// Send a PROXY header of this version to the target, unless 0; over UDP it is a datagram
        /// of its own.
        proxy_protocol: u8 = 0, "proxyProtocol";
        /// End a client of datagrams once it has as many answers as it sent requests.
        stateless: bool = false, "stateless";
        /// With `stateless`, how long an answer may take; 0 for the default.
        read_timeout: Duration = ANSWER, "readTimeout" | "read.timeout";
        /// Without effect: datagrams of every length are forwarded whole.
        buffer_size: usize = 4096, "bufferSize" | "readBufferSize" | "udp.bufferSize";
    }
}

/// How long the answer to a datagram may take.
const ANSWER: Duration = Duration::from_secs(15);

impl ForwardOptions {
    /// How long an answer may take.
    pub(crate) fn answer(&self) -> Duration {
        if self.read_timeout.is_zero() {
            ANSWER
        } else {
            self.read_timeout
        }
    }
}
