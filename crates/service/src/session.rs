//! What a session does for its handler.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Instant,
};

use async_trait::async_trait;
use gost_core::{
    addr::{Addr, Network, Target},
    conn::Conn,
    error::{Error, Phase, Result, Side, Why},
    listener::{BoxFuture, Listener},
    meter::{Direction, Meter, Metering as _},
    outbound::{Ask, BindOptions, Outbound},
    packet::Packet,
    policy::{Answer, Asker, BypassQuery, Credentials, Family},
    record::Details,
    routing::{Choice, Request},
    session::{Hint, Record, Session, SessionId, SessionOps, Upstream},
};
use gost_net::{
    copy::{CopyOptions, Outcome},
    udp::{self, Check, RelayOptions, UdpConn},
};
use parking_lot::Mutex;

use crate::{
    connection::{Relay, ip_of},
    limits::ClientLimit,
    records::Traffic,
    serving::Serving,
    stats::Open,
};

/// The deadline of a handshake, shared by those who keep it and those who end it.
#[derive(Clone)]
pub(crate) struct Guard {
    deadline: Instant,
    settled: Arc<AtomicBool>,
}

impl Guard {
    pub(crate) fn new(deadline: Instant) -> Self {
        Self {
            deadline,
            settled: Arc::default(),
        }
    }

    fn settle(&self) {
        self.settled.store(true, Relaxed);
    }

    /// Ready when the deadline has passed and still counts.
    pub(crate) async fn expired(&self) {
        // Where the request is clear at once, no timer is needed.
        if !self.settled.load(Relaxed) {
            tokio::time::sleep_until(self.deadline.into()).await;
        }
        if self.settled.load(Relaxed) {
            std::future::pending::<()>().await;
        }
    }
}

pub(crate) struct ServiceSession {
    serving: Arc<Serving>,
    record: Record,
    guard: Guard,
    /// Counts the client's bytes, where there are records.
    traffic: Option<Arc<Traffic>>,
    /// Limits the client's bytes once it is known who that is.
    limit: Option<Arc<ClientLimit>>,
    /// As whose connection this one is counted, where that is done, by the requests on it.
    counted: Option<Arc<Mutex<Option<Counted>>>>,
}

/// A connection that is counted, with the name of the user.
struct Counted {
    user: String,
    _open: Open,
}

impl ServiceSession {
    pub(crate) fn new(
        serving: Arc<Serving>,
        record: Record,
        guard: Guard,
        traffic: Option<Arc<Traffic>>,
        limit: Option<Arc<ClientLimit>>,
    ) -> Self {
        Self {
            counted: serving.clients.as_ref().map(|_| Arc::default()),
            serving,
            record,
            guard,
            traffic,
            limit,
        }
    }

    /// From here the client is as well known as it will be.
    fn limit_client(&self) {
        if let Some(limit) = &self.limit {
            limit.set(&self.record);
        }
    }

    fn ask(&self, target: &Target) -> Ask {
        // What has no name yet, as what a forwarder is asked for, has none to be told apart by.
        let hash = if self.serving.options.hash == "host" && target.addr != Addr::Any {
            target.addr.to_string()
        } else if self.record.user.is_empty() {
            self.record.client.host()
        } else {
            self.record.user.clone()
        };
        Ask {
            deadline: None,
            client: self.record.client.ip(),
            local: self.record.local.ip(),
            hash: Some(hash.into()),
            host: Some(target.addr.clone()),
            bypass: self.serving.policies.bypass.clone(),
            asker: Some(Arc::new(self.record.asker())),
        }
    }

    async fn check_bypass(&self, target: &Target) -> Result<()> {
        let Some(bypass) = &self.serving.policies.bypass else {
            return Ok(());
        };
        let query = BypassQuery {
            target: target.clone(),
            host: None,
            path: None,
        };
        if bypass.contains(&query, &self.record.asker()).await {
            return Err(forbidden(target));
        }
        Ok(())
    }

    /// The node of the forwarder that answers first, in the order the hop chooses.
    async fn forward_to(&mut self, hint: &Hint) -> Result<Upstream> {
        let Some(hop) = self.serving.forwarder.clone() else {
            // Only a chain whose last node is in forward mode knows where this goes.
            let target = Target {
                network: hint.network,
                addr: Addr::Name("".into(), 0),
            };
            return self.connect(&target).await;
        };
        let mut tried = Vec::new();
        let mut failure: Option<Error> = None;
        loop {
            let wanted = Target {
                network: hint.network,
                addr: hint.host.clone().unwrap_or_default(),
            };
            let mut request = Request::new(&wanted, &self.ask(&wanted));
            request.asker = self.record.asker();
            request.host.clone_from(&hint.host);
            request.protocol = hint.protocol;
            let node = match hop.select(&request, &tried).await {
                Ok(Choice::Node(node)) => node,
                // The nodes of a forwarder are connected to one after the other.
                Ok(Choice::Race(nodes)) => match nodes.into_iter().next() {
                    Some(node) => node,
                    None => return Err(failure.unwrap_or_else(|| no_route("an empty choice"))),
                },
                Ok(Choice::Skip) => return Err(no_route("the forwarder takes no such request")),
                Err(error) => return Err(failure.unwrap_or(error)),
            };
            let network = node
                .network
                .unwrap_or(match (hint.network, &node.addr.addr) {
                    // No socket of a file system has a port.
                    (Network::Unix, Addr::Ip(_) | Addr::Name(_, 1..)) => Network::Tcp,
                    (network, _) => network,
                });
            let addr = match &node.addr.addr {
                Addr::Any => hint.host.clone().unwrap_or_default(),
                name @ Addr::Name(..) if network == Network::Unix => Addr::path(name.host()),
                addr => addr.clone(),
            };
            if let Some(details) = &mut self.record.details {
                details.node = Some(node.addr.name.clone());
            }
            match self.connect(&Target { network, addr }).await {
                Ok(upstream) => {
                    node.marker.reset();
                    return Ok(upstream);
                }
                // The way there failed, which is the same to every target.
                Err(error) if error.node().is_some() || error.why() == Why::NoRoute => {
                    return Err(error);
                }
                Err(error) => {
                    // What a rule of ours keeps out is no failure.
                    if error.why() != Why::Denied {
                        node.marker.mark();
                    }
                    tracing::debug!(
                        service = %self.record.service, sid = %self.record.id, node = %node.addr.name, "{error}"
                    );
                    failure = Some(error);
                    tried.push(node);
                }
            }
        }
    }

    async fn connect(&mut self, target: &Target) -> Result<Upstream> {
        self.record.target = Some(target.clone());
        let records = &self.serving.records;
        records.dial(&target.addr);
        let mut conn = match self.serving.out.connect(target, &self.ask(target)).await {
            Ok(conn) => conn,
            Err(error) => {
                records.dial_error(&target.addr);
                self.record.route = error.route().cloned();
                return Err(error);
            }
        };
        self.record.route = conn.meta.route.take();
        if let Some(details) = &mut self.record.details {
            details.src = conn.meta.local.clone();
            details.dst = conn.meta.peer.clone();
        }
        Ok(Upstream::new(conn))
    }
}

fn no_route(what: &str) -> Error {
    Error::new(Why::NoRoute, what).phase(Phase::Route)
}

#[async_trait]
impl SessionOps for ServiceSession {
    fn record(&self) -> &Record {
        &self.record
    }

    fn requires_auth(&self) -> bool {
        self.serving.policies.auther.is_some()
            && !ip_of(&self.record.client).is_some_and(|ip| self.serving.skips_auth(ip))
    }

    fn has_users(&self) -> bool {
        self.serving.policies.auther.is_some()
    }

    async fn authenticate(&mut self, user: &str, password: &str) -> Result<()> {
        let Some(auther) = &self.serving.policies.auther else {
            return Ok(());
        };
        if !self.requires_auth() {
            return Ok(());
        }
        let given = Credentials {
            username: user.to_owned(),
            password: password.to_owned(),
        };
        match auther.authenticate(&given, &self.record.asker()).await {
            Some(id) => {
                self.record.user = id;
                Ok(())
            }
            None => Err(Error::new(Why::Auth, "wrong user or password").side(Side::Client)),
        }
    }

    async fn open(&mut self, target: &Target) -> Result<Upstream> {
        self.record.target = Some(target.clone());
        self.settled();
        if target.addr != Addr::Any {
            self.check_bypass(target).await?;
        }
        self.connect(target).await
    }

    fn has_forwarder(&self) -> bool {
        self.serving.forwarder.is_some()
    }

    async fn forward(&mut self, hint: &Hint) -> Result<Upstream> {
        self.settled();
        self.forward_to(hint).await
    }

    async fn listen(&mut self, at: &Target, how: &BindOptions) -> Result<Box<dyn Listener>> {
        self.settled();
        gost_net::sockets::Sockets::default()
            .bind(at, &self.ask(at), how)
            .await
    }

    async fn listen_packet(&mut self, at: SocketAddr) -> Result<Conn> {
        self.settled();
        let socket = gost_net::udp::bind_at(at, None)?;
        let names = self.serving.policies.names.clone();
        let asker = Arc::new(self.record.asker());
        let allowed = address_check(&self.serving, Asker::clone(&asker));
        let resolve = Arc::new(
            move |addr: &Addr| -> BoxFuture<'static, Result<SocketAddr>> {
                let (names, addr, allowed) = (names.clone(), addr.clone(), allowed.clone());
                let asker = asker.clone();
                Box::pin(async move {
                    let resolving = gost_net::sockets::resolve(&addr, &names, Family::Any, &asker);
                    let found = resolving.await?;
                    match allowed {
                        Some(allowed) if !allowed(&found.into()).await => Err(forbidden(&addr)),
                        _ => Ok(found),
                    }
                })
            },
        );
        Ok(UdpConn::new(socket)?.with_resolver(resolve).into_conn())
    }

    async fn check(&self, target: &Target) -> Result<()> {
        self.check_bypass(target).await
    }

    async fn resolve(&self, addr: &Addr) -> Result<SocketAddr> {
        let names = &self.serving.policies.names;
        gost_net::sockets::resolve(addr, names, Family::Any, &self.record.asker()).await
    }

    fn is_direct(&self) -> bool {
        self.serving.out.path().is_direct()
    }

    async fn relay(&mut self, client: Conn, upstream: Upstream) -> Result<()> {
        let (record, traffic) = (self.record.clone(), self.traffic.clone());
        let relay = Relay::new(&self.serving, client, upstream, record, traffic, None)?;
        match Box::pin(relay.finish()).await.error {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn child(&self) -> Session {
        let record = Record {
            id: SessionId::next(),
            start: Instant::now(),
            target: None,
            route: None,
            details: (self.record.details.as_ref())
                .and_then(|details| self.serving.records.details(&details.remote)),
            ..self.record.clone()
        };
        Session::new(Self {
            serving: self.serving.clone(),
            record,
            guard: self.guard.clone(),
            traffic: self.traffic.clone(),
            limit: self.limit.clone(),
            counted: self.counted.clone(),
        })
    }

    fn settled(&mut self) {
        self.guard.settle();
        self.limit_client();
    }

    fn client_meter(&self) -> Meter {
        self.limit
            .as_ref()
            .map(|limit| limit.meter())
            .unwrap_or_default()
    }

    fn details(&mut self) -> Option<&mut Details> {
        self.record.details.as_deref_mut()
    }

    fn finished(&mut self, input: u64, output: u64, error: Option<&Error>) {
        if let Some(clients) = &self.serving.clients {
            let client = clients.of(&self.record.user);
            if let Some(counted) = &self.counted {
                let (user, mut counted) = (&self.record.user, counted.lock());
                if counted.as_ref().is_none_or(|last| last.user != *user) {
                    *counted = Some(Counted {
                        user: user.clone(),
                        _open: client.open(),
                    });
                }
            }
            client.count(Direction::In, usize::try_from(input).unwrap_or(usize::MAX));
            client.count(
                Direction::Out,
                usize::try_from(output).unwrap_or(usize::MAX),
            );
        }
        if let Some(traffic) = &self.traffic {
            let (all_in, all_out) = traffic.take();
            let bytes = (input.max(all_in), output.max(all_out));
            self.serving.records.session(&self.record, bytes, error);
        }
    }
}

fn forbidden(what: &impl std::fmt::Display) -> Error {
    Error::new(Why::Denied, format!("{what}: forbidden by a bypass"))
}

/// Asks the rules about the addresses of datagrams.
fn address_check(serving: &Serving, asker: Asker) -> Option<Check> {
    let bypass = serving.policies.bypass.clone()?;
    Some(Arc::new(move |addr: &Addr| {
        let (bypass, asker) = (bypass.clone(), asker.clone());
        let query = BypassQuery {
            target: Target::udp(addr.clone()),
            host: None,
            path: None,
        };
        Answer::later(async move { !bypass.contains(&query, &asker).await })
    }))
}

/// Moves datagrams until the conversation is over. Where each says where it goes to or comes from,
/// the rules are asked about the far side's addresses.
pub(crate) fn relay_datagrams(
    client: Box<dyn Packet>,
    upstream: Box<dyn Packet>,
    options: CopyOptions,
    serving: &Serving,
    record: &Record,
) -> BoxFuture<'static, Outcome> {
    let addressed = record
        .target
        .as_ref()
        .is_none_or(|target| target.addr == Addr::Any);
    let options = RelayOptions {
        idle: options.idle,
        meter: options.meter,
        check: addressed
            .then(|| address_check(serving, record.asker()))
            .flatten(),
    };
    Box::pin(async move {
        let outcome = udp::relay(client, upstream, options).await;
        Outcome {
            input: outcome.input.bytes,
            output: outcome.output.bytes,
            error: outcome.error,
        }
    })
}
