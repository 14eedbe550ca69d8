//! From what was built aside to what runs.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use gost_config::{self as config, Problem};
use gost_core::listener::Listener;
use gost_service::{Service, Serving, Workers};

use crate::{
    Runtime,
    builder::{Built, read},
    commands::Hooks,
    services::{handler_config, listener_config},
    stop,
};

/// Everything that is needed for the change.
pub(crate) struct Plan {
    pub(crate) services: Vec<PlannedService>,
    pub(crate) warnings: Vec<Problem>,
    pub(crate) built: Built,
}

/// A service as it is to be.
pub(crate) struct PlannedService {
    name: String,
    serving: Arc<Serving>,
    /// `None` for the one that it has.
    listener: Option<Box<dyn Listener>>,
    /// Nothing of the name runs yet.
    starts: bool,
    /// The types of handler and listener.
    types: (String, String),
    hooks: Hooks,
}

impl Plan {
    /// The commands of services that are new.
    pub(crate) fn starting(&self) -> Vec<Hooks> {
        let new = self.services.iter().filter(|service| service.starts);
        new.map(|service| service.hooks.clone()).collect()
    }
}

impl PlannedService {
    pub(crate) fn new(
        service: &config::Service,
        serving: Arc<Serving>,
        listener: Option<Box<dyn Listener>>,
        starts: bool,
    ) -> Self {
        Self {
            name: service.name.clone(),
            serving,
            listener,
            starts,
            hooks: Hooks::new(&service.name, &read(&service.metadata)),
            types: (
                handler_config(service).r#type,
                listener_config(service).r#type,
            ),
        }
    }
}

/// What a change did to the services, by name, and what there is to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// New ones.
    pub started: Vec<String>,
    /// Those that serve new connections in another way, or listen elsewhere.
    pub changed: Vec<String>,
    /// Those that are gone.
    pub stopped: Vec<String>,
    /// How many go on as they were.
    pub unchanged: usize,
    /// What is odd about the configuration.
    pub warnings: Vec<Problem>,
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} services started, {} changed, {} stopped, {} unchanged",
            self.started.len(),
            self.changed.len(),
            self.stopped.len(),
            self.unchanged
        )
    }
}

impl Runtime {
    /// Stores of pointers, and nothing that can fail. Objects come before the services that use
    /// them, and go after.
    pub(crate) fn commit(&mut self, plan: Plan, drain: Duration) -> Changes {
        let mut changes = Changes {
            warnings: plan.warnings,
            ..Changes::default()
        };
        for fill in plan.built.fills {
            fill();
        }
        let running = std::mem::take(&mut self.services).into_iter();
        let mut running: HashMap<_, _> = running
            .map(|service| (service.name().to_owned(), service))
            .collect();
        let mut hooks = std::mem::take(&mut self.hooks);
        for planned in plan.services {
            hooks.remove(&planned.name);
            self.hooks
                .insert(planned.name.clone(), planned.hooks.clone());
            let service = put_in_place(
                running.remove(&planned.name),
                planned,
                &self.workers,
                &mut changes,
            );
            self.services.extend(service);
        }
        while self.retired.try_join_next().is_some() {}
        for (name, service) in running {
            tracing::info!(service = name, "stopped");
            changes.stopped.push(name);
            let hooks = hooks.remove(service.name()).unwrap_or_default();
            self.retired.spawn(stop(service, hooks, drain));
        }
        self.named.shut_all_but(&plan.built.named);
        self.named = plan.built.named;
        self.default_tls = plan.built.default_tls;
        self.kept = plan.built.kept;
        self.queues = plan.built.queues;
        changes
    }
}

/// Starts a service, or changes the one that runs.
fn put_in_place(
    running: Option<Service>,
    planned: PlannedService,
    workers: &Workers,
    changes: &mut Changes,
) -> Option<Service> {
    let PlannedService {
        name,
        serving,
        listener,
        types: (handler, listener_type),
        starts: _,
        hooks,
    } = planned;
    let listens = listener.is_some();
    let service = match (running, listener) {
        (Some(mut service), listener) => {
            let is_same = Arc::ptr_eq(&service.serving(), &serving);
            if !is_same {
                service.serve_with(serving);
            }
            if let Some(listener) = listener {
                service.listen_with(listener);
            }
            if is_same && !listens {
                changes.unchanged += 1;
            } else {
                changes.changed.push(name.clone());
            }
            service
        }
        (None, Some(listener)) => {
            changes.started.push(name.clone());
            let service = Service::start_on(workers, &name, listener, serving);
            hooks.post_up();
            service
        }
        // A service that does not run always gets a listener.
        (None, None) => return None,
    };
    if listens {
        tracing::info!(
            kind = "service",
            service = name,
            handler,
            listener = listener_type,
            "listening on {}/{}",
            service.addr(),
            service.network()
        );
    }
    Some(service)
}
