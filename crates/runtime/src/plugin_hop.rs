//! Hops whose nodes a plugin chooses.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use gost_config::{self as config, Config, FileFormat, Problem, Severity, read_document};
use gost_core::{
    error::{Error, Phase, Result, Why},
    policy::Answer,
    routing::{Choice, Hop, Node, NodeSource, Request},
};
use parking_lot::Mutex;

use crate::{
    builder::Builder,
    kept::{Kept, Same},
    later::Later,
};

/// How many nodes are remembered, with their sessions and failures.
const REMEMBERED: usize = 64;

impl Builder<'_> {
    /// A hop whose nodes a plugin chooses.
    pub(crate) async fn plugin_hop(
        &self,
        place: &str,
        hop: &config::Hop,
        plugin: &config::Plugin,
    ) -> Result<Arc<dyn Hop>, Problem> {
        let source = self.plugin_at::<dyn NodeSource>(place, plugin).await?;
        let wanted = (
            Same::from(&source),
            hop.name.clone(),
            self.default_tls.clone(),
        );
        let make = async {
            Ok(Arc::new(PluginHop {
                later: Arc::new(Later::new(self, place)),
                name: hop.name.clone(),
                source,
                made: Mutex::default(),
            }))
        };
        let made = self.keeper.keep(place, wanted, &hop.metadata, make).await?;
        self.follow(made.later.clone());
        Ok(made)
    }
}

/// A hop whose nodes a plugin chooses. One that does not answer, or with what is no node, leaves it
/// without a node.
///
/// The same text means the same node, as long as it is one of those that are remembered.
struct PluginHop {
    later: Arc<Later>,
    name: String,
    source: Arc<dyn NodeSource>,
    /// Hops of one node, by what the plugin said; the one used last is the first.
    made: Mutex<VecDeque<(Bytes, Arc<dyn Hop>)>>,
}

impl Hop for PluginHop {
    fn select<'a>(
        &'a self,
        request: &'a Request,
        tried: &'a [Arc<Node>],
    ) -> Answer<'a, Result<Choice>> {
        Answer::later(async move {
            let chosen = self.choose(request).await;
            let hop = chosen.map_err(|e| e.why_set(Why::NoRoute).phase(Phase::Route))?;
            hop.select(request, tried).await
        })
    }
}

impl PluginHop {
    async fn choose(&self, request: &Request) -> Result<Arc<dyn Hop>> {
        let text = self.source.choose(request).await?.ok_or_else(|| {
            let what = format!("{}: the plugin has no node for it", self.later.place());
            Error::new(Why::NoRoute, what)
        })?;
        if let Some(made) = self.remembered(&text) {
            return Ok(made);
        }
        let made = self.make(&text).await.map_err(|problem| {
            let what = format!(
                "{}: the plugin's node is not good: {problem}",
                self.later.place()
            );
            Error::new(Why::NoRoute, what)
        })?;
        let mut all = self.made.lock();
        all.truncate(REMEMBERED - 1);
        all.push_front((text, made.clone()));
        Ok(made)
    }

    fn remembered(&self, text: &Bytes) -> Option<Arc<dyn Hop>> {
        let mut all = self.made.lock();
        let at = all.iter().position(|(known, _)| known == text)?;
        let found = all.remove(at)?;
        let made = found.1.clone();
        all.push_front(found);
        Some(made)
    }

    /// A hop of the one node that a text is about.
    async fn make(&self, text: &[u8]) -> Result<Arc<dyn Hop>, Problem> {
        let config = self.read(text)?;
        let (made, _) = self.later.hop(&config, &Kept::default()).await?;
        Ok(made)
    }

    /// The node as a configuration with nothing else in it.
    fn read(&self, text: &[u8]) -> Result<Config, Problem> {
        let document = [br#"{"hops":[{"nodes":["#, text, b"]}]}"].concat();
        let read = read_document("plugin", FileFormat::Json, &document);
        let (mut config, mut problems) = read.map_err(|failure| worst(failure.problems))?;
        if config.hops.len() != 1 || config.hops.iter().any(|hop| hop.nodes.len() != 1) {
            return Err(Problem::new(Severity::Error, "plugin", "", "not one node"));
        }
        for hop in config.hops.iter_mut() {
            hop.name.clone_from(&self.name);
        }
        problems.extend(self.later.check(&config));
        problems.retain(|problem| problem.severity > Severity::Warning);
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(worst(problems))
        }
    }
}

fn worst(mut problems: Vec<Problem>) -> Problem {
    problems.sort_by_key(|problem| problem.severity);
    let none = || Problem::new(Severity::Error, "plugin", "", "not a node");
    problems.pop().unwrap_or_else(none)
}
