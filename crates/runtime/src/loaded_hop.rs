//! Hops whose nodes are loaded.

use std::sync::Arc;

use gost_config::{self as config, Config, FileFormat, Problem, Severity, read_document};
use gost_core::{
    error::{Error, Phase, Result, Why},
    listener::BoxFuture,
    policy::Answer,
    routing::{Choice, Hop, Node, Request},
};
use gost_loader::{Loaded, RedisKind, Reloading, SourceOptions};
use tokio::sync::Mutex;

use crate::{
    builder::{Builder, read},
    kept::Kept,
    later::Later,
    loaded::loaders,
    policies::Fields,
};

impl Builder<'_> {
    /// A hop some of whose nodes are loaded.
    pub(crate) async fn loaded_hop(
        &self,
        place: &str,
        hop: &config::Hop,
    ) -> std::result::Result<Arc<dyn Hop>, Problem> {
        let wanted = (hop.clone(), self.default_tls.clone());
        let make = async {
            let fields = Fields::default().loaders(loaders!(hop));
            let sources: SourceOptions = read(fields.values());
            let nodes = Arc::new(LoadedNodes {
                later: Arc::new(Later::new(self, place)),
                hop: hop.clone(),
                kept: Mutex::default(),
            });
            let making = nodes.clone();
            let make = move |loaded: Arc<Loaded>| -> BoxFuture<'static, Result<_>> {
                let nodes = making.clone();
                Box::pin(async move { nodes.make(&loaded).await })
            };
            let now = Reloading::with(place, &sources, &[RedisKind::Text], make).await;
            let now = now.map_err(|e| hop.place.error("", e.to_string()))?;
            Ok(Arc::new(LoadedHop { now, nodes }))
        };
        let made = self.keeper.keep(place, wanted, &hop.metadata, make).await?;
        self.follow(made.nodes.later.clone());
        Ok(made)
    }
}

/// A hop some of whose nodes are loaded. As long as it has none there is no way through it, and
/// none around it.
struct LoadedHop {
    now: Reloading<Arc<dyn Hop>>,
    nodes: Arc<LoadedNodes>,
}

impl Hop for LoadedHop {
    fn select<'a>(
        &'a self,
        request: &'a Request,
        tried: &'a [Arc<Node>],
    ) -> Answer<'a, Result<Choice>> {
        let now = Arc::clone(&self.now.load());
        Answer::later(async move { now.select(request, tried).await })
    }
}

/// Makes hops of nodes as they are loaded.
struct LoadedNodes {
    later: Arc<Later>,
    /// The hop as configured.
    hop: config::Hop,
    /// What was made before: nodes that stay the same keep their sessions and failures.
    kept: Mutex<Kept>,
}

impl LoadedNodes {
    async fn make(&self, loaded: &Loaded) -> Result<Arc<dyn Hop>> {
        let mut hop = self.hop.clone();
        (hop.file, hop.redis, hop.http) = (None, None, None);
        for (source, text) in loaded.texts() {
            let nodes = read_nodes(&source, text).map_err(wrong)?;
            hop.nodes.extend(nodes);
        }
        if hop.nodes.is_empty() {
            return Ok(Arc::new(Nobody(format!(
                "{}: no node is loaded",
                self.later.place()
            ))));
        }
        let config = Config {
            hops: std::iter::once(hop).collect(),
            ..Config::default()
        };
        let problems = self.later.check(&config);
        if let Some(error) = problems.into_iter().find(is_error) {
            return Err(wrong(error));
        }
        let mut kept = self.kept.lock().await;
        let (made, now) = self.later.hop(&config, &kept).await.map_err(wrong)?;
        *kept = now;
        Ok(made)
    }
}

/// The nodes of a text: a JSON list of them.
fn read_nodes(source: &str, text: &str) -> std::result::Result<Vec<config::Node>, Problem> {
    let document = format!("{{\"hops\":[{{\"nodes\":{text}\n}}]}}");
    let not_a_list = || {
        Problem::new(
            Severity::Error,
            source,
            "",
            "is not a list of nodes in JSON",
        )
    };
    let (mut config, problems) = read_document(source, FileFormat::Json, document.as_bytes())
        .map_err(|failure| {
            failure
                .problems
                .into_iter()
                .next()
                .unwrap_or_else(not_a_list)
        })?;
    if let Some(error) = problems.into_iter().find(is_error) {
        return Err(error);
    }
    // Whatever closes the list early makes something else of the document.
    let hop = config.hops.pop().filter(|hop| hop.nodes.is_given());
    let is_alone = config.hops.is_empty() && config.services.is_empty();
    hop.filter(|_| is_alone)
        .map(|hop| hop.nodes.into_iter().collect())
        .ok_or_else(not_a_list)
}

fn is_error(problem: &Problem) -> bool {
    problem.severity > Severity::Warning
}

#[expect(clippy::needless_pass_by_value, reason = "it maps errors")]
fn wrong(problem: Problem) -> Error {
    Error::new(Why::BadInput, problem.to_string())
}

/// A hop that was meant to have nodes, and has none.
struct Nobody(String);

impl Hop for Nobody {
    fn select<'a>(&'a self, _: &'a Request, _: &'a [Arc<Node>]) -> Answer<'a, Result<Choice>> {
        let error = Error::new(Why::NoRoute, self.0.clone()).phase(Phase::Route);
        Answer::Now(Err(error))
    }
}
