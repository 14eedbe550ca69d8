//! Configuration and registry to running services.
//!
//! Starting is one function: check everything, build everything aside, listeners last, and only
//! then serve. Whatever is wrong is said at once, and nothing is started.

mod builder;
mod check;
mod nodes;
mod options;
mod parts;
mod services;

use std::{fmt, sync::Arc, time::Duration};

use futures_util::future::{join_all, select_all};
use gost_config::{Config, Problem, Severity};
use gost_core::registry::Registry;
use gost_service::Service;

use self::builder::Builder;

pub use options::{HopOptions, NodeOptions, ServiceOptions};

/// Running services.
pub struct Runtime {
    services: Vec<Service>,
}

impl Runtime {
    /// Starts what a configuration says, with the components of a registry. Warnings are logged.
    ///
    /// # Errors
    /// Everything that is wrong; then nothing has been started.
    pub async fn start(config: &Config, registry: Arc<Registry>) -> Result<Self, Vec<Problem>> {
        let mut problems = check::check(config, &registry);
        give_up_on_errors(&mut problems)?;

        let builder = Builder::new(config, registry.clone());
        builder.named_objects(&mut problems).await;
        let mut prepared = Vec::with_capacity(config.services.len());
        for service in &config.services {
            match builder.service(service).await {
                Ok(serving) => prepared.push((service, serving)),
                Err(problem) => problems.push(problem),
            }
        }
        give_up_on_errors(&mut problems)?;

        let mut ready = Vec::with_capacity(prepared.len());
        for (config, serving) in prepared {
            match builder.listener(config).await {
                Ok(listener) => ready.push((config, listener, serving)),
                Err(problem) => problems.push(problem),
            }
        }
        give_up_on_errors(&mut problems)?;

        for warning in check::unknown_keys(config, &registry) {
            tracing::warn!("{warning}");
        }
        let start = |(config, listener, serving): (&gost_config::Service, _, _)| {
            let service = Service::start(&config.name, listener, serving);
            let handler = config
                .handler
                .as_ref()
                .map_or("auto", |h| check::or(&h.r#type, "auto"));
            let listener = config
                .listener
                .as_ref()
                .map_or("tcp", |l| check::or(&l.r#type, "tcp"));
            tracing::info!(
                service = config.name,
                handler,
                listener,
                "listening on {}",
                service.addr()
            );
            service
        };
        Ok(Self {
            services: ready.into_iter().map(start).collect(),
        })
    }

    /// The running services.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// Waits until a service has ended by itself, as one on standard input does.
    pub async fn finished(&self) {
        if self.services.is_empty() {
            std::future::pending::<()>().await;
        }
        select_all(
            self.services
                .iter()
                .map(|service| Box::pin(service.ended())),
        )
        .await;
    }

    /// Stops accepting, lets connections end by themselves until the deadline, then ends them.
    pub async fn stop(self, drain: Duration) {
        join_all(self.services.into_iter().map(|service| service.stop(drain))).await;
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("services", &self.services)
            .finish()
    }
}

/// Logs warnings and forgets them; all errors are the end.
fn give_up_on_errors(problems: &mut Vec<Problem>) -> Result<(), Vec<Problem>> {
    if problems
        .iter()
        .any(|problem| problem.severity > Severity::Warning)
    {
        return Err(std::mem::take(problems));
    }
    for warning in problems.drain(..) {
        tracing::warn!("{warning}");
    }
    Ok(())
}
