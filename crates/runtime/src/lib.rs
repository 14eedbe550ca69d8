//! Configuration and registry to running services.
//!
//! Starting and reloading are one function: check everything, build everything aside, listeners
//! last, and only then commit, which cannot fail. Whatever is wrong is said at once, and then
//! nothing has changed. What is configured as it was before is the same object afterwards: a
//! listener with those who wait in it, a node with its failures, a session with its streams.

mod binding;
mod builder;
mod check;
mod choosing;
mod commands;
mod commit;
mod hops;
mod kept;
mod later;
mod limits;
mod loaded;
mod loaded_hop;
mod nodes;
mod observing;
mod options;
mod parts;
mod plugin_hop;
mod plugins;
mod policies;
mod reporting;
mod resolvers;
mod routers;
mod services;
mod tables;
mod users;

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use futures_util::future::{join, join_all, select_all};
use gost_config::{Config, Problem, Severity};
use gost_core::{
    build::{HeldSockets, Named, TlsSettings},
    registry::Registry,
};
use gost_service::{Queue, Service};

pub use gost_service::Workers;
use tokio::task::JoinSet;

use self::{
    builder::Builder,
    commands::Hooks,
    commit::{Plan, PlannedService},
    kept::Kept,
};

pub use commands::Commands;
pub use commit::Changes;
pub use limits::LimiterKeys;
pub use observing::{ObservingKeys, RecordKeys};
pub use options::{HopOptions, NodeOptions, ServiceOptions};

/// How long recorders may take for what they still have at the end.
const FLUSH: Duration = Duration::from_secs(3);

/// What is wrong with a configuration that only components can tell, without building anything:
/// for whoever wants to say it beside what is wrong in other ways. [`Runtime::start`] and
/// [`Runtime::reload`] ask by themselves.
pub fn check(config: &Config, registry: &Registry) -> Vec<Problem> {
    check::check(config, registry)
}

/// Running services.
pub struct Runtime {
    registry: Arc<Registry>,
    services: Vec<Service>,
    /// Services that were removed, while their last connections end.
    retired: JoinSet<()>,
    kept: Kept,
    named: Arc<Named>,
    default_tls: Option<Arc<TlsSettings>>,
    held: HeldSockets,
    workers: Workers,
    /// What the services run when they stop, by their names.
    hooks: HashMap<String, Hooks>,
    /// The queues of the recorders.
    queues: Vec<Arc<Queue>>,
}

impl Runtime {
    /// Starts what a configuration says, with the components of a registry, on workers. Warnings
    /// are logged.
    ///
    /// # Errors
    /// Everything that is wrong; then nothing has been started.
    pub async fn start(
        config: &Config,
        registry: Arc<Registry>,
        workers: &Workers,
    ) -> Result<Self, Vec<Problem>> {
        let mut runtime = Self {
            registry,
            services: Vec::new(),
            retired: JoinSet::new(),
            kept: Kept::default(),
            named: Arc::default(),
            default_tls: None,
            held: HeldSockets::default(),
            workers: workers.clone(),
            hooks: HashMap::new(),
            queues: Vec::new(),
        };
        let changes = runtime.reload(config, Duration::ZERO).await?;
        for warning in changes.warnings {
            tracing::warn!("{warning}");
        }
        Ok(runtime)
    }

    /// Changes what runs to what a configuration says; it stays as it is where that is the same.
    /// Connections of services that are gone may go on for as long as `drain` says; all others
    /// are left alone.
    ///
    /// Dropping the future changes nothing, or everything; commands of new services may have been
    /// run.
    ///
    /// # Errors
    /// Everything that is wrong; then nothing has changed.
    pub async fn reload(
        &mut self,
        config: &Config,
        drain: Duration,
    ) -> Result<Changes, Vec<Problem>> {
        let plan = self.plan(config).await?;
        for hooks in plan.starting() {
            hooks.pre_up().await;
        }
        Ok(self.commit(plan, drain))
    }

    /// Builds everything that is new, and touches nothing that runs.
    async fn plan(&self, config: &Config) -> Result<Plan, Vec<Problem>> {
        let mut problems = errors_or_warnings(check::check(config, &self.registry))?;

        let mut builder = Builder::new(
            config,
            self.registry.clone(),
            &self.kept,
            self.named.clone(),
            self.default_tls.as_ref(),
            self.held.clone(),
        );
        builder.named_objects(&mut problems).await;
        let mut prepared = Vec::with_capacity(config.services.len());
        for service in &config.services {
            match builder.service(service).await {
                Ok(serving) => prepared.push((service, serving)),
                Err(problem) => problems.push(problem),
            }
        }
        problems = errors_or_warnings(problems)?;

        let running: std::collections::HashSet<_> =
            self.services.iter().map(Service::name).collect();
        let mut services = Vec::with_capacity(prepared.len());
        for (service, serving) in prepared {
            let runs = running.contains(&*service.name);
            match builder.listener(service, &serving, runs).await {
                Ok(listener) => {
                    services.push(PlannedService::new(service, serving, listener, !runs));
                }
                Err(problem) => problems.push(problem),
            }
        }
        let mut warnings = errors_or_warnings(problems)?;
        warnings.extend(check::unknown_keys(config, &self.registry));
        Ok(Plan {
            services,
            warnings,
            built: builder.finish(),
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
    pub async fn stop(mut self, drain: Duration) {
        let hooks = &mut self.hooks;
        let running = self.services.into_iter().map(|service| {
            let hooks = hooks.remove(service.name()).unwrap_or_default();
            stop(service, hooks, drain)
        });
        let running = join_all(running.collect::<Vec<_>>());
        let retired = async { while self.retired.join_next().await.is_some() {} };
        // Those that are still there are ended when their set is dropped.
        let retired = tokio::time::timeout(drain, retired);
        let _ = join(running, retired).await;
        // What was recorded to the end is to arrive.
        let flushing = join_all(self.queues.iter().map(|queue| queue.flush()));
        let _ = tokio::time::timeout(FLUSH, flushing).await;
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("services", &self.services)
            .finish_non_exhaustive()
    }
}

/// Stops a service, with what it runs before and after.
async fn stop(mut service: Service, hooks: Hooks, drain: Duration) {
    hooks.pre_down().await;
    service.close().await;
    hooks.post_down().await;
    service.stop(drain).await;
}

/// What was found so far, if that are only warnings.
fn errors_or_warnings(problems: Vec<Problem>) -> Result<Vec<Problem>, Vec<Problem>> {
    let is_error = |problem: &Problem| problem.severity > Severity::Warning;
    if problems.iter().any(is_error) {
        Err(problems)
    } else {
        Ok(problems)
    }
}
