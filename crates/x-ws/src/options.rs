//! Keys that listeners and dialers have in common.

use std::{collections::BTreeMap, time::Duration};

use gost_core::{
    error::{Error, Result, Why},
    options,
};
use gost_ws::handshake::Headers;

options! {
    /// Keys of both ends of a WebSocket.
    pub struct WsOptions {
        /// The path that is asked for. A listener answers 404 to any other; one that ends in `/`
        /// stands for all below it.
        path: String = PATH.into(), "ws.path" | "path";
        /// Header lines to be added to the request, or to the response. `Host` and `User-Agent`
        /// replace those of the request.
        header: BTreeMap<String, String> = BTreeMap::new(), "ws.header" | "header";
        /// How long the handshake may take, TLS included; 0 leaves that to the deadline of the
        /// service or of the one who dials.
        handshake_timeout: Duration = Duration::ZERO, "ws.handshakeTimeout" | "handshakeTimeout";
        /// How long a listener waits for the header of a request; 0 for as long as the handshake
        /// may take.
        read_header_timeout: Duration = Duration::ZERO, "ws.readHeaderTimeout" | "readHeaderTimeout";
        /// Known, without effect: nothing is read into a buffer of the connection.
        read_buffer_size: usize = 0, "ws.readBufferSize" | "readBufferSize";
        /// The most payload of a frame that is sent, in bytes; 0 for what is written at once.
        write_buffer_size: usize = 0, "ws.writeBufferSize" | "writeBufferSize";
        /// Known, without effect: compression is neither offered nor accepted, since what a
        /// tunnel carries is mostly encrypted.
        enable_compression: bool = false, "ws.enableCompression" | "enableCompression";
        /// Pass the end of one direction on while the other goes on. False for a way that takes
        /// it as the end of both, such as one through nginx.
        half_close: bool = true, "ws.halfClose" | "halfClose";
    }
}

/// The path, unless another is given.
const PATH: &str = "/ws";

impl WsOptions {
    /// The path; an empty one is the usual one, and a slash that is missing in front is put there.
    pub(crate) fn path(&self) -> String {
        match &*self.path {
            "" => PATH.to_owned(),
            path if path.starts_with('/') => path.to_owned(),
            path => format!("/{path}"),
        }
    }

    pub(crate) fn headers(&self) -> Result<Headers> {
        let lines = self.header.iter().map(|(name, value)| (&**name, &**value));
        Headers::new(lines).map_err(|error| Error::new(Why::BadInput, error.to_string()))
    }
}
