//! The listeners.

use gost_core::prelude::*;
use gost_mux::{MuxListener, MuxOptions, Version};
use gost_net::{
    channel::ChannelListener,
    listen::{self, TcpOptions},
};

use crate::{Settings, Tls, WebSocket, options::WsOptions};

options! {
    /// Options of the listeners ws and wss.
    pub struct WsListenerOptions {
        /// Known, without effect: connections wait in their handshakes, not in a queue.
        backlog: usize = 0, "ws.backlog" | "backlog";
        ..ws: WsOptions;
        ..tcp: TcpOptions;
    }
}

options! {
    /// Options of the listeners mws and mwss.
    pub struct MwsListenerOptions {
        /// How many streams of a connection may wait to be served; 0 for the default.
        backlog: usize = 0, "ws.backlog" | "backlog";
        ..ws: WsOptions;
        ..tcp: TcpOptions;
        ..mux: MuxOptions;
    }
}

pub(crate) async fn ws(
    options: WsListenerOptions,
    build: Build,
    tls: Tls,
) -> Result<Box<dyn Listener>> {
    Ok(Box::new(
        open(&options.ws, &options.tcp, &build, tls).await?,
    ))
}

pub(crate) async fn mws(
    options: MwsListenerOptions,
    build: Build,
    tls: Tls,
) -> Result<Box<dyn Listener>> {
    let settings = options
        .mux
        .settings(Version::V1)?
        .with_backlog(options.backlog);
    let below = open(&options.ws, &options.tcp, &build, tls).await?;
    Ok(Box::new(MuxListener::new(below, settings)))
}

async fn open(
    options: &WsOptions,
    tcp: &TcpOptions,
    build: &Build,
    tls: Tls,
) -> Result<ChannelListener> {
    let ws = Arc::new(WebSocket::new(Settings::new(options)?));
    let door = listen::tcp(&build.addr, tcp, &build.door);
    let listener = match tls {
        Tls::Without => ChannelListener::new(door.await?),
        Tls::Within => {
            // What is wrong with its settings shows before anything listens.
            let tls = gost_tls::listener_upgrade(build)?;
            let listener = ChannelListener::new(door.await?);
            tls.prepare();
            listener.with_upgrade(tls)
        }
    };
    Ok(listener.with_upgrade(ws))
}
