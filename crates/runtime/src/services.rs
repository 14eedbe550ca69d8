//! Services, from configuration to a listener and what is done with its connections.

use std::{net::IpAddr, sync::Arc};

use gost_chain::{
    group::{self, ChainGroup},
    probe::{Probe, Subject},
    router::{Router, local_interface},
};
use gost_config::{self as config, Problem};
use gost_core::{
    handler::Handler,
    listener::Listener,
    outbound::Outbound,
    policy::{Answer, Asker, Authenticator, Credentials},
    routing::{Chain, Names},
};
use gost_net::sockets::{SocketOptions, Sockets};
use gost_service::{Serving, SessionOptions};

use crate::{
    builder::{Builder, read},
    check::or,
    nodes::{probe_options, selector},
    options::ServiceOptions,
    parts,
};

impl Builder<'_> {
    /// Everything of a service but its open sockets.
    pub(crate) async fn service(&self, service: &config::Service) -> Result<Serving, Problem> {
        let options: ServiceOptions = read(&service.metadata);
        let sockets = service_sockets(service, &options);
        let out = self.router(service, &options, &sockets, Side::Handler)?;
        let handler = self.handler(service, out.clone()).await?;
        let mut serving = Serving::new(handler, out);
        let metadata = service
            .handler
            .as_ref()
            .map(|h| h.metadata.clone())
            .unwrap_or_default();
        serving = serving
            .with_options(read::<SessionOptions>(&metadata))
            .map_err(|e| service.place.error("handler.metadata", e))?;
        serving.dial_timeout = options.dial_timeout;
        serving.policies.auther = match &service.handler {
            Some(handler) => self.authers(handler).await?,
            None => None,
        };
        if let Some(forwarder) = &service.forwarder {
            serving.forwarder = Some(self.forwarder(forwarder)?);
        }
        Ok(serving)
    }

    async fn handler(
        &self,
        service: &config::Service,
        out: Arc<dyn Outbound>,
    ) -> Result<Arc<dyn Handler>, Problem> {
        let empty = config::Handler {
            place: service.place.clone(),
            ..config::Handler::default()
        };
        let handler = service.handler.as_ref().unwrap_or(&empty);
        let mut build = self.build(
            format!("service {} / handler", service.name).into(),
            &service.addr,
        );
        build.values = handler.metadata.clone();
        build.auth = parts::credentials(handler.auth.as_ref())?;
        build.tls = parts::tls(handler.tls.as_ref());
        build.door.outbound = Some(out);
        let kind = or(&handler.r#type, "auto");
        let made = self
            .registry
            .make::<dyn Handler>(kind, &handler.metadata, build)
            .await;
        made.map_err(|e| handler.place.error("", e.to_string()))
    }

    /// Opens the sockets of a service.
    pub(crate) async fn listener(
        &self,
        service: &config::Service,
    ) -> Result<Box<dyn Listener>, Problem> {
        let options: ServiceOptions = read(&service.metadata);
        let sockets = service_sockets(service, &options);
        let empty = config::Listener {
            place: service.place.clone(),
            ..config::Listener::default()
        };
        let listener = service.listener.as_ref().unwrap_or(&empty);
        let mut build = self.build(
            format!("service {} / listener", service.name).into(),
            &service.addr,
        );
        build.values = listener.metadata.clone();
        build.auth = parts::credentials(listener.auth.as_ref())?;
        build.tls = parts::tls(listener.tls.as_ref());
        build.door.netns = options.netns.as_deref().map(Into::into);
        build.door.proxy_protocol = options.proxy_protocol > 0;
        let has_chain = !listener.chain.is_empty() || listener.chain_group.is_some();
        if has_chain && !options.ignore_chain {
            build.door.outbound = Some(self.router(service, &options, &sockets, Side::Listener)?);
        }
        let kind = or(&listener.r#type, "tcp");
        let made = self
            .registry
            .make::<dyn Listener>(kind, &listener.metadata, build)
            .await;
        made.map_err(|e| service.place.error("addr", e.to_string()))
    }

    /// The way out of a service's handler or listener.
    fn router(
        &self,
        service: &config::Service,
        options: &ServiceOptions,
        sockets: &SocketOptions,
        side: Side,
    ) -> Result<Arc<dyn Outbound>, Problem> {
        let (chain, group, retries) = match side {
            Side::Handler => {
                let handler = service.handler.as_ref();
                let retries = handler.map_or(0, |h| usize::try_from(h.retries).unwrap_or(0));
                (
                    handler.map(|h| &*h.chain),
                    handler.and_then(|h| h.chain_group.as_ref()),
                    retries,
                )
            }
            Side::Listener => {
                let listener = service.listener.as_ref();
                (
                    listener.map(|l| &*l.chain),
                    listener.and_then(|l| l.chain_group.as_ref()),
                    0,
                )
            }
        };
        let direct = Arc::new(Sockets::new(sockets.clone(), Names::default()));
        let mut router = Router::new(direct)
            .with_retries(retries)
            .with_dial_timeout(options.dial_timeout);
        if sockets
            .interface
            .split(',')
            .any(|word| word.trim() == "auto")
        {
            router = router.with_local_sockets(local_sockets(sockets.clone()));
        }
        if !options.ignore_chain
            && let Some(chain) = self.chains(chain.unwrap_or_default(), group, service)?
        {
            router = router.with_chain(chain);
        }
        Ok(Arc::new(router))
    }

    /// A named chain, or a group of chains.
    fn chains(
        &self,
        name: &str,
        group: Option<&config::ChainGroup>,
        service: &config::Service,
    ) -> Result<Option<Arc<dyn Chain>>, Problem> {
        let named = |name: &str, place: &config::Place| -> Result<Arc<dyn Chain>, Problem> {
            let found = self
                .named
                .get::<dyn Chain>(name)
                .map_err(|e| place.error("chain", e.to_string()))?;
            Ok(Arc::new(found))
        };
        let Some(group) = group else {
            return if name.is_empty() {
                Ok(None)
            } else {
                named(name, &service.place).map(Some)
            };
        };
        let mut entries = Vec::new();
        if !name.is_empty() {
            entries.push(group::Entry::new(named(name, &service.place)?));
        }
        for entry in &group.chains {
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

    /// The authenticators that a handler names, any of which may accept; or else its only user.
    async fn authers(
        &self,
        handler: &config::Handler,
    ) -> Result<Option<Arc<dyn Authenticator>>, Problem> {
        let names = std::iter::once(&handler.auther)
            .chain(&handler.authers)
            .filter(|name| !name.is_empty());
        let mut all: Vec<Arc<dyn Authenticator>> = Vec::new();
        for name in names {
            let found = self.named.get::<dyn Authenticator>(name);
            all.push(Arc::new(
                found.map_err(|e| handler.place.error("auther", e.to_string()))?,
            ));
        }
        if all.is_empty() {
            let Some(Credentials { username, password }) =
                parts::credentials(handler.auth.as_ref())?
            else {
                return Ok(None);
            };
            if username.is_empty() {
                return Ok(None);
            }
            let made = self.users(&[(username, password)], "of the handler").await;
            return made
                .map(Some)
                .map_err(|e| handler.place.error("auth", e.to_string()));
        }
        Ok(Some(if all.len() == 1 {
            all.swap_remove(0)
        } else {
            Arc::new(AnyOf(all))
        }))
    }
}

/// The part of a service that a way out is for.
#[derive(Clone, Copy)]
enum Side {
    Handler,
    Listener,
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

fn local_sockets(options: SocketOptions) -> gost_chain::router::LocalSockets {
    Arc::new(move |local: IpAddr| {
        let mut options = options.clone();
        if let Some(interface) = local_interface(&options.interface, local) {
            options.interface = interface;
        }
        Arc::new(Sockets::new(options, Names::default()))
    })
}

/// Several authenticators, of which any may accept.
struct AnyOf(Vec<Arc<dyn Authenticator>>);

impl Authenticator for AnyOf {
    fn authenticate<'a>(
        &'a self,
        given: &'a Credentials,
        asker: &'a Asker,
    ) -> Answer<'a, Option<String>> {
        Answer::later(async move {
            for member in &self.0 {
                if let Some(id) = member.authenticate(given, asker).await {
                    return Some(id);
                }
            }
            None
        })
    }
}
