//! The mtcp listener.

use gost_core::prelude::*;
use gost_mux::{MuxListener, MuxOptions, Version};
use gost_net::listen::{self, TcpOptions};

options! {
    /// Options of the mtcp listener.
    pub struct MtcpListenerOptions {
        /// How many streams of a connection may wait to be served; 0 for the default.
        backlog: usize = 0, "backlog";
        ..tcp: TcpOptions;
        ..mux: MuxOptions;
    }
}

pub(crate) async fn build(options: MtcpListenerOptions, build: Build) -> Result<Box<dyn Listener>> {
    let settings = options
        .mux
        .settings(Version::V2)?
        .with_backlog(options.backlog);
    let below = listen::tcp(&build.addr, &options.tcp, &build.door).await?;
    Ok(Box::new(MuxListener::new(below, settings)))
}
