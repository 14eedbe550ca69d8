//! Reading the configuration again while the program runs.

use std::{collections::HashSet, sync::Arc, time::Duration};

use gost_config::{Place, Problem, Severity};
use gost_runtime::Runtime;

use crate::{
    log::{self, Log},
    sources::Input,
};

/// How long the connections of a service that is gone may go on.
const DRAIN: Duration = Duration::from_secs(30);

/// Why the configuration is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// Somebody asked for it.
    Signal,
    /// Its time has come.
    Timer,
}

/// Reads the configuration again.
pub(crate) struct Reloader {
    input: Arc<Input>,
    log: Log,
    /// What was said the last time, and is not said again by a timer.
    said: HashSet<String>,
}

impl Reloader {
    pub(crate) fn new(input: Input, log: Log) -> Self {
        Self {
            input: Arc::new(input),
            log,
            said: HashSet::new(),
        }
    }

    /// Changes what runs to what the configuration says now. With any mistake in it nothing
    /// changes, and all of them are said. May be dropped at any time.
    pub(crate) async fn reload(&mut self, runtime: &mut Runtime, trigger: Trigger) {
        let input = self.input.clone();
        // Files and URLs take their time.
        let reading = tokio::task::spawn_blocking(move || input.read());
        let (config, warnings) = match reading.await {
            Ok(Ok(read)) => read,
            Ok(Err(refused)) => return self.refuse(&refused.problems, trigger),
            Err(error) => {
                let problem = Problem::new(Severity::Error, "", "", error.to_string());
                return self.refuse(&[problem], trigger);
            }
        };
        let (logs, complaints) = log::Logs::open(&config);
        if !complaints.is_empty() {
            let problem =
                |(place, reason): &(Place, String)| place.error("output", reason.as_str());
            let problems: Vec<_> = complaints.iter().map(problem).collect();
            return self.refuse(&problems, trigger);
        }
        let changes = match runtime.reload(&config, DRAIN).await {
            Ok(changes) => changes,
            Err(problems) => return self.refuse(&problems, trigger),
        };
        self.log.change(logs);
        drop(config);
        gost_resident::give_back();
        self.say(warnings.iter().chain(&changes.warnings), trigger);
        match trigger {
            Trigger::Signal => tracing::info!("config reloaded: {changes}"),
            Trigger::Timer => tracing::debug!("config auto reloaded: {changes}"),
        }
    }

    fn refuse(&mut self, problems: &[Problem], trigger: Trigger) {
        if self.say(problems, trigger) {
            tracing::error!("{}: nothing has changed", prefix(trigger));
        }
    }

    /// Says what is wrong; false when a timer would say it all again.
    fn say<'a>(
        &mut self,
        problems: impl IntoIterator<Item = &'a Problem>,
        trigger: Trigger,
    ) -> bool {
        let before = std::mem::take(&mut self.said);
        let mut is_new = false;
        for problem in problems {
            let text = problem.to_string();
            if trigger == Trigger::Signal || !before.contains(&text) {
                is_new = true;
                let prefix = prefix(trigger);
                match problem.severity {
                    Severity::Warning => tracing::warn!("{prefix}: {text}"),
                    Severity::Error | Severity::Unreadable => tracing::error!("{prefix}: {text}"),
                }
            }
            self.said.insert(text);
        }
        is_new
    }
}

const fn prefix(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Signal => "reload",
        Trigger::Timer => "auto reload",
    }
}
