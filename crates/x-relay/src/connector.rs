//! The relay connector.

use std::time::Duration;

use gost_core::{policy::Credentials, prelude::*};
use gost_relay::{Request, UserAuth};
use tokio::io::AsyncWriteExt;

use crate::{
    answer::Question,
    held::{HOLD, Held},
    options::RelayConnectorOptions,
    place,
};

/// How long an answer is waited for that may not come before there is payload for it to come with:
/// a server of the original holds its answer for as long as that takes. Past it the connection
/// counts as made, and a refusal ends it later.
const PATIENCE: Duration = Duration::from_millis(500);

/// Asks relay nodes for targets.
pub struct Relay {
    options: RelayConnectorOptions,
    auth: Option<UserAuth>,
}

impl Relay {
    /// A connector with options, which shows these credentials.
    ///
    /// Fails when they are longer than the protocol allows.
    pub fn shared(
        options: RelayConnectorOptions,
        auth: Option<&Credentials>,
    ) -> Result<Arc<dyn Connector>> {
        let auth = auth
            .map(|auth| UserAuth::new(auth.username.as_str(), auth.password.as_str()))
            .transpose()
            .map_err(|e| Error::new(Why::BadInput, "credentials for relay").caused_by(e))?;
        Ok(Arc::new(Self { options, auth }))
    }

    /// The request for a target, with its features in the order of the original.
    fn request(&self, to: &Target) -> Result<Request> {
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
        let message = request
            .to_vec()
            .map_err(|e| Error::new(Why::BadInput, question.to_string()).caused_by(e))?;
        if !self.options.nodelay {
            let held = Held::new(stream, message, HOLD).with_answer_due(question);
            return Ok(Box::new(held));
        }
        let asking = async {
            let sent = async {
                stream.write_all(&message).await?;
                stream.flush().await
            };
            sent.await.map_err(|e| question.broken(e))?;
            question.read(&mut stream).await
        };
        match tokio::time::timeout(self.patience(), asking).await {
            Ok(answered) => {
                let (_, rest) = answered?;
                Ok(Prefixed::new(rest, stream))
            }
            Err(_) => Ok(Box::new(Held::awaiting(stream, question))),
        }
    }

    fn patience(&self) -> Duration {
        match self.options.connect_timeout {
            Duration::ZERO => PATIENCE,
            timeout => timeout.min(PATIENCE),
        }
    }
}

#[async_trait]
impl Connector for Relay {
    async fn connect(&self, over: Conn, to: &Target, cx: &NodeCx<'_>) -> Result<Conn> {
        if to.network == Network::Ip {
            let what = format!("relay node {}: connect {to}: unsupported", cx.node.name);
            return Err(Error::new(Why::Unsupported, what));
        }
        let (stream, meta) = over.into_stream()?;
        let question = Question::new(&cx.node.name, "connect", to, Phase::Dial);
        let stream = self.ask(stream, &self.request(to)?, question).await?;
        Ok(Conn {
            io: Io::Stream(stream),
            meta,
        })
    }
}
