//! A name server with what it said.

use std::{collections::HashMap, fmt, net::IpAddr, sync::Arc, time::Duration};

use futures_util::{
    FutureExt as _,
    future::{Shared, WeakShared},
};
use gost_chain::router::Router;
use gost_core::{
    build::{Build, TlsSettings},
    error::{Error, Result, Why},
    listener::BoxFuture,
    outbound::{Outbound, Upgrade},
    routing::Chain,
};
use gost_dns::{
    Exchanger, Protocol,
    message::{self, Kind},
};
use gost_net::sockets::Sockets;
use gost_tls::{ClientOptions, ClientTls, SystemRoots};
use parking_lot::Mutex;

use crate::{
    cache::{Addresses, Cache, Known},
    options::{Nameserver, Ttl},
};

/// How long a type counts as having no addresses when the server does not say, and has some of the
/// other.
const UNANSWERED: Duration = Duration::from_mins(1);

type Question = BoxFuture<'static, Result<Addresses>>;

/// A question that is being asked, for all who want to know.
pub(crate) type Flight = Shared<Question>;

/// What is known of names of one type, and what is being asked.
#[derive(Default)]
struct Book {
    cache: Cache,
    flights: HashMap<Box<str>, WeakShared<Question>>,
}

/// A name server.
pub(crate) struct Server {
    exchanger: Exchanger,
    client: Option<IpAddr>,
    /// The type to ask for first.
    pub(crate) first: Kind,
    /// Whether it is the only one.
    pub(crate) only: bool,
    ttl: Ttl,
    timeout: Duration,
    /// Give old answers at once, and ask again meanwhile.
    pub(crate) refresh: bool,
    v4: Mutex<Book>,
    v6: Mutex<Book>,
}

impl Server {
    /// A server as configured. `build` has the chains and what TLS needs.
    pub(crate) fn new(config: &Nameserver, build: &Build) -> Result<Self> {
        let server = gost_dns::Server::parse(&config.addr)?;
        let mut router = Router::new(Arc::new(Sockets::default()) as Arc<dyn Outbound>)
            .with_dial_timeout(config.timeout());
        let chain = config.chain.trim();
        if !chain.is_empty() {
            router = router.with_chain(Arc::new(build.named::<dyn Chain>(chain)?));
        }
        let tls = tls(config, server.protocol(), build)?;
        let (first, only) = config.families()?;
        Ok(Self {
            exchanger: Exchanger::new(server, Arc::new(router), tls)?,
            client: config.client()?,
            first,
            only,
            ttl: config.ttl,
            timeout: config.timeout(),
            refresh: config.refresh && config.ttl != Ttl::Never,
            v4: Mutex::default(),
            v6: Mutex::default(),
        })
    }

    const fn book(&self, kind: Kind) -> &Mutex<Book> {
        match kind {
            Kind::V4 => &self.v4,
            Kind::V6 => &self.v6,
        }
    }

    pub(crate) fn known(&self, host: &str, kind: Kind) -> Known {
        self.book(kind).lock().cache.get(host)
    }

    /// Asks, or joins those who ask the same. The question ends when nobody waits for it.
    pub(crate) fn ask(self: &Arc<Self>, host: &str, kind: Kind) -> Flight {
        let mut book = self.book(kind).lock();
        if let Some(flight) = book.flights.get(host).and_then(WeakShared::upgrade) {
            return flight;
        }
        let landing = Landing {
            server: self.clone(),
            host: host.into(),
            kind,
        };
        let question = async move {
            let Landing { server, host, kind } = &landing;
            server.fetch(host, *kind).await
        };
        let flight = question.boxed().shared();
        if let Some(weak) = flight.downgrade() {
            book.flights.insert(host.into(), weak);
        }
        flight
    }

    async fn fetch(&self, host: &str, kind: Kind) -> Result<Addresses> {
        let question = message::question(host, kind, self.client)?;
        let deadline = tokio::time::Instant::now().into_std() + self.timeout;
        let answer = self.exchanger.exchange(&question, deadline).await?;
        let found = message::read(&answer, kind)
            .map_err(|e| Error::from(e).context(self.exchanger.server()))?;
        let addresses: Addresses = found.addresses.into();
        self.keep(host, kind, &addresses, found.ttl);
        Ok(addresses)
    }

    fn keep(&self, host: &str, kind: Kind, addresses: &Addresses, ttl: Duration) {
        let ttl = match self.ttl {
            Ttl::Never => return,
            Ttl::Answer => ttl,
            Ttl::Fixed(ttl) => ttl,
        };
        if !ttl.is_zero() {
            let mut book = self.book(kind).lock();
            book.cache.put(host, addresses.clone(), ttl);
        }
    }

    /// Notes that nothing is to be learned about the addresses of a type, which then count as none.
    pub(crate) fn has_none(&self, host: &str, kind: Kind) -> Addresses {
        let none = Addresses::from([]);
        self.keep(host, kind, &none, UNANSWERED);
        none
    }

    /// True when nothing is being asked.
    #[cfg(test)]
    pub(crate) fn is_quiet(&self) -> bool {
        let is_quiet = |kind| self.book(kind).lock().flights.is_empty();
        is_quiet(Kind::V4) && is_quiet(Kind::V6)
    }

    pub(crate) fn nothing(&self, host: &str) -> Error {
        let server = self.exchanger.server();
        Error::new(
            Why::Unresolved,
            format!("{server} has no address of {host}"),
        )
    }
}

/// The place of a question among those that are asked; given up when it is dropped.
struct Landing {
    server: Arc<Server>,
    host: Box<str>,
    kind: Kind,
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut book = self.server.book(self.kind).lock();
        book.flights.remove(&self.host);
    }
}

/// TLS to the server: its certificate counts when the configuration says what it must be for.
fn tls(config: &Nameserver, protocol: Protocol, build: &Build) -> Result<Option<Arc<dyn Upgrade>>> {
    if !protocol.is_secure() {
        return Ok(None);
    }
    let hostname = config.hostname.trim();
    let alpn = protocol.alpn().iter().map(|name| (*name).to_owned());
    let settings = TlsSettings {
        secure: !hostname.is_empty(),
        server_name: hostname.to_owned(),
        alpn: Some(alpn.collect()),
        ..TlsSettings::default()
    };
    let system = SystemRoots::of(build);
    let (tls, _) = ClientTls::new(&settings, &ClientOptions::default(), system)?;
    if tls.is_insecure() {
        tracing::warn!(
            "{}: the certificate of {} is not verified; set hostname",
            build.place,
            config.addr
        );
    }
    Ok(Some(Arc::new(tls)))
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({})", self.exchanger.server())
    }
}
