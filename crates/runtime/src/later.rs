//! What hops are made from that are made while the program runs, of nodes that are learnt then.

use std::sync::Arc;

use arc_swap::ArcSwap;
use gost_config::{Config, Problem, Severity};
use gost_core::{
    build::{Named, TlsSettings},
    registry::Registry,
    routing::Hop,
};

use crate::{builder::Builder, check, kept::Kept};

/// What hops are made from later: the components, and the names of the running configuration.
pub(crate) struct Later {
    place: String,
    registry: Arc<Registry>,
    named: ArcSwap<Named>,
    default_tls: Option<Arc<TlsSettings>>,
}

impl Later {
    pub(crate) fn new(builder: &Builder<'_>, place: &str) -> Self {
        Self {
            place: place.to_owned(),
            registry: builder.registry.clone(),
            named: ArcSwap::new(builder.named.clone()),
            default_tls: builder.default_tls.clone(),
        }
    }

    /// Where the hop stands.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// What is wrong with a configuration of nodes.
    pub(crate) fn check(&self, config: &Config) -> Vec<Problem> {
        check::check(config, &self.registry)
    }

    /// The only hop of a configuration, with what is to be kept of it for the next one.
    pub(crate) async fn hop(
        &self,
        config: &Config,
        kept: &Kept,
    ) -> Result<(Arc<dyn Hop>, Kept), Problem> {
        let builder = Builder::for_parts(
            config,
            self.registry.clone(),
            kept,
            self.named.load_full(),
            self.default_tls.clone(),
        );
        let hop = config.hops.first().ok_or_else(|| {
            Problem::new(Severity::Error, self.place.as_str(), "", "there is no hop")
        })?;
        let made = builder.nodes_hop(&self.place, hop).await?;
        Ok((made, builder.finish().kept))
    }
}

impl Builder<'_> {
    /// Looks up what nodes refer to among the names of this configuration, once it is the running
    /// one.
    pub(crate) fn follow(&self, later: Arc<Later>) {
        let named = self.named.clone();
        self.when_committed(move || later.named.store(named));
    }
}
