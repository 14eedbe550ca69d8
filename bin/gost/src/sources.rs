//! Where the configuration comes from, the first time and at every reload.

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use gost_config::{Config, Fetched, Flags, Local, Names, Problem, Sources, load};
use gost_core::registry::Registry;

use crate::fetch::fetch;

type Fetch = fn(&str) -> Result<Fetched, String>;

/// What a configuration is made of.
pub(crate) struct Input {
    pub(crate) flags: Flags,
    pub(crate) names: Names,
    pub(crate) sources: Machine,
    pub(crate) components: Arc<Registry>,
}

/// Why a configuration must not be run.
pub(crate) struct Refused {
    /// Where to say so, if that much could be read.
    pub(crate) log: Option<Box<gost_config::Log>>,
    pub(crate) problems: Vec<Problem>,
}

impl Input {
    /// The configuration, with warnings. One that is refused is so for all its mistakes at once.
    pub(crate) fn read(&self) -> Result<(Config, Vec<Problem>), Refused> {
        match load(&self.flags, &self.sources, &self.names) {
            Err(failure) => Err(Refused {
                log: None,
                problems: failure.problems,
            }),
            Ok(loaded) if loaded.is_good() => Ok((loaded.config, loaded.problems)),
            Ok(mut loaded) => {
                let more = gost_runtime::check(&loaded.config, &self.components);
                loaded.problems.extend(more);
                Err(Refused {
                    log: loaded.config.log.map(Box::new),
                    problems: loaded.problems,
                })
            }
        }
    }
}

/// Files, standard input and environment of this machine, and URLs.
pub(crate) struct Machine {
    local: Local<Fetch>,
    /// Standard input can be read only once: a reload finds there what was there at the start.
    stdin: Mutex<Option<Vec<u8>>>,
}

impl Machine {
    pub(crate) fn new() -> Self {
        Self {
            local: Local(fetch),
            stdin: Mutex::default(),
        }
    }
}

impl Sources for Machine {
    fn file(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.local.file(path)
    }

    fn stdin(&self) -> io::Result<Vec<u8>> {
        let mut read = self.stdin.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = &*read {
            return Ok(bytes.clone());
        }
        let bytes = self.local.stdin()?;
        *read = Some(bytes.clone());
        Ok(bytes)
    }

    fn fetch(&self, url: &str) -> Result<Fetched, String> {
        self.local.fetch(url)
    }

    fn env(&self, name: &str) -> Option<String> {
        self.local.env(name)
    }
}
