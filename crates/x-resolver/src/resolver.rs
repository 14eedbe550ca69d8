//! Servers in order, and both types of addresses of a name.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use futures_util::future::{Either, select};
use gost_core::{
    build::Build,
    error::{Error, Phase, Result, Why},
    policy::{Answer, Asker, Family, Resolver},
};
use gost_dns::message::Kind;
use gost_matcher::normalized;
use parking_lot::Mutex;
use tokio::task::JoinSet;

use crate::{
    cache::{Addresses, Known},
    options::Nameserver,
    server::Server,
};

/// How long the addresses of the second family are waited for when those of the first are there
/// (RFC 8305, section 3).
const PATIENCE: Duration = Duration::from_millis(50);

/// How many questions may be on their way that nobody waits for.
const BACKGROUND: usize = 32;

/// Resolves names by asking servers in order; the first that has an address ends the search.
pub struct DnsResolver {
    servers: Vec<Arc<Server>>,
    /// Questions that nobody waits for. They end with the resolver.
    background: Mutex<JoinSet<()>>,
}

impl DnsResolver {
    /// A resolver with servers as configured. Those without an address are passed over. `build`
    /// has the chains through which servers are asked.
    ///
    /// # Errors
    /// What is wrong with a server, with its address; a chain that does not exist.
    pub fn new(nameservers: &[Nameserver], build: &Build) -> Result<Self> {
        let servers = nameservers
            .iter()
            .filter(|config| !config.addr.trim().is_empty())
            .map(|config| {
                let server = Server::new(config, build);
                let server = server.map_err(|e| e.context(format_args!("{:?}", config.addr)));
                server.map(Arc::new)
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            servers,
            background: Mutex::default(),
        })
    }

    async fn search(&self, host: &str, family: Family) -> Result<Vec<IpAddr>> {
        let mut failure = None;
        for server in &self.servers {
            match self.ask(server, host, family).await {
                Ok(found) if !found.is_empty() => return Ok(found),
                Ok(_) => failure = Some(server.nothing(host)),
                Err(error) => {
                    tracing::debug!("resolve {host}: {error}");
                    failure = Some(error);
                }
            }
        }
        let none = || Error::new(Why::Unresolved, "the resolver has no servers");
        let failure = failure.unwrap_or_else(none);
        Err(failure
            .why_set(Why::Unresolved)
            .phase(Phase::Resolve)
            .context(format_args!("resolve {host}")))
    }

    /// What a server says, the addresses of the preferred family first.
    async fn ask(&self, server: &Arc<Server>, host: &str, family: Family) -> Result<Vec<IpAddr>> {
        let Some((first, alone)) = wanted(server, family) else {
            return Ok(Vec::new());
        };
        if alone {
            return Ok(self.family(server, host, first).await?.to_vec());
        }
        let other = first.other();
        let both = select(
            Box::pin(self.family(server, host, first)),
            Box::pin(self.family(server, host, other)),
        );
        // Of a family that the server does not tell about, whoever comes next shall not wait in
        // vain again.
        let (found, rest) = match both.await {
            Either::Left((Ok(found), mut second)) if !found.is_empty() => {
                let rest = tokio::time::timeout(PATIENCE, &mut second).await;
                let rest = rest.unwrap_or_else(|_| {
                    self.settle(server, host, other);
                    Ok(Addresses::from([]))
                });
                (Ok(found), rest)
            }
            Either::Left((found, second)) => (found, second.await),
            Either::Right((rest, preferred)) => (preferred.await, rest),
        };
        let (found, rest) = match (found, rest) {
            (Ok(found), Ok(rest)) => (found, rest),
            (Ok(found), Err(_)) if !found.is_empty() => (found, server.has_none(host, other)),
            (Err(_), Ok(rest)) if !rest.is_empty() => (server.has_none(host, first), rest),
            (Err(error), _) | (_, Err(error)) => return Err(error),
        };
        Ok([&*found, &*rest].concat())
    }

    /// The addresses of one family: those that are known, or else those that the server says.
    async fn family(&self, server: &Arc<Server>, host: &str, kind: Kind) -> Result<Addresses> {
        match server.known(host, kind) {
            Known::Fresh(addresses) => Ok(addresses),
            Known::Stale(addresses) if server.refresh => {
                self.refresh(server, host, kind);
                Ok(addresses)
            }
            Known::Stale(_) | Known::Nothing => server.ask(host, kind).await,
        }
    }

    fn refresh(&self, server: &Arc<Server>, host: &str, kind: Kind) {
        let flight = server.ask(host, kind);
        self.in_background(async move {
            if let Err(error) = flight.await {
                tracing::debug!("ask again: {error}");
            }
        });
    }

    /// Goes on waiting for the addresses of the second family.
    fn settle(&self, server: &Arc<Server>, host: &str, kind: Kind) {
        let flight = server.ask(host, kind);
        let (server, host) = (server.clone(), host.to_owned());
        self.in_background(async move {
            if flight.await.is_err() {
                server.has_none(&host, kind);
            }
        });
    }

    /// Goes on with a question that nobody waits for, unless there are too many of them.
    fn in_background(&self, question: impl Future<Output = ()> + Send + 'static) {
        let mut background = self.background.lock();
        while background.try_join_next().is_some() {}
        if background.len() < BACKGROUND {
            background.spawn(question);
        }
    }

    /// What is known without asking.
    fn known(&self, host: &str, family: Family) -> Option<Vec<IpAddr>> {
        let server = self.servers.first()?;
        let (first, alone) = wanted(server, family)?;
        let fresh = |kind| match server.known(host, kind) {
            Known::Fresh(addresses) => Some(addresses),
            Known::Stale(_) | Known::Nothing => None,
        };
        let mut found = fresh(first)?.to_vec();
        if !alone {
            found.extend_from_slice(&fresh(first.other())?);
        }
        (!found.is_empty()).then_some(found)
    }
}

/// The type to ask a server for first, and whether it is the only one; `None` when the server is
/// for the other family only.
fn wanted(server: &Server, family: Family) -> Option<(Kind, bool)> {
    let kind = match family {
        Family::Any => return Some((server.first, server.only)),
        Family::V4 => Kind::V4,
        Family::V6 => Kind::V6,
    };
    (!server.only || server.first == kind).then_some((kind, true))
}

impl Resolver for DnsResolver {
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        family: Family,
        _: &'a Asker,
    ) -> Answer<'a, Result<Vec<IpAddr>>> {
        if let Ok(ip) = host.parse() {
            return Answer::Now(Ok(vec![ip]));
        }
        let host = normalized(host);
        if let Some(known) = self.known(&host, family) {
            return Answer::Now(Ok(known));
        }
        Answer::later(async move { self.search(&host, family).await })
    }
}

impl fmt::Debug for DnsResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DnsResolver({:?})", self.servers)
    }
}

#[cfg(test)]
mod tests;
