//! The list of components: what `type:` in a configuration can name, and how each is built.

use std::{
    any::{Any, TypeId},
    collections::{BTreeMap, HashMap},
    fmt,
    future::Future,
    sync::Arc,
};

use crate::{
    build::Build,
    error::{Error, Result, Why},
    listener::BoxFuture,
    options::{KeyInfo, OptionError, Options},
    values::Values,
};

/// A kind of component: `dyn Handler`, `dyn Bypass`, ... A crate may add one of its own.
pub trait Kind: Send + 'static {
    /// What a factory of the kind makes.
    type Made: Send + 'static;
    /// What the kind is called in messages.
    const NAME: &'static str;
}

macro_rules! kinds {
    ($($made:ident $kind:path, $name:literal;)*) => {$(
        impl Kind for dyn $kind {
            type Made = $made<dyn $kind>;
            const NAME: &'static str = $name;
        }
    )*};
}
kinds! {
    Box crate::listener::Listener, "listener";
    Arc crate::handler::Handler, "handler";
    Arc crate::outbound::Dialer, "dialer";
    Arc crate::outbound::Connector, "connector";
    Arc crate::outbound::Upgrade, "upgrade";
    Arc crate::routing::Hop, "hop";
    Arc crate::routing::Chain, "chain";
    Arc crate::routing::NodeSource, "source of nodes";
    Arc crate::policy::Authenticator, "auther";
    Arc crate::policy::Admission, "admission";
    Arc crate::policy::Bypass, "bypass";
    Arc crate::policy::Resolver, "resolver";
    Arc crate::policy::HostMapper, "hosts";
    Arc crate::policy::Recorder, "recorder";
    Arc crate::policy::Observer, "observer";
    Arc crate::policy::Ingress, "ingress";
    Arc crate::policy::Discovery, "sd";
    Arc crate::policy::ConnLimiter, "climiter";
    Arc crate::policy::RateLimiter, "rlimiter";
    Arc crate::policy::TrafficLimiter, "limiter";
    Arc crate::policy::Quota, "quota";
    Arc crate::policy::Rewriter, "rewriter";
    Arc crate::policy::Cache, "cache";
    Arc crate::policy::OsRouter, "router";
    Arc crate::policy::Metrics, "metrics";
}

type Made = Box<dyn Any + Send>;
type Make = dyn Fn(&Values, Build) -> Result<BoxFuture<'static, Result<Made>>, Vec<OptionError>>
    + Send
    + Sync;

struct Factory {
    kind: &'static str,
    make: Arc<Make>,
    read: fn(&Values) -> Vec<OptionError>,
    table: fn() -> Vec<KeyInfo>,
}

/// The components of a program, by kind and type name. No global state: two can live side by side.
#[derive(Default)]
pub struct Registry {
    factories: HashMap<(TypeId, String), Arc<Factory>>,
}

impl Registry {
    /// A list without components.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a component of kind `K` with options `O` under its type names. A name that is taken is
    /// taken over, so that a program can replace a component.
    pub fn add<K, O, F>(
        &mut self,
        names: &[&str],
        factory: impl Fn(O, Build) -> F + Send + Sync + 'static,
    ) where
        K: Kind + ?Sized,
        O: Options,
        F: Future<Output = Result<K::Made>> + Send + 'static,
    {
        let make: Arc<Make> = Arc::new(move |values, build| {
            let mut errors = Vec::new();
            let options = O::read(values, &mut errors);
            if !errors.is_empty() {
                return Err(errors);
            }
            let future = factory(options, build);
            Ok(Box::pin(async move { Ok(Box::new(future.await?) as Made) }))
        });
        let read = |values: &Values| {
            let mut errors = Vec::new();
            O::read(values, &mut errors);
            errors
        };
        let entry = Arc::new(Factory {
            kind: K::NAME,
            make,
            read,
            table: O::table,
        });
        for name in names {
            self.factories
                .insert((TypeId::of::<K>(), (*name).to_owned()), entry.clone());
        }
    }

    fn find<K: Kind + ?Sized>(&self, name: &str) -> Option<&Arc<Factory>> {
        self.factories.get(&(TypeId::of::<K>(), name.to_owned()))
    }

    /// True when there is a component of that name.
    pub fn has<K: Kind + ?Sized>(&self, name: &str) -> bool {
        self.find::<K>(name).is_some()
    }

    /// The type names of a kind, sorted.
    pub fn names<K: Kind + ?Sized>(&self) -> Vec<&str> {
        let id = TypeId::of::<K>();
        let mut names: Vec<_> = self
            .factories
            .keys()
            .filter(|(kind, _)| *kind == id)
            .map(|(_, name)| name.as_str())
            .collect();
        names.sort_unstable();
        names
    }

    /// What is wrong with the options of a component, without building it.
    pub fn check<K: Kind + ?Sized>(&self, name: &str, values: &Values) -> Vec<OptionError> {
        self.find::<K>(name)
            .map_or_else(Vec::new, |factory| (factory.read)(values))
    }

    /// Builds a component.
    ///
    /// An unknown name and options that do not fit are errors that say so.
    pub fn make<K: Kind + ?Sized>(
        &self,
        name: &str,
        values: &Values,
        build: Build,
    ) -> BoxFuture<'static, Result<K::Made>> {
        let making = self.find::<K>(name).map_or_else(
            || {
                let what = format!("unknown {} type {name:?}", K::NAME);
                Err(Error::new(Why::Unsupported, what))
            },
            |factory| {
                (factory.make)(values, build).map_err(|errors| {
                    let all: Vec<_> = errors.iter().map(OptionError::to_string).collect();
                    Error::new(Why::BadInput, all.join("; "))
                })
            },
        );
        let wrong = format!("{} {name}: wrong factory", K::NAME);
        Box::pin(async move {
            let made = making?.await?.downcast::<K::Made>();
            made.map(|made| *made)
                .map_err(|_| Error::new(Why::Other, wrong))
        })
    }

    /// All components with their keys, by kind and name, for the manual.
    pub fn tables(&self) -> BTreeMap<(&'static str, &str), Vec<KeyInfo>> {
        self.factories
            .iter()
            .map(|((_, name), factory)| ((factory.kind, name.as_str()), (factory.table)()))
            .collect()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registry({} components)", self.factories.len())
    }
}
