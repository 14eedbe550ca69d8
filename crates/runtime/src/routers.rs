//! The ways out of services.

use std::{net::IpAddr, sync::Arc};

use gost_chain::{
    group::{self, ChainGroup},
    probe::{Probe, Subject},
    router::{Router, local_interface},
};
use gost_config::{self as config, Problem};
use gost_core::{
    outbound::Outbound,
    routing::{Chain, Names},
    values::Values,
};
use gost_net::sockets::{SocketOptions, Sockets};

use crate::{
    builder::Builder,
    check::or,
    choosing::{probe_options, selector},
    hops::Content,
    options::ServiceOptions,
    resolvers::NamesOf,
};

/// What the way out of a handler or listener is configured to be.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Way {
    /// A chain by name.
    pub(crate) chain: String,
    /// Several chains.
    pub(crate) group: Option<config::ChainGroup>,
    /// How often a failed attempt is repeated.
    pub(crate) retries: usize,
}

impl Way {
    /// That of a service's handler.
    pub(crate) fn of_handler(handler: Option<&config::Handler>) -> Self {
        handler.map_or_else(Self::default, |handler| Self {
            chain: handler.chain.clone(),
            group: handler.chain_group.clone(),
            retries: usize::try_from(handler.retries).unwrap_or(0),
        })
    }

    /// That of a service's listener, if it has any.
    pub(crate) fn of_listener(listener: Option<&config::Listener>) -> Option<Self> {
        let listener = listener?;
        let way = Self {
            chain: listener.chain.clone(),
            group: listener.chain_group.clone(),
            retries: 0,
        };
        (!way.chain.is_empty() || way.group.is_some()).then_some(way)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        let entries = self.group.iter().flat_map(|group| &group.chains);
        let names = std::iter::once(&self.chain).chain(entries.map(|entry| &entry.chain));
        names.filter(|name| !name.is_empty())
    }
}

impl Builder<'_> {
    /// The way out of a service's handler or listener, whose place this is.
    pub(crate) async fn router(
        &self,
        place: &str,
        service: &config::Service,
        options: &ServiceOptions,
        mut way: Way,
    ) -> Result<Arc<dyn Outbound>, Problem> {
        if options.ignore_chain {
            way.chain.clear();
            way.group = None;
        }
        let sockets = service_sockets(service, options);
        let wanted = (
            (way.clone(), sockets.clone()),
            (options.dial_timeout, NamesOf::service(service).wanted()),
        );
        let make = async {
            let names = self.names(&NamesOf::service(service), &service.place)?;
            let direct = Arc::new(Sockets::new(sockets.clone(), names.clone()));
            let mut router = Router::new(direct)
                .with_names(names.clone())
                .with_retries(way.retries)
                .with_dial_timeout(options.dial_timeout);
            if sockets
                .interface
                .split(',')
                .any(|word| word.trim() == "auto")
            {
                router = router.with_local_sockets(local_sockets(sockets, names));
            }
            if let Some(chain) = self.way(&way, service)? {
                router = router.with_chain(chain);
            }
            Ok(Arc::new(router) as Arc<dyn Outbound>)
        };
        self.keeper.keep(place, wanted, &Values::new(), make).await
    }

    /// What the chains of a way are made of now.
    pub(crate) fn content(&self, way: &Way) -> Vec<Option<Content>> {
        let chains = way.names().map(|name| self.chains.get(name).cloned());
        chains.collect()
    }

    /// A named chain, or a group of chains.
    fn way(&self, way: &Way, service: &config::Service) -> Result<Option<Arc<dyn Chain>>, Problem> {
        let named = |name: &str, place: &config::Place| -> Result<Arc<dyn Chain>, Problem> {
            let found = self
                .named
                .get::<dyn Chain>(name)
                .map_err(|e| place.error("chain", e.to_string()))?;
            Ok(Arc::new(found))
        };
        let Some(group) = &way.group else {
            return if way.chain.is_empty() {
                Ok(None)
            } else {
                named(&way.chain, &service.place).map(Some)
            };
        };
        let mut entries = Vec::new();
        if !way.chain.is_empty() {
            entries.push(group::Entry::new(named(&way.chain, &service.place)?));
        }
        // The configuration's check has warned about the others.
        for entry in group.chains.iter().filter(|entry| !entry.chain.is_empty()) {
            let chain = named(&entry.chain, &entry.place)?;
            let mut made = group::Entry::new(chain.clone());
            if let Some(matcher) = &entry.matcher {
                made.matcher = self.matcher(matcher)?;
            }
            if let Some(probe) = &entry.probe
                && let Some(options) = probe_options(probe, &entry.place)?
            {
                let sockets = Arc::new(Sockets::default());
                made.probe = Some(Probe::start(
                    options,
                    Subject::Chain(chain),
                    made.marker.clone(),
                    sockets,
                ));
            }
            entries.push(made);
        }
        Ok(Some(Arc::new(ChainGroup::new(
            entries,
            selector(group.selector.as_ref()),
        ))))
    }
}

fn service_sockets(service: &config::Service, options: &ServiceOptions) -> SocketOptions {
    let old_mark = service
        .sockopts
        .as_ref()
        .and_then(|o| u32::try_from(o.mark).ok())
        .unwrap_or(0);
    SocketOptions {
        interface: or(&options.interface, &service.interface).to_owned(),
        mark: if options.so_mark > 0 {
            options.so_mark
        } else {
            old_mark
        },
        netns: options.netns_out.as_deref().map(Into::into),
        proxy_protocol: 0,
    }
}

fn local_sockets(options: SocketOptions, names: Names) -> gost_chain::router::LocalSockets {
    Arc::new(move |local: IpAddr| {
        let mut options = options.clone();
        if let Some(interface) = local_interface(&options.interface, local) {
            options.interface = interface;
        }
        Arc::new(Sockets::new(options, names.clone()))
    })
}
