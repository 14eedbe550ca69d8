//! The http handler: requests, one after the other, on the connection of a client.

use std::hash::{BuildHasher, RandomState};

use gost_core::prelude::*;
use gost_net::framed::Framed;
use tokio::time::timeout;

use crate::{
    decoy::Decoy,
    head::HeadError,
    idle::{self, Parked},
    options::{HttpOptions, Limits, check_value, header_lines, wrong},
    peer::{NoHead, Peer, request_head},
    record::{answered, describe},
    refusal::{OWN_LINES, Voice, status_of},
    request::{Kind, Request, RequestError},
};

/// The http proxy.
#[derive(Debug)]
pub struct Http {
    pub(crate) limits: Limits,
    /// Connections to targets are kept for further requests.
    pub(crate) keepalive: bool,
    udp: bool,
    pub(crate) voice: Voice,
    decoy: Option<Decoy>,
    knock: Vec<String>,
    /// Marks requests that this proxy passed on.
    pub(crate) token: String,
}

/// What is to be done after a request.
#[derive(Debug)]
pub(crate) enum Step {
    /// Wait for another.
    Again,
    /// End the connection in order.
    Finish,
    /// Move bytes.
    Relay(Upstream),
    /// Move datagrams.
    Datagrams(Upstream),
}

/// How a connection ends that was not served.
#[derive(Debug)]
pub(crate) struct End {
    error: Error,
    /// The client would take what it got for the whole, unless it is told otherwise.
    cut: bool,
    /// The status of the refusal; 0 for none.
    status: u16,
}

impl End {
    /// The client has been told.
    pub(crate) const fn told(error: Error) -> Self {
        Self {
            error,
            cut: false,
            status: 0,
        }
    }

    /// The client can't be told any more.
    pub(crate) fn cut(error: Error) -> Self {
        Self {
            error,
            cut: true,
            status: 0,
        }
    }
}

pub(crate) type Stepped = std::result::Result<Step, End>;

impl Http {
    /// A handler with options; an error names the one that is wrong.
    pub fn shared(options: &HttpOptions) -> Result<Arc<dyn Handler>> {
        Ok(Arc::new(Self::new(options)?))
    }

    fn new(options: &HttpOptions) -> Result<Self> {
        check_value("proxyAgent", &options.proxy_agent)?;
        check_value("authBasicRealm", &options.realm)?;
        if options.realm.contains(['"', '\\']) {
            return Err(wrong("authBasicRealm: quotes in a realm".into()));
        }
        Ok(Self {
            limits: options.limits(),
            keepalive: options.keepalive,
            udp: options.udp,
            voice: Voice {
                agent: options.proxy_agent.clone(),
                realm: options.realm.clone(),
                header: header_lines(&options.header, &OWN_LINES)?,
            },
            decoy: Decoy::parse(&options.probe_resist)?,
            knock: options.knock.clone(),
            token: format!("{:016x}", RandomState::new().hash_one(0)),
        })
    }

    /// Waits for the next request; `None` when the client is done.
    async fn next(
        &self,
        client: &mut Peer,
        parked: &mut Option<Parked>,
        first: bool,
    ) -> std::result::Result<Option<Request>, End> {
        if !first
            && !idle::wait(client, parked, &self.limits)
                .await
                .map_err(End::cut)?
        {
            return Ok(None);
        }
        let head = request_head(client);
        // The service bounds the wait for the first one.
        let head = if first {
            head.await
        } else {
            timeout(self.limits.header, head)
                .await
                .map_err(|_| End::cut(client_error(Why::TimedOut, "no request in time")))?
        };
        let length = match head {
            Ok(length) => length,
            Err(NoHead::Closed(false)) if !first => return Ok(None),
            Err(NoHead::Closed(begun)) => {
                let what = if begun {
                    "closed in the middle of a request"
                } else {
                    "closed before a request"
                };
                return Err(End::told(client_error(Why::Closed, what)));
            }
            Err(NoHead::Failed(error)) => {
                return Err(End::cut(
                    Error::from(error)
                        .context("read a request")
                        .side(Side::Client),
                ));
            }
            Err(NoHead::Bad(error)) => return Err(self.malformed(client, error.into()).await),
        };
        match Request::parse(client.buf.split_to(length), &self.token) {
            Ok(request) => Ok(Some(request)),
            Err(error) => Err(self.malformed(client, error).await),
        }
    }

    /// Refuses what is no request. Where the proxy hides, it does not name itself.
    async fn malformed(&self, client: &mut Peer, error: RequestError) -> End {
        let status = match error {
            RequestError::Head(HeadError::TooLarge) => 431,
            _ => 400,
        };
        let answer = if self.decoy.is_some() {
            Voice::hidden(status)
        } else {
            self.voice.refusal(status)
        };
        answer_with(
            client,
            &answer,
            client_error(Why::BadInput, &error.to_string()),
        )
        .await
    }

    /// Refuses a request and says why it was.
    pub(crate) async fn refuse(&self, client: &mut Peer, status: u16, error: Error) -> End {
        answer_with(client, &self.voice.refusal(status), error).await
    }

    async fn serve(
        &self,
        request: Request,
        client: &mut Peer,
        parked: &mut Option<Parked>,
        session: &mut Session,
    ) -> Stepped {
        let given = &request.credentials;
        if let Err(error) = session.authenticate(&given.username, &given.password).await {
            return self.unauthorized(request, error, client, session).await;
        }
        match (request.kind, &request.target) {
            (Kind::Udp, target) => {
                let target = target.clone();
                self.datagrams(target, client, session).await
            }
            (_, None) => {
                let error = client_error(Why::BadInput, "the request names no host to go to");
                Err(self.refuse(client, 400, error).await)
            }
            (Kind::Connect, Some(target)) => {
                self.connect(Target::tcp(target.clone()), client, session)
                    .await
            }
            (Kind::Forward, Some(target)) => {
                let target = Target::tcp(target.clone());
                self.forward(&request, target, client, parked, session)
                    .await
            }
        }
    }

    /// Shows the decoy, if there is one and the client does not know better.
    async fn unauthorized(
        &self,
        request: Request,
        error: Error,
        client: &mut Peer,
        session: &mut Session,
    ) -> Stepped {
        let knocks = self
            .knock
            .iter()
            .any(|host| host.eq_ignore_ascii_case(&request.host));
        match &self.decoy {
            Some(decoy) if !knocks => {
                session.settled();
                let record = session.record();
                tracing::warn!(
                    service = %record.service, sid = %record.id, client = %record.client,
                    user = request.credentials.username, "{error}: shown a decoy"
                );
                decoy.show(request, client, &self.limits).await
            }
            _ => {
                let answer = self.voice.unauthorized(request.proxy_keep_alive);
                Err(answer_with(client, &answer, error).await)
            }
        }
    }

    async fn connect(&self, target: Target, client: &mut Peer, session: &mut Session) -> Stepped {
        let upstream = match session.open(&target).await {
            Ok(upstream) => upstream,
            Err(error) => return Err(self.refuse(client, status_of(&error), error).await),
        };
        match client.write(self.voice.established().as_bytes()).await {
            Ok(()) => Ok(Step::Relay(upstream)),
            Err(error) => {
                upstream.conn.abort();
                Err(End::cut(error))
            }
        }
    }

    /// Opens an association: where each datagram goes stands in the datagram, and the address in
    /// the request, if there is one, has no effect but that it must be allowed.
    async fn datagrams(
        &self,
        target: Option<Addr>,
        client: &mut Peer,
        session: &mut Session,
    ) -> Stepped {
        if !self.udp {
            let error = client_error(Why::Unsupported, "datagrams are not enabled");
            return Err(self.refuse(client, 403, error).await);
        }
        let opened = async {
            if let Some(target) = target {
                session.check(&Target::udp(target)).await?;
            }
            session.open(&Target::udp(Addr::Any)).await
        };
        let upstream = match opened.await {
            Ok(upstream) => upstream,
            Err(error) => return Err(self.refuse(client, status_of(&error), error).await),
        };
        client
            .write(self.voice.datagrams().as_bytes())
            .await
            .map_err(End::cut)?;
        Ok(Step::Datagrams(upstream))
    }
}

async fn answer_with(client: &mut Peer, answer: &str, error: Error) -> End {
    let end = match client.write(answer.as_bytes()).await {
        Ok(()) => End::told(error),
        Err(_) => End::cut(error),
    };
    // HTTP/1.1 400
    let status = answer.get(9..12).and_then(|status| status.parse().ok());
    End {
        status: status.unwrap_or(0),
        ..end
    }
}

pub(crate) fn client_error(why: Why, what: &str) -> Error {
    Error::new(why, what).side(Side::Client)
}

#[async_trait]
impl Handler for Http {
    async fn handle(&self, conn: Conn, session: &mut Session) -> Result<Next> {
        let (stream, meta) = conn.into_stream()?;
        let mut client = Peer::new(stream);
        let mut parked = None;
        let mut first = true;
        let last = loop {
            // A box for each request: between requests nothing of one stays.
            let step = match Box::pin(self.next(&mut client, &mut parked, first)).await {
                Ok(None) => Ok(Step::Finish),
                Ok(Some(request)) => {
                    describe(&request, session);
                    Box::pin(self.serve(request, &mut client, &mut parked, session)).await
                }
                Err(end) => Err(end),
            };
            first = false;
            match step {
                Ok(Step::Again) => {}
                last => break last,
            }
        };
        idle::close(&mut parked).await;
        let status = match &last {
            Ok(Step::Relay(_) | Step::Datagrams(_)) => 200,
            Ok(Step::Again | Step::Finish) => 0,
            Err(end) => end.status,
        };
        answered(status, &self.voice.agent, session);
        match last {
            Ok(Step::Again | Step::Finish) => {
                Box::pin(client.finish()).await;
                Ok(Next::Done)
            }
            Ok(Step::Relay(upstream)) => Ok(Next::Relay(client.into_conn(meta), upstream)),
            Ok(Step::Datagrams(upstream)) => {
                let packet = Framed::addressed(client.into_stream());
                Ok(Next::Relay(Conn::packet(packet, *meta), upstream))
            }
            Err(End {
                error, cut: false, ..
            }) => {
                Box::pin(client.finish()).await;
                Err(error)
            }
            Err(End {
                error, cut: true, ..
            }) => {
                client.stream.abort();
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_for_a_request_takes_little() {
        let http = Http::new(&HttpOptions::default()).unwrap();
        let mut client = Peer::new(Box::new(tokio::io::duplex(1).0));
        let mut parked = None;
        let size = size_of_val(&http.next(&mut client, &mut parked, false));
        assert!(size <= 640, "{size}");
    }
}
