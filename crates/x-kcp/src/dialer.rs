//! The kcp dialer.

use std::sync::Arc;

use async_trait::async_trait;
use gost_core::{
    addr::{Addr, Target},
    build::Build,
    conn::{Conn, Io},
    error::Result,
    outbound::{Ask, Dialer, NodeAddr, Outbound},
};
use gost_mux::MuxDialer;

use crate::{
    endpoint::{Endpoint, NoDoor, random},
    options::KcpDialerOptions,
    settings::Settings,
};

/// Begins sessions, each over a socket of its own.
struct KcpDialer {
    settings: Arc<Settings>,
}

pub(crate) fn build(options: &KcpDialerOptions, build: &Build) -> Result<MuxDialer> {
    let settings = Settings::new(&options.kcp, &build.place)?;
    if settings.dscp != 0 {
        tracing::warn!("{}: dscp is for listeners only", build.place);
    }
    let mux = settings.mux.clone();
    Ok(MuxDialer::new(KcpDialer { settings }, mux, &options.pool))
}

#[async_trait]
impl Dialer for KcpDialer {
    async fn dial(&self, node: &NodeAddr, below: &Arc<dyn Outbound>, ask: &Ask) -> Result<Conn> {
        let to = Target::udp(node.addr.clone());
        let (packet, meta) = below.connect(&to, ask).await?.into_packet()?;
        let mut conversation = [0; 4];
        random(&mut conversation)?;
        let mut endpoint = Endpoint::new(packet, NoDoor, &node.addr.to_string())?;
        let conversation = u32::from_le_bytes(conversation);
        let stream = endpoint.open(conversation, Addr::Any, &self.settings)?;
        tokio::spawn(endpoint.run());
        Ok(Conn {
            io: Io::Stream(Box::new(stream)),
            meta,
        })
    }
}
