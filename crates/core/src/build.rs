//! What a component is built from beside its options.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt,
    marker::PhantomData,
    sync::{Arc, PoisonError, RwLock},
};

use arc_swap::{ArcSwapOption, Guard};

use crate::{
    addr::{Addr, Network},
    error::{Error, Result, Why},
    listener::BoxFuture,
    meter::Meter,
    outbound::Outbound,
    policy::{Admission, Answer, Asker, Authenticator, Bypass, BypassQuery, Credentials},
    registry::{Kind, Registry},
    routing::{Chain, Choice, Hop, Node, Request, Route},
    values::Values,
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
}

type Slot<T> = Arc<ArcSwapOption<T>>;

/// The named objects of a program, each in a slot that outlives it.
#[derive(Default)]
pub struct Named {
    slots: RwLock<HashMap<(TypeId, String), AnySlot>>,
}

type AnySlot = Arc<dyn Any + Send + Sync>;

impl Named {
    /// Puts an object into the slot of its name, which is made if there is none.
    pub fn put<K: Kind + ?Sized>(&self, name: &str, made: K::Made) -> Ref<K>
    where
        K::Made: Clone + Sync,
    {
        let slot: Slot<K::Made> = Arc::new(ArcSwapOption::from_pointee(made));
        let key = (TypeId::of::<K>(), name.to_owned());
        self.slots
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key, Arc::new(slot.clone()));
        Ref {
            name: name.into(),
            slot,
            kind: PhantomData,
        }
    }

    /// The slot of a name. An unknown name is an error: never an open door.
    pub fn get<K: Kind + ?Sized>(&self, name: &str) -> Result<Ref<K>>
    where
        K::Made: Clone + Sync,
    {
        let key = (TypeId::of::<K>(), name.to_owned());
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        let slot = slots
            .get(&key)
            .and_then(|slot| slot.downcast_ref::<Slot<K::Made>>());
        slot.map(|slot| Ref {
            name: name.into(),
            slot: slot.clone(),
            kind: PhantomData,
        })
        .ok_or_else(|| {
            Error::new(
                Why::BadInput,
                format!("there is no {} named {name:?}", K::NAME),
            )
        })
    }
}

impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Named")
    }
}

/// A reference to a named object: whoever holds it sees the object that the name means now.
///
/// A slot that was emptied is *shut*: its users deny and have no route; they never open, and
/// never go direct.
pub struct Ref<K: Kind + ?Sized>
where
    K::Made: Clone + Sync,
{
    name: Arc<str>,
    slot: Slot<K::Made>,
    kind: PhantomData<fn() -> Box<K>>,
}

impl<K: Kind + ?Sized> Ref<K>
where
    K::Made: Clone + Sync,
{
    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The object; `None` when the slot was emptied.
    pub fn load(&self) -> Guard<Option<Arc<K::Made>>> {
        self.slot.load()
    }

    /// The object; an error that names it when the slot was emptied.
    pub fn get(&self) -> Result<K::Made> {
        self.slot
            .load()
            .as_ref()
            .map(|made| K::Made::clone(made))
            .ok_or_else(|| {
                Error::new(
                    Why::NoRoute,
                    format!("the {} named {:?} was removed", K::NAME, self.name),
                )
            })
    }

    /// Puts another object into the slot, or empties it.
    pub fn set(&self, made: Option<K::Made>) {
        self.slot.store(made.map(Arc::new));
    }
}

impl<K: Kind + ?Sized> Clone for Ref<K>
where
    K::Made: Clone + Sync,
{
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            slot: self.slot.clone(),
            kind: PhantomData,
        }
    }
}

/// A removed authenticator lets nobody in.
impl Authenticator for Ref<dyn Authenticator> {
    fn authenticate<'a>(
        &'a self,
        given: &'a Credentials,
        asker: &'a Asker,
    ) -> Answer<'a, Option<String>> {
        let Ok(now) = self.get() else {
            return Answer::Now(None);
        };
        Answer::later(async move { now.authenticate(given, asker).await })
    }
}

/// A removed admission admits nobody.
impl Admission for Ref<dyn Admission> {
    fn admit<'a>(&'a self, network: Network, from: &'a Addr, asker: &'a Asker) -> Answer<'a, bool> {
        let Ok(now) = self.get() else {
            return Answer::Now(false);
        };
        Answer::later(async move { now.admit(network, from, asker).await })
    }
}

/// A removed bypass keeps everything out.
impl Bypass for Ref<dyn Bypass> {
    fn is_whitelist(&self) -> bool {
        self.get().is_ok_and(|now| now.is_whitelist())
    }

    fn contains<'a>(&'a self, query: &'a BypassQuery, asker: &'a Asker) -> Answer<'a, bool> {
        let Ok(now) = self.get() else {
            return Answer::Now(true);
        };
        Answer::later(async move { now.contains(query, asker).await })
    }
}

/// A removed hop has no node.
impl Hop for Ref<dyn Hop> {
    fn select<'a>(
        &'a self,
        request: &'a Request,
        tried: &'a [Arc<Node>],
    ) -> Answer<'a, Result<Choice>> {
        match self.get() {
            Ok(now) => Answer::later(async move { now.select(request, tried).await }),
            Err(error) => Answer::Now(Err(error)),
        }
    }
}

/// A removed chain leads nowhere.
impl Chain for Ref<dyn Chain> {
    fn route<'a>(
        &'a self,
        request: &'a Request,
        tried: &'a [Arc<Node>],
    ) -> Answer<'a, Result<Route>> {
        match self.get() {
            Ok(now) => Answer::later(async move { now.route(request, tried).await }),
            Err(error) => Answer::Now(Err(error)),
        }
    }
}
