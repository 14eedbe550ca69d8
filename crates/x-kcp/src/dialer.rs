//! The kcp dialer.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use gost_core::{
    addr::{Addr, Network, Target},
    build::Build,
    conn::{Conn, Io},
    error::{Error, Phase, Result, Why},
    outbound::{Ask, Dialer, NodeAddr, Outbound},
};
use gost_mux::{Pool, Session, client};

use crate::{
    door::NoDoor,
    endpoint::{Endpoint, random},
    options::KcpDialerOptions,
    settings::Settings,
    statistics::Watch,
};

/// Reaches nodes by streams of sessions, each over a socket of its own, and keeps the sessions.
struct KcpDialer {
    settings: Arc<Settings>,
    pool: Pool,
    _watch: Option<Arc<Watch>>,
}

pub(crate) fn build(options: &KcpDialerOptions, build: &Build) -> Result<impl Dialer + use<>> {
    let settings = Settings::new(&options.kcp, &build.place)?;
    if settings.dscp != 0 {
        tracing::warn!("{}: dscp is for listeners only", build.place);
    }
    Ok(KcpDialer {
        settings,
        pool: Pool::new(&options.pool),
        _watch: Watch::start(),
    })
}

#[async_trait]
impl Dialer for KcpDialer {
    async fn dial(&self, node: &NodeAddr, below: &Arc<dyn Outbound>, ask: &Ask) -> Result<Conn> {
        let make = |node: NodeAddr, way: Arc<dyn Outbound>, ask: Ask| {
            let settings = self.settings.clone();
            async move { open(&settings, &node, &way, &ask).await }
        };
        self.pool.dial(node, below, ask, make).await
    }
}

/// Begins a session. Nobody at the other end has to be there for that; but one from whom nothing
/// is heard gets no further streams.
async fn open(
    settings: &Arc<Settings>,
    node: &NodeAddr,
    below: &Arc<dyn Outbound>,
    ask: &Ask,
) -> Result<Session> {
    let to = Target {
        network: settings.network,
        addr: node.addr.clone(),
    };
    if settings.network == Network::FakeTcp && !below.path().is_direct() {
        let what = format!(
            "kcp.tcp: {node} is behind other nodes, and packets that look like TCP get no further than to the first"
        );
        return Err(Error::new(Why::Unsupported, what).phase(Phase::Dial));
    }
    let (packet, meta) = below.connect(&to, ask).await?.into_packet()?;
    let mut conversation = [0; 4];
    random(&mut conversation)?;
    let conversation = u32::from_le_bytes(conversation);
    let mut endpoint = Endpoint::new(packet, NoDoor, &node.addr.to_string())?;
    let stream = endpoint.open(conversation, Addr::Any, settings)?;
    let link = stream.link().clone();
    tokio::spawn(endpoint.run());
    let conn = Conn {
        io: Io::Stream(Box::new(stream)),
        meta,
    };
    Ok(client(conn, &settings.mux)?.stalled_when(move || link.is_unanswered()))
}

impl fmt::Debug for KcpDialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KcpDialer({:?})", self.pool)
    }
}
