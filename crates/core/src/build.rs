//! What a component is built from beside its options.

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    error::Result,
    listener::BoxFuture,
    meter::Meter,
    outbound::Outbound,
    policy::Credentials,
    registry::{Kind, Registry},
    values::Values,
};

pub use crate::{
    held::HeldSockets,
    named::{Named, Ref},
};

/// What a component is built from beside its options.
#[derive(Clone)]
#[non_exhaustive]
pub struct Build {
    /// Where it stands, for messages: `service s1 / handler`.
    pub place: Arc<str>,
    /// The address that its service listens on, or that its node is at; as configured.
    pub addr: Arc<str>,
    /// The component's own options, to hand on to components that it is made of.
    pub values: Values,
    /// The credentials of a connector, dialer, or of a handler that has a single user.
    pub auth: Option<Credentials>,
    /// The TLS settings of the component.
    pub tls: Option<Arc<TlsSettings>>,
    /// The TLS settings of the program: the certificate of servers that have none of their own.
    pub default_tls: Option<Arc<TlsSettings>>,
    /// How sockets are to be opened.
    pub door: Door,
    /// The components that it can be made of.
    pub registry: Arc<Registry>,
    /// The objects that have names.
    pub named: Arc<Named>,
}

impl Build {
    /// What an embedder has to say: the components there are. All else is empty and can be set.
    pub fn new(registry: Arc<Registry>) -> Self {
        Self {
            place: "".into(),
            addr: "".into(),
            values: Values::new(),
            auth: None,
            tls: None,
            default_tls: None,
            door: Door::default(),
            registry,
            named: Arc::default(),
        }
    }

    /// Builds a component that this one is made of, from the same options.
    pub fn make<K: Kind + ?Sized>(&self, name: &str) -> BoxFuture<'static, Result<K::Made>> {
        self.registry.make::<K>(name, &self.values, self.clone())
    }

    /// The slot of a named object. An unknown name is an error.
    pub fn named<K: Kind + ?Sized>(&self, name: &str) -> Result<Ref<K>>
    where
        K::Made: Clone + Sync,
    {
        self.named.get(name)
    }
}

impl fmt::Debug for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Build({})", self.place)
    }
}

/// How a listener opens its sockets, and the way out for one that listens elsewhere.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Door {
    /// Counts and limits the bytes of every accepted socket.
    pub meter: Meter,
    /// The network namespace to listen in: a name, or the path of a namespace file.
    pub netns: Option<Arc<str>>,
    /// Expect a PROXY header in front of each connection.
    pub proxy_protocol: bool,
    /// The way out of a listener that binds at a node; `None` listens here.
    pub outbound: Option<Arc<dyn Outbound>>,
    /// The sockets that other listeners of the program have open, of which this one may take over
    /// the one at its address.
    pub held: HeldSockets,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door")
            .field("netns", &self.netns)
            .finish_non_exhaustive()
    }
}

/// The TLS settings of a component, as configured; the crate that does TLS gives them meaning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// The file of our certificate, PEM.
    pub cert_file: String,
    /// The file of its key, PEM.
    pub key_file: String,
    /// The file of the certificates to trust, PEM.
    pub ca_file: String,
    /// Verify the server.
    pub secure: bool,
    /// The name to ask the server for, and to verify.
    pub server_name: String,
    /// Lowest version, by Go's name for it.
    pub min_version: String,
    /// Highest version, by Go's name for it.
    pub max_version: String,
    /// Cipher suites, by Go's names for them.
    pub cipher_suites: Vec<String>,
    /// Protocols to offer; `None` for the component's own.
    pub alpn: Option<Vec<String>>,
    /// Refuse clients that do not name a server, or one that is not in `server_names`.
    pub reject_unknown_sni: bool,
    /// The names that are served.
    pub server_names: Vec<String>,
    /// Life of a generated certificate; zero for the default. This and the two below count in the
    /// settings of the program only.
    pub validity: Duration,
    /// The name in a generated certificate; empty for the default.
    pub common_name: String,
    /// The organization in a generated certificate; empty for the default.
    pub organization: String,
}
