//! Where the configuration comes from, the first time and at every reload.

use std::{
    io,
    path::Path,
    sync::{Mutex, PoisonError},
};

use gost_config::{Fetched, Local, Sources};

use crate::fetch::fetch;

type Fetch = fn(&str) -> Result<Fetched, String>;

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
