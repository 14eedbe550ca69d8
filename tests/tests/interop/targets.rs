//! The servers that all combinations reach for.

use std::net::{Ipv6Addr, SocketAddr};

use anyhow::Result;
use bytes::Bytes;
use gost_testkit::{payload::payload, ports, tcp, udp};

/// Servers with a known behaviour, one of each for the whole run.
pub(crate) struct Targets {
    pub(crate) echo: tcp::Server,
    pub(crate) echo_v6: tcp::Server,
    pub(crate) banner: tcp::Server,
    pub(crate) answer_after_end: tcp::Server,
    pub(crate) end_first: tcp::Server,
    pub(crate) reset: tcp::Server,
    /// What nobody with wrong credentials may reach.
    pub(crate) secret: tcp::Server,
    pub(crate) datagrams: udp::Server,
    pub(crate) closed: u16,
}

impl Targets {
    pub(crate) async fn start() -> Result<Self> {
        use tcp::{Behaviour, Server};
        Ok(Self {
            echo: Server::start(Behaviour::Echo).await?,
            echo_v6: Server::start_on(Ipv6Addr::LOCALHOST.into(), Behaviour::Echo).await?,
            banner: Server::start(Behaviour::Banner(banner())).await?,
            answer_after_end: Server::start(Behaviour::AnswerAfterEnd).await?,
            end_first: Server::start(Behaviour::EndFirst(farewell())).await?,
            reset: Server::start(Behaviour::ResetAfter(4)).await?,
            secret: Server::start(Behaviour::Echo).await?,
            datagrams: udp::Server::start(udp::Behaviour::Echo).await?,
            closed: ports::tcp(),
        })
    }

    /// The address of a target, as a client node is told it.
    pub(crate) fn address(&self, door: Door) -> String {
        let ip = |address: SocketAddr| address.to_string();
        match door {
            Door::Echo => ip(self.echo.address()),
            Door::EchoByName => format!("localhost:{}", self.echo.port()),
            Door::EchoByIpv6 => ip(self.echo_v6.address()),
            Door::Banner => ip(self.banner.address()),
            Door::AnswerAfterEnd => ip(self.answer_after_end.address()),
            Door::EndFirst => ip(self.end_first.address()),
            Door::Reset => ip(self.reset.address()),
            Door::Refused => format!("127.0.0.1:{}", self.closed),
            Door::Secret => ip(self.secret.address()),
        }
    }
}

/// What a server that speaks first says.
pub(crate) fn banner() -> Bytes {
    Bytes::from_static(b"220 good day\r\n")
}

/// What a server says that ends first: more than any buffer on the way holds at once.
pub(crate) fn farewell() -> Bytes {
    payload(99, 300_000)
}

/// The TCP ports of a client node, each of which leads to one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Door {
    Echo,
    EchoByName,
    EchoByIpv6,
    Banner,
    AnswerAfterEnd,
    EndFirst,
    Reset,
    Refused,
    /// Entered with wrong credentials.
    Secret,
}

impl Door {
    pub(crate) const ALL: [Self; 9] = [
        Self::Echo,
        Self::EchoByName,
        Self::EchoByIpv6,
        Self::Banner,
        Self::AnswerAfterEnd,
        Self::EndFirst,
        Self::Reset,
        Self::Refused,
        Self::Secret,
    ];
}
