//! Requests that are passed on to their targets.

use std::time::Instant;

use gost_core::{
    addr::Target,
    error::{Error, Result, Side, Why},
    session::{Record, Session, Upstream},
};

use crate::{
    exchange::{Failure, Outcome, exchange},
    handler::{End, Http, Step, Stepped},
    idle::{self, Parked},
    peer::Peer,
    record::{Seen, describe},
    refusal::status_of,
    request::{Connection, Request},
};

impl Http {
    /// Passes a request on, over the connection of the one before if that goes to the same target.
    pub(crate) async fn forward(
        &self,
        request: &Request,
        target: Target,
        client: &mut Peer,
        parked: &mut Option<Parked>,
        session: &mut Session,
    ) -> Stepped {
        let mut child = session.child();
        describe(request, &mut child);
        let mut seen = Seen::of(&mut child);
        let start = Instant::now();
        let mut server = None;
        if let Some(waiting) =
            parked.take_if(|parked| parked.target == target && parked.user == child.record().user)
        {
            // Opening would have asked the rules; they may have changed since.
            if let Err(error) = child.check(&target).await {
                waiting.peer.close().await;
                return Err(self.refuse(client, status_of(&error), error).await);
            }
            server = Some(waiting.peer);
        }
        idle::close(parked).await;
        let keep = self.keepalive && request.keep;
        let connection = if keep {
            Connection::Keep
        } else {
            Connection::Close
        };
        let head = request.forwarded(connection, &self.token);
        let (mut server, result) = loop {
            let reused = server.is_some();
            let mut peer = match server.take() {
                Some(peer) => peer,
                None => match open(&mut child, &target).await {
                    Ok(peer) => peer,
                    Err(error) => {
                        *session = child;
                        return Err(self.refuse(client, status_of(&error), error).await);
                    }
                },
            };
            let result = exchange(request, &head, client, &mut peer, &self.limits, &mut seen).await;
            match result {
                // The target may end a connection that waits while a request is on its way.
                Err(failure) if reused && failure.untouched && request.is_repeatable() => {
                    peer.stream.abort();
                }
                result => break (peer, result),
            }
        };
        seen.tell(&mut child, request.framing);
        match result {
            Ok(outcome) if outcome.response.status == 101 => {
                log(child.record(), request, &target, start, &outcome);
                *session = child;
                if !outcome.sent {
                    server.stream.abort();
                    let what = format!(
                        "{} {target}: changed protocol within a request",
                        request.method
                    );
                    return Err(End::cut(Error::new(Why::BadInput, what).side(Side::Target)));
                }
                Ok(Step::Relay(Upstream::new(server.into_conn(Box::default()))))
            }
            Ok(outcome) => {
                log(child.record(), request, &target, start, &outcome);
                child.finished(outcome.bytes.0, outcome.bytes.1, None);
                if keep && outcome.sent && outcome.response.target_keep && server.buf.is_empty() {
                    server.rest();
                    let user = child.record().user.clone();
                    *parked = Some(Parked {
                        target,
                        user,
                        peer: server,
                    });
                } else {
                    server.close().await;
                }
                let again = outcome.sent && outcome.response.client_keep;
                Ok(if again { Step::Again } else { Step::Finish })
            }
            Err(failure) => {
                server.stream.abort();
                *session = child;
                Err(self.failed(failure, request, &target, client).await)
            }
        }
    }

    /// Tells the client of a failure, where that is still possible.
    async fn failed(
        &self,
        failure: Failure,
        request: &Request,
        target: &Target,
        client: &mut Peer,
    ) -> End {
        let error = failure
            .error
            .context(format!("{} {target}", request.method));
        match (failure.answered, error.at_side(), error.why()) {
            (true, ..) => End::cut(error),
            (_, Side::Client, Why::BadInput) => self.refuse(client, 400, error).await,
            (_, Side::Client, Why::TimedOut) => self.refuse(client, 408, error).await,
            (_, Side::Client, _) => End::cut(error),
            _ => self.refuse(client, 503, error).await,
        }
    }
}

async fn open(child: &mut Session, target: &Target) -> Result<Peer> {
    let upstream = child.open(target).await?;
    let (stream, _) = upstream.conn.into_stream()?;
    Ok(Peer::new(stream))
}

/// One line for a request that was answered.
fn log(record: &Record, request: &Request, target: &Target, start: Instant, outcome: &Outcome) {
    tracing::info!(
        service = %record.service,
        sid = %record.id,
        client = %record.client,
        user = record.user,
        method = request.method,
        status = outcome.response.status,
        duration = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX),
        inputBytes = outcome.bytes.0,
        outputBytes = outcome.bytes.1,
        "{} >-< {}",
        record.client,
        target.addr,
    );
}
