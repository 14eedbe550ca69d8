//! The dialers tls, mtls and utls.

use std::time::Duration;

use gost_core::prelude::*;
use gost_mux::{MuxDialer, MuxOptions, PoolOptions, Version};
use gost_net::{channel::ChannelDialer, keepalive::KeepaliveOptions};
use gost_tls::ClientOptions;

options! {
    /// Options of the tls dialer.
    pub struct TlsDialerOptions {
        /// How long the handshake may take; 0 for what is left of the time to dial.
        handshake_timeout: Duration = Duration::ZERO, "handshakeTimeout";
        ..tcp: KeepaliveOptions;
        ..tls: ClientOptions;
    }
}

options! {
    /// Options of the mtls dialer.
    pub struct MtlsDialerOptions {
        ..channel: TlsDialerOptions;
        ..mux: MuxOptions;
        ..pool: PoolOptions;
    }
}

options! {
    /// Options of the utls dialer.
    pub struct UtlsDialerOptions {
        /// The browser to look like. Known for the sake of configurations that give it: nothing
        /// is imitated.
        fingerprint: String = String::new(), "fingerprint";
        ..channel: TlsDialerOptions;
    }
}

/// TLS over TCP, or over whatever a chain has for it.
pub(crate) fn tls(options: TlsDialerOptions, build: &Build) -> Result<ChannelDialer> {
    let upgrade = gost_tls::dialer_upgrade(build)?;
    let mut dialer = ChannelDialer::new().with_handshake_timeout(options.handshake_timeout);
    if options.tcp.keepalive {
        dialer = dialer.with_upgrade(Arc::new(options.tcp));
    }
    Ok(dialer.with_upgrade(upgrade))
}

pub(crate) fn mtls(options: MtlsDialerOptions, build: &Build) -> Result<MuxDialer> {
    let settings = options.mux.settings(Version::V1)?;
    Ok(MuxDialer::new(
        tls(options.channel, build)?,
        settings,
        &options.pool,
    ))
}

pub(crate) fn utls(options: UtlsDialerOptions, build: &Build) -> Result<ChannelDialer> {
    if !matches!(&*options.fingerprint, "" | "golang") {
        tracing::warn!(
            "{}: fingerprint: utls does not look like {:?} here; it is the tls dialer",
            build.place,
            options.fingerprint
        );
    }
    tls(options.channel, build)
}
