//! The router: the way out of a service.

use std::{
    fmt,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use gost_core::{
    addr::{Addr, Target},
    conn::Conn,
    error::{Error, Phase, Result, Side, Why},
    listener::Listener,
    outbound::{Ask, BindOptions, Outbound, PathId},
    policy::BypassQuery,
    race::race,
    routing::{Chain, Names, Node, Request, Route},
};

use crate::{
    deadline::now,
    names,
    retry::{Failed, Retry},
    route::{self, Blame, Trail},
};

/// How long each attempt may take unless set otherwise.
const DIAL_TIMEOUT: Duration = Duration::from_secs(15);

/// Makes sockets that send from the address which the client connected to.
pub type LocalSockets = Arc<dyn Fn(IpAddr) -> Arc<dyn Outbound> + Send + Sync>;

/// The way out of a service: names, chain, attempts.
pub struct Router {
    id: u64,
    sockets: Arc<dyn Outbound>,
    local_sockets: Option<LocalSockets>,
    chain: Option<Arc<dyn Chain>>,
    names: Names,
    retries: usize,
    dial_timeout: Duration,
}

impl Router {
    /// A router without a chain: it goes direct, over `sockets`.
    pub fn new(sockets: Arc<dyn Outbound>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            id: NEXT.fetch_add(1, Relaxed),
            sockets,
            local_sockets: None,
            chain: None,
            names: Names::default(),
            retries: 0,
            dial_timeout: DIAL_TIMEOUT,
        }
    }

    /// Sets the chain, or a group of chains.
    #[must_use]
    pub fn with_chain(mut self, chain: Arc<dyn Chain>) -> Self {
        self.chain = Some(chain);
        self
    }

    /// Sets who turns the names of targets into addresses. A name that they know reaches the
    /// nodes as an IP address, others as names.
    #[must_use]
    pub fn with_names(mut self, names: Names) -> Self {
        self.names = names;
        self
    }

    /// Sets how often a failed attempt is repeated.
    #[must_use]
    pub const fn with_retries(mut self, retries: usize) -> Self {
        self.retries = retries;
        self
    }

    /// Sets how long each attempt may take; zero for 15 seconds.
    #[must_use]
    pub const fn with_dial_timeout(mut self, timeout: Duration) -> Self {
        self.dial_timeout = if timeout.is_zero() {
            DIAL_TIMEOUT
        } else {
            timeout
        };
        self
    }

    /// Sets what makes the sockets for the interface `auto`; see [`local_interface`].
    #[must_use]
    pub fn with_local_sockets(mut self, make: LocalSockets) -> Self {
        self.local_sockets = Some(make);
        self
    }

    /// The sockets of the direct way for one request.
    fn sockets(&self, ask: &Ask) -> Arc<dyn Outbound> {
        match (&self.local_sockets, ask.local) {
            (Some(make), Some(local)) if !local.ip().is_unspecified() => make(local.ip()),
            _ => self.sockets.clone(),
        }
    }

    /// What is asked in one attempt, with the attempt's own deadline.
    fn attempt(&self, ask: &Ask) -> Ask {
        let deadline = now() + self.dial_timeout;
        Ask {
            deadline: Some(ask.deadline.map_or(deadline, |d| d.min(deadline))),
            ..ask.clone()
        }
    }

    async fn connect_once(
        &self,
        to: &Target,
        ask: &Ask,
        without: &[Vec<Arc<Node>>],
    ) -> Result<Conn, Failed> {
        let mut ask = self.attempt(ask);
        ask.host.get_or_insert_with(|| to.addr.clone());
        let resolving = names::addresses(&self.names, &to.addr, &ask);
        let found = ask.within("resolve", &to.addr, resolving).await;
        let found = found.map_err(|e| e.phase(Phase::Resolve).side(Side::Target))?;
        let targets = allowed(found, to, &ask).await?;
        if let Some(chain) = &self.chain {
            // `allowed` is never empty.
            let to = targets.first().unwrap_or(to);
            let request = Request::new(to, &ask);
            let route = choose(&**chain, &request, without, &ask).await?;
            if !route.steps.is_empty() {
                return self.walk(&route, to, &ask).await;
            }
        }
        Ok(self.direct(&targets, &ask).await?)
    }

    /// Connects through the nodes of a route.
    async fn walk(&self, route: &Route, to: &Target, ask: &Ask) -> Result<Conn, Failed> {
        let trail = Arc::new(Trail::default());
        let Some(way) = route::fold(&route.steps, &self.sockets, &trail) else {
            return Err(no_route().into());
        };
        match judge(way.connect(to, ask).await, route, &trail) {
            Ok(mut conn) => {
                conn.meta.route = Some(trail.text(&route.steps, to).into());
                Ok(conn)
            }
            Err(mut failed) => {
                let error = failed.error;
                failed.error = error.along(|| trail.text(&route.steps, to));
                Err(failed)
            }
        }
    }

    /// Connects without nodes: to the first of the addresses that answers.
    async fn direct(&self, targets: &[Target], ask: &Ask) -> Result<Conn> {
        let sockets = self.sockets(ask);
        let connect = async |to: Target| {
            let mut conn = sockets.connect(&to, ask).await?;
            conn.meta.route = Some(to.addr.to_string().into());
            Ok(conn)
        };
        let connected = race(targets, connect).await;
        connected.map_err(|error| {
            let first = targets.first().map(|to| to.addr.to_string());
            let error = error.along(|| first.unwrap_or_default());
            // There was nobody else whose silence it could have been.
            if error.why() == Why::TimedOut {
                error.side(Side::Target)
            } else {
                error
            }
        })
    }

    async fn bind_once(
        &self,
        at: &Target,
        ask: &Ask,
        how: &BindOptions,
        without: &[Vec<Arc<Node>>],
    ) -> Result<Box<dyn Listener>, Failed> {
        let ask = self.attempt(ask);
        let Some(chain) = &self.chain else {
            return Ok(self.sockets(&ask).bind(at, &ask, how).await?);
        };
        let request = Request::new(at, &ask);
        let route = choose(&**chain, &request, without, &ask).await?;
        let trail = Arc::new(Trail::default());
        let Some(way) = route::fold(&route.steps, &self.sockets, &trail) else {
            // What was to listen far away must not listen here.
            let what = format!("bind {at}: the chain has no node for it");
            return Err(Error::new(Why::NoRoute, what).phase(Phase::Route).into());
        };
        judge(way.bind(at, &ask, how).await, &route, &trail)
    }
}

/// Asks a chain for a way, under the deadline: without all of the first nodes, or else without
/// those of the next list, and so on.
async fn choose(
    chain: &dyn Chain,
    request: &Request,
    without: &[Vec<Arc<Node>>],
    ask: &Ask,
) -> Result<Route> {
    let work = async {
        let mut failure = None;
        for tried in without {
            match chain.route(request, tried).await {
                Err(error) if error.why() == Why::NoRoute => {
                    failure.get_or_insert(error);
                }
                other => return other,
            }
        }
        Err(failure.unwrap_or_else(no_route))
    };
    ask.within("choose a route to", &request.target, work)
        .await
        .map_err(|e| e.phase(Phase::Route))
}

fn no_route() -> Error {
    Error::new(Why::NoRoute, "the route has no nodes").phase(Phase::Route)
}

/// Tells the markers of the chain, and finds the nodes at fault.
fn judge<T>(result: Result<T>, route: &Route, trail: &Trail) -> Result<T, Failed> {
    let reset = || route.markers.iter().for_each(|marker| marker.reset());
    let error = match result {
        Ok(done) => {
            reset();
            return Ok(done);
        }
        Err(error) => error,
    };
    let mut blames = trail.failures();
    match error.at_side() {
        Side::Node => {
            route.markers.iter().for_each(|marker| marker.mark());
            // A session that several wait for is opened on behalf of one of them; the others
            // learn only the name.
            if blames.is_empty() {
                let named = |node: &&Arc<Node>| error.node() == Some(&node.addr.name);
                let found = route.steps.iter().enumerate().find_map(|(place, step)| {
                    let node = step.nodes().iter().find(named)?.clone();
                    Some(Blame {
                        place,
                        node,
                        doubt: false,
                    })
                });
                blames.extend(found);
            }
        }
        Side::Target => reset(),
        Side::Client | Side::Us => {}
    }
    Err(Failed { error, blames })
}

/// The targets that a host was found to be, without those that the client's rules forbid; never
/// an empty list.
async fn allowed(found: Vec<Addr>, to: &Target, ask: &Ask) -> Result<Vec<Target>> {
    let target = |addr| Target {
        network: to.network,
        addr,
    };
    let Some(bypass) = &ask.bypass else {
        return Ok(found.into_iter().map(target).collect());
    };
    let mut kept = Vec::with_capacity(found.len());
    for addr in found {
        if addr == to.addr {
            // It was checked before.
            kept.push(target(addr));
            continue;
        }
        // An unspecified address reaches this machine.
        let reached = match addr.ip() {
            Some(ip) if addr.is_unspecified() && ip.is_ipv4() => {
                Addr::from_host("127.0.0.1", ip.port())
            }
            Some(ip) if addr.is_unspecified() => Addr::from_host("::1", ip.port()),
            _ => addr.clone(),
        };
        let asked = target(addr);
        let request = Request::new(&asked, ask);
        let query = BypassQuery {
            target: target(reached),
            host: ask.host.clone(),
            path: None,
        };
        if !bypass.contains(&query, &request.asker).await {
            kept.push(asked);
        }
    }
    if kept.is_empty() {
        let what = format!("{to}: every address is forbidden by a bypass");
        return Err(Error::new(Why::Denied, what).phase(Phase::Resolve));
    }
    Ok(kept)
}

/// A list of interfaces with the word `auto` replaced by an address; `None` without that word.
///
/// The word means the address that the client connected to.
pub fn local_interface(interfaces: &str, local: IpAddr) -> Option<String> {
    let mut found = false;
    let words: Vec<_> = interfaces
        .split(',')
        .map(|word| {
            if word.trim() == "auto" {
                found = true;
                local.to_string()
            } else {
                word.to_owned()
            }
        })
        .collect();
    found.then(|| words.join(","))
}

#[async_trait]
impl Outbound for Router {
    /// Names, route, nodes; each attempt with a deadline of its own.
    ///
    /// A failure of a node or the target is repeated as often as configured, without the nodes
    /// that failed before as long as there are others. When a node failed, another one is tried
    /// even without configured retries: once in any case, up to three times while the request is
    /// younger than the timeout of one attempt.
    async fn connect(&self, to: &Target, ask: &Ask) -> Result<Conn> {
        let mut retry = Retry::new(self.retries, self.dial_timeout, ask.deadline);
        loop {
            match self.connect_once(to, ask, &retry.without()).await {
                Ok(conn) => return Ok(conn),
                Err(failed) => retry.after(failed)?,
            }
        }
    }

    /// Listens at the last node of a route, or here when there is no chain. A chain that has no
    /// node for it is an error.
    async fn bind(&self, at: &Target, ask: &Ask, how: &BindOptions) -> Result<Box<dyn Listener>> {
        let mut retry = Retry::new(self.retries, self.dial_timeout, ask.deadline);
        loop {
            match self.bind_once(at, ask, how, &retry.without()).await {
                Ok(listener) => return Ok(listener),
                Err(failed) => retry.after(failed)?,
            }
        }
    }

    /// The way of a router is known only once it is asked: with a chain, one of its own.
    fn path(&self) -> PathId {
        match self.chain {
            Some(_) => PathId::direct().and(&format!("router {}", self.id)),
            None => PathId::direct(),
        }
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router")
            .field("chain", &self.chain.is_some())
            .field("retries", &self.retries)
            .field("dial_timeout", &self.dial_timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
