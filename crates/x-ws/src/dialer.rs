//! The dialers.

use std::time::Duration;

use gost_core::prelude::*;
use gost_mux::{MuxDialer, MuxOptions, PoolOptions, Version};
use gost_net::{channel::ChannelDialer, keepalive::KeepaliveOptions};

use crate::{Keepalive, Settings, Tls, WebSocket, options::WsOptions};

options! {
    /// Options of the dialers ws and wss.
    pub struct WsDialerOptions {
        /// What the server is called in the request; empty for the address of the node.
        host: String = String::new(), "ws.host" | "host";
        /// Send a ping every `ttl` in which no data came, and end the connection when another one
        /// passes without a sign of life. Unless given, a ping goes every 30 seconds, for the sake
        /// of proxies on the way, and need not be answered; `false` sends none.
        keepalive: Option<bool> = None, "ws.keepalive" | "keepalive";
        /// How often a ping is sent, where `keepalive` is true.
        ttl: Duration = TTL, "ttl" | "keepalive.interval";
        ..ws: WsOptions;
        ..tcp: TcpKeepalive;
    }
}

options! {
    /// Options of the dialers mws and mwss.
    pub struct MwsDialerOptions {
        /// What the server is called in the request; empty for the address of the node.
        host: String = String::new(), "ws.host" | "host";
        /// Send a ping every `ttl` in which no data came, and end the session when another one
        /// passes without a sign of life. Sessions have signs of life of their own besides.
        keepalive: bool = false, "ws.keepalive" | "keepalive";
        /// How often a ping is sent, where `keepalive` is true.
        ttl: Duration = TTL, "ttl" | "keepalive.interval";
        ..ws: WsOptions;
        ..tcp: TcpKeepalive;
        ..mux: MuxOptions;
        ..pool: PoolOptions;
    }
}

options! {
    /// TCP keep-alive under a name of its own: `keepalive` is the channel's.
    pub struct TcpKeepalive {
        /// Set TCP keep-alive with the three keys below.
        keepalive: bool = false, "tcp.keepalive";
        /// How long a connection is idle before the first probe.
        idle: Duration = Duration::from_secs(15), "tcp.keepalive.idle";
        /// Time between probes.
        interval: Duration = Duration::from_secs(15), "tcp.keepalive.interval";
        /// Probes without an answer that end the connection.
        count: u32 = 9, "tcp.keepalive.count";
    }
}

/// How often a ping is sent, unless `ttl` says otherwise.
const TTL: Duration = Duration::from_secs(15);

/// The same where nobody has asked for pings. Proxies cut what is silent for a minute or more.
const UNASKED: Duration = Duration::from_secs(30);

pub(crate) fn ws(options: &WsDialerOptions, build: &Build, tls: Tls) -> Result<ChannelDialer> {
    let keepalive = match options.keepalive {
        Some(asked) => asked.then(|| strict(options.ttl)),
        None => Some(Keepalive {
            every: UNASKED,
            strict: false,
        }),
    };
    let settings = Settings::new(&options.ws)?
        .with_host(&options.host)?
        .with_keepalive(keepalive);
    channel(
        settings,
        options.ws.handshake_timeout,
        &options.tcp,
        build,
        tls,
    )
}

pub(crate) fn mws(options: &MwsDialerOptions, build: &Build, tls: Tls) -> Result<MuxDialer> {
    let mux = options.mux.settings(Version::V1)?;
    let settings = Settings::new(&options.ws)?
        .with_host(&options.host)?
        .with_keepalive(options.keepalive.then(|| strict(options.ttl)));
    let below = channel(
        settings,
        options.ws.handshake_timeout,
        &options.tcp,
        build,
        tls,
    )?;
    Ok(MuxDialer::new(below, mux, &options.pool))
}

fn strict(ttl: Duration) -> Keepalive {
    Keepalive {
        every: if ttl.is_zero() { TTL } else { ttl },
        strict: true,
    }
}

fn channel(
    settings: Settings,
    handshake_timeout: Duration,
    tcp: &TcpKeepalive,
    build: &Build,
    tls: Tls,
) -> Result<ChannelDialer> {
    let mut dialer = ChannelDialer::new().with_handshake_timeout(handshake_timeout);
    if tcp.keepalive {
        dialer = dialer.with_upgrade(Arc::new(KeepaliveOptions {
            keepalive: true,
            keepalive_idle: tcp.idle,
            keepalive_interval: tcp.interval,
            keepalive_count: tcp.count,
        }));
    }
    if tls == Tls::Within {
        dialer = dialer.with_upgrade(gost_tls::dialer_upgrade(build)?);
    }
    Ok(dialer.with_upgrade(Arc::new(WebSocket::new(settings))))
}
