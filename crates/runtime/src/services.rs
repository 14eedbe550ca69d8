//! Services, from configuration to a listener and what is done with its connections.

use std::sync::Arc;

use gost_config::{self as config, Problem};
use gost_core::{
    handler::Handler,
    listener::Listener,
    outbound::Outbound,
    policy::{Answer, Asker, Authenticator, Credentials},
};
use gost_service::{Serving, SessionOptions};

use crate::{
    builder::{Builder, read},
    check::or,
    kept::{Files, Same},
    options::ServiceOptions,
    parts,
    resolvers::NamesOf,
    routers::Way,
};

impl Builder<'_> {
    /// Everything of a service but its open sockets.
    pub(crate) async fn service(&self, service: &config::Service) -> Result<Arc<Serving>, Problem> {
        let options: ServiceOptions = read(&service.metadata);
        let place = format!("service {}", service.name);
        let config = handler_config(service);
        let of_handler = format!("{place} / handler");
        let way = Way::of_handler(service.handler.as_ref());
        let out = self.router(&of_handler, service, &options, way).await?;
        let handler = self
            .handler(&of_handler, service, &config, out.clone())
            .await?;
        let accounts = self.accounts(service, &options, &config).await?;
        let forwarder = match &service.forwarder {
            Some(forwarder) => {
                let place = format!("{place} / forwarder");
                Some(self.forwarder(&place, forwarder).await?)
            }
            None => None,
        };
        let wanted = (
            (Same(handler.clone()), Same(out.clone())),
            forwarder.as_ref().map(Same::from),
            without_listener(service),
            Files::of(config.auth.as_ref(), None),
        );
        let make = async {
            let mut serving = Serving::new(handler, out)
                .with_options(read::<SessionOptions>(&config.metadata))
                .map_err(|e| service.place.error("handler.metadata", e))?;
            serving.dial_timeout = options.dial_timeout;
            serving.policies.auther = self.authers(&config).await?;
            serving.policies.admissions = self.admissions(service)?;
            serving.policies.names = self.names(&NamesOf::service(service), &service.place)?;
            serving.policies.conn_limiter = self.conn_limiter(service)?;
            serving.policies.rate_limiter = self.rate_limiter(service)?;
            serving.policies.bypass = self.service_bypass(service)?;
            serving.policies.conn_traffic = self.conn_traffic(service, &options.limiter)?;
            serving.policies.traffic_limiter = self.client_traffic(&config)?;
            serving.policies.quotas = self.quotas(service)?;
            serving.records = self.records(service, &options)?;
            serving.observer = accounts.observer;
            serving.stats = accounts.stats;
            serving.clients = accounts.clients;
            serving.forwarder = forwarder;
            Ok(Arc::new(serving))
        };
        self.keeper
            .keep(&place, wanted, &service.metadata, make)
            .await
    }

    async fn handler(
        &self,
        place: &str,
        service: &config::Service,
        handler: &config::Handler,
        out: Arc<dyn Outbound>,
    ) -> Result<Arc<dyn Handler>, Problem> {
        let wanted = (
            (service.addr.clone(), Same(out.clone())),
            (handler.r#type.clone(), handler.metadata.clone()),
            (handler.auth.clone(), handler.tls.clone()),
            self.default_tls.clone(),
            self.files(handler.auth.as_ref(), handler.tls.as_ref()),
        );
        let make = async {
            let mut build = self.build(place.into(), &service.addr);
            build.values = handler.metadata.clone();
            build.auth = parts::credentials(handler.auth.as_ref())?;
            build.tls = parts::tls(handler.tls.as_ref());
            build.door.outbound = Some(out);
            self.registry
                .make::<dyn Handler>(&handler.r#type, &handler.metadata, build)
                .await
                .map_err(|e| handler.place.error("", e.to_string()))
        };
        self.keeper
            .keep(place, wanted, &handler.metadata, make)
            .await
    }

    /// Opens the sockets of a service, unless that is `running` and goes on as it is.
    pub(crate) async fn listener(
        &self,
        service: &config::Service,
        serving: &Serving,
        running: bool,
    ) -> Result<Option<Box<dyn Listener>>, Problem> {
        let options: ServiceOptions = read(&service.metadata);
        let listener = listener_config(service);
        let place = format!("service {} / listener", service.name);
        let (mut out, mut content) = (None, Vec::new());
        if let Some(way) = Way::of_listener(service.listener.as_ref())
            && !options.ignore_chain
        {
            content = self.content(&way);
            out = Some(self.router(&place, service, &options, way).await?);
        }
        let wanted = (
            (service.addr.clone(), options.netns.clone()),
            (
                options.proxy_protocol,
                service.limiter.clone(),
                options.limiter.clone(),
            ),
            listener.clone(),
            (out.as_ref().map(Same::from), content),
            self.default_tls.clone(),
            self.files(listener.auth.as_ref(), listener.tls.as_ref()),
            Files::named(&listener.metadata),
            serving.stats.as_ref().map(Same::from),
        );
        // The listener belongs to the service that runs; what is kept says only that it fits.
        let found: Option<()> = self.keeper.find(&place, &wanted, &listener.metadata);
        if found.is_some() && running {
            return Ok(None);
        }
        let mut build = self.build(place.as_str().into(), &service.addr);
        build.values = listener.metadata.clone();
        build.auth = parts::credentials(listener.auth.as_ref())?;
        build.tls = parts::tls(listener.tls.as_ref());
        build.door.held = self.held.clone();
        build.door.netns = options.netns.as_deref().map(Into::into);
        build.door.proxy_protocol = options.proxy_protocol > 0;
        build.door.outbound = out;
        let limit = self.door_meter(service, &options.limiter)?;
        build.door.meter = build.door.meter.and(limit);
        if let Some(stats) = &serving.stats {
            build.door.meter = build.door.meter.and(stats.meter());
        }
        let made = self
            .registry
            .make::<dyn Listener>(&listener.r#type, &listener.metadata, build)
            .await
            .map_err(|e| service.place.error("addr", e.to_string()))?;
        if found.is_none() {
            self.keeper.note(&place, wanted, &listener.metadata);
        }
        Ok(Some(made))
    }

    fn files(&self, auth: Option<&config::Auth>, tls: Option<&config::Tls>) -> (Files, Files) {
        let of_all = Files::of(None, self.config.tls.as_ref());
        (Files::of(auth, tls), of_all)
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

/// The handler of a service, with its type.
pub(crate) fn handler_config(service: &config::Service) -> config::Handler {
    let mut handler = service.handler.clone().unwrap_or_else(|| config::Handler {
        place: service.place.clone(),
        ..config::Handler::default()
    });
    handler.r#type = or(&handler.r#type, "auto").to_owned();
    handler
}

/// The listener of a service, with its type.
pub(crate) fn listener_config(service: &config::Service) -> config::Listener {
    let mut listener = service
        .listener
        .clone()
        .unwrap_or_else(|| config::Listener {
            place: service.place.clone(),
            ..config::Listener::default()
        });
    listener.r#type = or(&listener.r#type, "tcp").to_owned();
    listener
}

fn without_listener(service: &config::Service) -> config::Service {
    config::Service {
        addr: String::new(),
        listener: None,
        ..service.clone()
    }
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
