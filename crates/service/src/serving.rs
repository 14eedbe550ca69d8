//! What is done with the connections of a service.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use gost_core::{
    handler::Handler,
    options,
    outbound::Outbound,
    policy::{
        Admission, Authenticator, Bypass, ConnLimiter, Observer, Quota, RateLimiter, TrafficLimiter,
    },
    routing::{Hop, Names},
};
use ipnet::IpNet;

use crate::{
    records::Records,
    stats::{Clients, Counters},
};

options! {
    /// Keys that the handlers of all protocols share.
    pub struct SessionOptions {
        /// How long a client may take until it has asked for something; 0 for the default.
        read_timeout: Duration = HANDSHAKE, "readTimeout" | "read.timeout";
        /// End a connection on which nothing has moved for so long; 0 for never.
        idle_timeout: Duration = Duration::ZERO, "idleTimeout";
        /// What the `hash` strategy hashes: `host` for the target, otherwise the user or client.
        hash: String = String::new(), "hash";
        /// Clients, by address or prefix, that need not prove who they are.
        skip_auth: Vec<String> = Vec::new(), "skipauth";
    }
}

/// How long a client may take until it has asked for something.
const HANDSHAKE: Duration = Duration::from_secs(15);

impl SessionOptions {
    /// The deadline of the handshake, counted from the connection's start.
    pub(crate) fn handshake(&self) -> Duration {
        if self.read_timeout.is_zero() {
            HANDSHAKE
        } else {
            self.read_timeout
        }
    }

    pub(crate) fn idle(&self) -> Option<Duration> {
        (!self.idle_timeout.is_zero()).then_some(self.idle_timeout)
    }
}

/// The policies of a service. Those that are absent allow everything.
#[derive(Clone, Default)]
pub struct Policies {
    /// All must admit a client.
    pub admissions: Vec<Arc<dyn Admission>>,
    /// Who may use the service.
    pub auther: Option<Arc<dyn Authenticator>>,
    /// Which targets may not be reached through it.
    pub bypass: Option<Arc<dyn Bypass>>,
    /// Connections at once.
    pub conn_limiter: Option<Arc<dyn ConnLimiter>>,
    /// Connections per second.
    pub rate_limiter: Option<Arc<dyn RateLimiter>>,
    /// Bytes per second of each connection.
    pub conn_traffic: Option<Arc<dyn TrafficLimiter>>,
    /// Bytes per second of each client.
    pub traffic_limiter: Option<Arc<dyn TrafficLimiter>>,
    /// Bytes that may be used up. While one of them is, no connection is taken.
    pub quotas: Vec<Arc<dyn Quota>>,
    /// Hosts and resolver, for datagrams that a handler sends by itself.
    pub names: Names,
}

/// What is done with a connection: the handler, the way out, the policies.
pub struct Serving {
    /// Speaks the protocol.
    pub handler: Arc<dyn Handler>,
    /// The way out.
    pub out: Arc<dyn Outbound>,
    /// The nodes that a forwarding handler forwards to.
    pub forwarder: Option<Arc<dyn Hop>>,
    /// Who may, where to, how much.
    pub policies: Policies,
    /// Keys that the handlers of all protocols share.
    pub options: SessionOptions,
    /// How long each attempt to open something may take.
    pub dial_timeout: Duration,
    /// What is written down.
    pub records: Records,
    /// Is told of changes of the state.
    pub observer: Option<Arc<dyn Observer>>,
    /// Counts connections and failures. Bytes are counted by the meter of the listener.
    pub stats: Option<Arc<Counters>>,
    /// Counts what each client does.
    pub clients: Option<Arc<Clients>>,
    /// Clients that need not prove who they are, from the options.
    pub(crate) skip_auth: Vec<IpNet>,
}

impl Serving {
    /// A handler and a way out; no policies.
    pub fn new(handler: Arc<dyn Handler>, out: Arc<dyn Outbound>) -> Self {
        Self {
            handler,
            out,
            forwarder: None,
            policies: Policies::default(),
            options: SessionOptions::default(),
            dial_timeout: Duration::from_secs(15),
            records: Records::default(),
            observer: None,
            stats: None,
            clients: None,
            skip_auth: Vec::new(),
        }
    }

    /// Sets the shared options; the error names an item of `skipauth` that is no prefix.
    pub fn with_options(mut self, options: SessionOptions) -> Result<Self, String> {
        self.skip_auth = options
            .skip_auth
            .iter()
            .map(|text| {
                parse_prefix(text)
                    .ok_or_else(|| format!("skipauth: {text:?} is no address or prefix"))
            })
            .collect::<Result<_, _>>()?;
        self.options = options;
        Ok(self)
    }

    pub(crate) fn skips_auth(&self, client: IpAddr) -> bool {
        let client = client.to_canonical();
        self.skip_auth.iter().any(|net| net.contains(&client))
    }
}

fn parse_prefix(text: &str) -> Option<IpNet> {
    text.parse()
        .ok()
        .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
