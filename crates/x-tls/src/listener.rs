//! The listeners tls and mtls.

use gost_core::prelude::*;
use gost_mux::{MuxListener, MuxOptions, Version};
use gost_net::{
    channel::ChannelListener,
    listen::{self, TcpOptions},
};

options! {
    /// Options of the mtls listener.
    pub struct MtlsListenerOptions {
        /// How many streams of a connection may wait to be served; 0 for the default.
        backlog: usize = 0, "backlog";
        ..tcp: TcpOptions;
        ..mux: MuxOptions;
    }
}

pub(crate) async fn tls(options: TcpOptions, build: Build) -> Result<Box<dyn Listener>> {
    Ok(Box::new(channel(&options, &build).await?))
}

pub(crate) async fn mtls(options: MtlsListenerOptions, build: Build) -> Result<Box<dyn Listener>> {
    let settings = options
        .mux
        .settings(Version::V1)?
        .with_backlog(options.backlog);
    let below = channel(&options.tcp, &build).await?;
    Ok(Box::new(MuxListener::new(below, settings)))
}

/// TLS over TCP.
async fn channel(options: &TcpOptions, build: &Build) -> Result<ChannelListener> {
    let upgrade = gost_tls::listener_upgrade(build)?;
    let below = listen::tcp(&build.addr, options, &build.door).await?;
    upgrade.prepare();
    Ok(ChannelListener::new(below).with_upgrade(upgrade))
}
