//! The relay connector.

use std::time::Duration;

use gost_core::{policy::Credentials, prelude::*};
use gost_mux::{MuxSettings, Version};
use gost_net::{
    framed::Framed,
    udp::{FlowOptions, Flows},
};
use gost_relay::{Request, UserAuth};
use tokio::io::AsyncWriteExt;

use crate::{
    answer::Question,
    held::{HOLD, Held},
    options::RelayConnectorOptions,
    place,
    visitors::Visitors,
};

/// How long an answer is waited for that may not come before there is payload for it to come with:
/// a server of the original holds its answer for as long as that takes. Past it the connection
/// counts as made, and a refusal ends it later.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long an answer is waited for that nothing can hold back.
const ANSWER: Duration = Duration::from_secs(15);

/// Asks relay nodes for targets.
pub struct Relay {
    options: RelayConnectorOptions,
    auth: Option<UserAuth>,
    /// For the sessions that bring the visitors of what a node has bound for us.
    mux: MuxSettings,
}

impl Relay {
    /// A connector with options, which shows these credentials.
    ///
    /// Fails when they are longer than the protocol allows, or when the options of the multiplexed
    /// sessions make no sense.
    pub fn shared(
        options: RelayConnectorOptions,
        auth: Option<&Credentials>,
    ) -> Result<Arc<dyn Connector>> {
        let auth = auth
            .map(|auth| UserAuth::new(auth.username.as_str(), auth.password.as_str()))
            .transpose()
            .map_err(|e| Error::new(Why::BadInput, "credentials for relay").caused_by(e))?;
        let mux = options.mux.settings(Version::V1)?;
        Ok(Arc::new(Self { options, auth, mux }))
    }

    /// The request to connect, with its features in the order of the original.
    fn connect_request(&self, to: &Target) -> Result<Request> {
        let mut request = Request::connect();
        if to.network == Network::Udp {
            request = request.with_udp_flag();
        }
        if to.network != Network::Tcp {
            request = request.with_network(place::network_id(to.network));
        }
        if let Some(auth) = &self.auth {
            request = request.with_auth(auth.clone());
        }
        if let Some(address) = place::to_wire(&to.addr)? {
            request = request.with_address(address);
        }
        Ok(request)
    }

    /// Puts the request in front of the stream, and expects the answer in front of what comes.
    async fn ask(
        &self,
        mut stream: Box<dyn Stream>,
        request: &Request,
        mut question: Question,
    ) -> Result<Box<dyn Stream>> {
        let message = encode(request, &question)?;
        if !self.options.nodelay {
            let held = Held::new(stream, message, HOLD).with_answer_due(question);
            return Ok(Box::new(held));
        }
        send(&mut *stream, &message, &question).await?;
        let answer = question.read(&mut stream);
        match tokio::time::timeout(self.limit(PATIENCE), answer).await {
            Ok(answered) => {
                let (_, rest) = answered?;
                Ok(Prefixed::new(rest, stream))
            }
            // A server of the original may have its reasons to be silent, but not for longer than
            // the user gives it.
            Err(_) if self.options.connect_timeout.is_zero() => {
                Ok(Box::new(Held::awaiting(stream, question)))
            }
            Err(_) => Err(question.late()),
        }
    }

    /// How long to wait for an answer: what the user says, or else this.
    fn limit(&self, default: Duration) -> Duration {
        match self.options.connect_timeout {
            Duration::ZERO => default,
            timeout => timeout,
        }
    }

    /// The request to listen, with its features in the order of the original.
    fn bind_request(&self, at: &Target) -> Result<Request> {
        let mut request = Request::bind();
        if at.network == Network::Udp {
            request = request.with_udp_flag();
        }
        if let Some(auth) = &self.auth {
            request = request.with_auth(auth.clone());
        }
        Ok(request
            .with_network(place::network_id(at.network))
            .with_address(place::to_bind(&at.addr)?))
    }

    /// Asks the node to listen, and waits for its answer.
    async fn ask_to_listen(
        &self,
        over: Conn,
        at: &Target,
        verb: &'static str,
        cx: &NodeCx<'_>,
    ) -> Result<Listening> {
        let mut question = Question::new(&cx.node.name, verb, at, Phase::Bind);
        let message = encode(&self.bind_request(at)?, &question)?;
        let (mut stream, meta) = over.into_stream()?;
        send(&mut *stream, &message, &question).await?;
        let answered = tokio::time::timeout(self.limit(ANSWER), question.read(&mut stream)).await;
        let (answer, rest) = answered.unwrap_or_else(|_| Err(question.late()))?;
        Ok(Listening {
            stream: Prefixed::new(rest, stream),
            meta,
            addr: answer.first_address().map_or_else(
                || at.addr.clone(),
                |address| place::from_wire(address, at.network),
            ),
        })
    }
}

/// A node that listens for us.
struct Listening {
    stream: Box<dyn Stream>,
    meta: Box<Meta>,
    /// Where it listens.
    addr: Addr,
}

fn encode(request: &Request, question: &Question) -> Result<Vec<u8>> {
    request
        .to_vec()
        .map_err(|e| Error::new(Why::BadInput, question.to_string()).caused_by(e))
}

/// Sends a request. Nothing can hold that up for long, so being late is an error.
async fn send(stream: &mut dyn Stream, message: &[u8], question: &Question) -> Result<()> {
    let sent = async {
        stream.write_all(message).await?;
        stream.flush().await
    };
    match tokio::time::timeout(ANSWER, sent).await {
        Ok(sent) => sent.map_err(|e| question.broken(e)),
        Err(_) => Err(question.late()),
    }
}

#[async_trait]
impl Connector for Relay {
    async fn connect(&self, over: Conn, to: &Target, cx: &NodeCx<'_>) -> Result<Conn> {
        match (to.network, &to.addr) {
            (Network::Ip | Network::FakeTcp | Network::Resolve | Network::ResolvePtr, _) => {
                let what = format!("relay node {}: connect {to}: unsupported", cx.node.name);
                Err(Error::new(Why::Unsupported, what))
            }
            (Network::Udp, Addr::Any) => {
                let listening = self.ask_to_listen(over, to, "associate", cx).await?;
                let mut meta = listening.meta;
                meta.local = listening.addr;
                Ok(Conn {
                    io: Io::Packet(Box::new(Framed::addressed(listening.stream))),
                    meta,
                })
            }
            (network, _) => {
                let (stream, meta) = over.into_stream()?;
                let question = Question::new(&cx.node.name, "connect", to, Phase::Dial);
                let request = self.connect_request(to)?;
                let stream = self.ask(stream, &request, question).await?;
                let io = match network {
                    Network::Udp => Io::Packet(Box::new(Framed::connected(stream))),
                    _ => Io::Stream(stream),
                };
                Ok(Conn { io, meta })
            }
        }
    }

    async fn bind(
        &self,
        over: Conn,
        at: &Target,
        how: &BindOptions,
        cx: &NodeCx<'_>,
    ) -> Result<Box<dyn Listener>> {
        if !matches!(at.network, Network::Tcp | Network::Udp | Network::Unix) {
            let what = format!("relay node {}: bind {at}: unsupported", cx.node.name);
            return Err(Error::new(Why::Unsupported, what).phase(Phase::Bind));
        }
        let listening = self.ask_to_listen(over, at, "bind", cx).await?;
        if at.network == Network::Udp {
            let packet = Box::new(Framed::addressed(listening.stream));
            let flows = Flows::new(packet, listening.addr, FlowOptions::from(how))?;
            return Ok(Box::new(flows));
        }
        let conn = Conn {
            io: Io::Stream(listening.stream),
            meta: listening.meta,
        };
        let settings = self.mux.clone().with_backlog(how.backlog);
        let at = Target {
            network: at.network,
            addr: listening.addr,
        };
        let streams = gost_mux::server(conn, &settings)?;
        Ok(Box::new(Visitors::new(streams, &cx.node.name, at)))
    }
}
