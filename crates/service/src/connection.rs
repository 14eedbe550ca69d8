//! One connection's walk through a service.

use std::{
    future::Future,
    net::{IpAddr, Ipv4Addr},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use gost_core::{
    addr::{Addr, Network},
    conn::{Conn, Io},
    error::{Error, Phase, Result, Side, Why},
    handler::Next,
    listener::{Accepted, BoxFuture, Incoming, Listener},
    meter::Meter,
    policy::{Asker, ConnPermit},
    session::{Record, Session, SessionId, Upstream},
};
use gost_net::{
    Metered,
    copy::{Copy, CopyOptions, Outcome, copy},
};

use crate::{
    acceptor::accept_streams,
    limits::{ClientLimit, limited},
    log,
    records::Traffic,
    service::Shared,
    serving::Serving,
    session::{Guard, ServiceSession},
    stats::{Counters, Open},
    workers::Charge,
};

/// Serves one connection; `key` is its place among the live ones, `charge` its part of a worker,
/// `open` among those that are counted.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    incoming: Incoming,
    key: usize,
    charge: Charge,
    open: Option<Open>,
) {
    let worker = charge.worker();
    let _place = Place {
        shared: &shared,
        key,
        _charge: charge,
        _open: open,
    };
    // The box is freed before the long wait: parser, buffers and futures of the handshake must
    // not stay for as long as the connection does.
    let after = Box::pin(prepare(shared.clone(), incoming, key)).await;
    match after {
        After::Nothing => {}
        After::Relay(relay) => relay.await,
        After::Streams(streams) => {
            let (listener, _permit, peer) = *streams;
            let error = accept_streams(shared.clone(), worker, listener).await;
            tracing::debug!(service = %shared.name, client = %peer, "session ended: {error}");
        }
    }
}

/// Gives the place among the live connections back, however the task ends.
struct Place<'a> {
    shared: &'a Shared,
    key: usize,
    _charge: Charge,
    _open: Option<Open>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.shared.live.remove(self.key);
    }
}

/// What is left to do once a connection has been handled.
enum After {
    Nothing,
    Relay(Box<Relay>),
    Streams(Box<(Box<dyn Listener>, Option<ConnPermit>, Addr)>),
}

/// Handshake, admission, handler.
async fn prepare(shared: Arc<Shared>, incoming: Incoming, key: usize) -> After {
    let start = Instant::now();
    let serving = shared.serving.load_full();
    let peer = incoming.peer.clone();
    let network = incoming.network();
    let permit = match admit(&serving, &shared.name, network, &peer).await {
        Ok(permit) => permit,
        Err(error) => {
            tracing::debug!(service = %shared.name, client = %peer, "{error}");
            return After::Nothing;
        }
    };
    let deadline = start + serving.options.handshake();
    let finished = tokio::time::timeout_at(deadline.into(), incoming.finish())
        .await
        .unwrap_or_else(|_| {
            Err(Error::new(Why::TimedOut, "no handshake in time")
                .phase(Phase::Handshake)
                .side(Side::Client))
        });
    let conn = match finished {
        Ok(Accepted::One(conn)) => conn,
        Ok(Accepted::Many(listener)) => return After::Streams(Box::new((listener, permit, peer))),
        Err(error) => {
            log::no_handshake(&shared.name, &peer, &error.phase(Phase::Handshake));
            return After::Nothing;
        }
    };
    let source = conn.meta.source();
    if source != peer {
        shared.live.is_of(key, &source);
        if let Err(error) = ask_admission(&serving, &shared.name, network, &source).await {
            tracing::debug!(service = %shared.name, client = %source, "{error}");
            return After::Nothing;
        }
    }
    serving.records.client(&source);
    let record = Record {
        id: SessionId::next(),
        service: shared.name.clone(),
        start,
        client: source,
        local: conn.meta.local.clone(),
        tls: conn.meta.tls.clone(),
        user: String::new(),
        target: None,
        route: None,
        details: serving.records.details(&conn.meta.peer),
    };
    handle(serving, conn, record, deadline, permit).await
}

/// Runs the handler, under the deadline for as long as that counts.
async fn handle(
    serving: Arc<Serving>,
    mut conn: Conn,
    record: Record,
    deadline: Instant,
    permit: Option<ConnPermit>,
) -> After {
    let guard = Guard::new(deadline);
    let limit = ClientLimit::of(&serving);
    conn = limited(&serving, conn, &record, limit.as_ref());
    let traffic = record.details.is_some().then(Arc::<Traffic>::default);
    if let Some(traffic) = &traffic {
        conn.io = counted(conn.io, traffic);
    }
    let mut session = Session::new(ServiceSession::new(
        serving.clone(),
        record,
        guard.clone(),
        traffic.clone(),
        limit,
    ));
    let handled = {
        let mut handling = pin!(serving.handler.handle(conn, &mut session));
        tokio::select! {
            biased;
            handled = &mut handling => handled,
            () = guard.expired() => {
                Err(Error::new(Why::TimedOut, "no request in time").phase(Phase::Request).side(Side::Client))
            }
        }
    };
    match handled {
        Ok(Next::Done) => {
            if let Some(traffic) = traffic.filter(|traffic| !traffic.is_recorded()) {
                let records = &serving.records;
                records.session(session.record(), traffic.take(), None);
            }
            After::Nothing
        }
        Ok(Next::Relay(client, upstream)) => {
            let record = session.record().clone();
            match Relay::new(&serving, client, upstream, record, traffic.clone(), permit) {
                Ok(relay) => After::Relay(Box::new(relay)),
                Err(error) => {
                    failed(&serving, session.record(), traffic.as_deref(), &error);
                    After::Nothing
                }
            }
        }
        Err(error) => {
            failed(&serving, session.record(), traffic.as_deref(), &error);
            After::Nothing
        }
    }
}

/// The same with its bytes counted. Datagrams are counted by their relay.
fn counted(io: Io, traffic: &Arc<Traffic>) -> Io {
    match io {
        Io::Stream(stream) => Io::Stream(Metered::wrap(stream, &Meter::new(traffic.clone()))),
        other => other,
    }
}

/// Notes that a session ended before anything was relayed.
fn failed(serving: &Serving, record: &Record, traffic: Option<&Traffic>, error: &Error) {
    log::failed(record, error);
    // As the original counts: what a client or a rule of ours ended is no failure of the service.
    let is_failure = match error.why() {
        Why::Closed | Why::Denied | Why::Limited => false,
        Why::TimedOut => error.at_side() != Side::Client,
        _ => true,
    };
    if let Some(stats) = serving.stats.as_ref().filter(|_| is_failure) {
        stats.failed();
    }
    // What a client asked for in vain is one of its connections, too.
    if let (Some(clients), Some(_)) = (&serving.clients, &record.target) {
        drop(clients.of(&record.user).open());
    }
    if let Some(traffic) = traffic {
        serving.records.session(record, traffic.take(), Some(error));
    }
}

/// What is asked before anything is read from a connection.
async fn admit(
    serving: &Serving,
    service: &Arc<str>,
    network: Network,
    peer: &Addr,
) -> Result<Option<ConnPermit>> {
    ask_admission(serving, service, network, peer).await?;
    // Those who have none, behind a Unix socket, are like one to limits.
    let ip = ip_of(peer).unwrap_or(Ipv4Addr::UNSPECIFIED.into());
    if let Some(limiter) = &serving.policies.rate_limiter
        && !limiter.allow(ip)
    {
        return Err(Error::new(Why::Limited, "too many requests"));
    }
    match &serving.policies.conn_limiter {
        None => Ok(None),
        Some(limiter) => match limiter.admit(ip) {
            None => Err(Error::new(Why::Limited, "too many connections")),
            permit => Ok(permit),
        },
    }
}

async fn ask_admission(
    serving: &Serving,
    service: &Arc<str>,
    network: Network,
    from: &Addr,
) -> Result<()> {
    if serving.policies.admissions.is_empty() {
        return Ok(());
    }
    let asker = Asker {
        service: service.clone(),
        client: from.clone(),
        ..Asker::default()
    };
    for admission in &serving.policies.admissions {
        if !admission.admit(network, from, &asker).await {
            return Err(Error::new(Why::Denied, "not admitted"));
        }
    }
    Ok(())
}

pub(crate) fn ip_of(addr: &Addr) -> Option<IpAddr> {
    addr.ip().map(|addr| addr.ip())
}

/// The long wait of a connection: the copy, and the line of the log after it.
pub(crate) struct Relay {
    moving: Moving,
    record: Option<Box<Record>>,
    account: Option<Box<Account>>,
    _permit: Option<ConnPermit>,
}

/// What is kept of a connection only where somebody wants to know what became of it.
struct Account {
    serving: Arc<Serving>,
    traffic: Option<Arc<Traffic>>,
    _open: Option<Open>,
}

impl Account {
    fn of(serving: &Arc<Serving>, record: &Record, traffic: Option<Arc<Traffic>>) -> Option<Self> {
        if record.details.is_none() && serving.clients.is_none() {
            return None;
        }
        let client = serving.clients.as_ref().map(|c| c.of(&record.user));
        Some(Self {
            serving: serving.clone(),
            traffic,
            _open: client.as_ref().map(Counters::open),
        })
    }

    /// Records what was moved: all that the client's connection carried, or the datagrams beside.
    fn close(&self, record: &Record, outcome: &Outcome) {
        let (input, output) = self
            .traffic
            .as_ref()
            .map_or((0, 0), |traffic| traffic.take());
        let bytes = (input.max(outcome.input), output.max(outcome.output));
        let records = &self.serving.records;
        records.session(record, bytes, outcome.error.as_ref());
    }
}

#[expect(
    clippy::large_enum_variant,
    reason = "bytes are the usual case, and are worth one allocation less"
)]
enum Moving {
    Bytes(Copy),
    Datagrams(BoxFuture<'static, Outcome>),
}

impl Relay {
    /// Begins to relay. Bytes go with bytes, datagrams with datagrams.
    pub(crate) fn new(
        serving: &Arc<Serving>,
        client: Conn,
        upstream: Upstream,
        record: Record,
        traffic: Option<Arc<Traffic>>,
        permit: Option<ConnPermit>,
    ) -> Result<Self> {
        let options = CopyOptions {
            idle: serving.options.idle(),
            meter: client_meter(serving, &record),
        };
        let moving = match (client.io, upstream.conn.io) {
            (Io::Stream(client), Io::Stream(upstream)) => {
                Moving::Bytes(copy(client, upstream, options))
            }
            (Io::Packet(client), Io::Packet(upstream)) => {
                let relay =
                    crate::session::relay_datagrams(client, upstream, options, serving, &record);
                Moving::Datagrams(relay)
            }
            (client, upstream) => {
                let what = format!("can't relay between {client:?} and {upstream:?}");
                return Err(Error::new(Why::Unsupported, what));
            }
        };
        log::opened(&record);
        Ok(Self {
            moving,
            account: Account::of(serving, &record, traffic).map(Box::new),
            record: Some(Box::new(record)),
            _permit: permit,
        })
    }

    /// Waits for the end and gives what came of it, logged already.
    pub(crate) async fn finish(mut self) -> Outcome {
        std::future::poll_fn(|cx| Pin::new(&mut self).poll_outcome(cx)).await
    }

    fn poll_outcome(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let outcome = match &mut self.moving {
            Moving::Bytes(copy) => Pin::new(copy).poll(cx),
            Moving::Datagrams(relay) => relay.as_mut().poll(cx),
        };
        if let Poll::Ready(outcome) = &outcome
            && let Some(record) = self.record.take()
        {
            log::ended(&record, outcome);
            if let Some(account) = &self.account {
                account.close(&record, outcome);
            }
        }
        outcome
    }
}

/// A connection that is cut off by us is recorded, too.
impl Drop for Relay {
    fn drop(&mut self) {
        if let (Some(record), Some(account)) = (self.record.take(), &self.account) {
            let error = Error::new(Why::Closed, "ended by the service").phase(Phase::Relay);
            let outcome = Outcome {
                input: 0,
                output: 0,
                error: Some(error),
            };
            account.close(&record, &outcome);
        }
    }
}

impl Future for Relay {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_outcome(cx).map(drop)
    }
}

/// What counts the payload of a client.
fn client_meter(serving: &Serving, record: &Record) -> Meter {
    let clients = serving.clients.as_ref();
    clients.map_or_else(Meter::default, |clients| clients.of(&record.user).meter())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_of_a_connection_is_small() {
        fn size_of_future<F: Future>(
            _: impl FnOnce(Arc<Shared>, Incoming, usize, Charge, Option<Open>) -> F,
        ) -> usize {
            size_of::<F>()
        }
        let size = size_of_future(serve);
        assert!(size <= 512, "{size}");
    }
}
