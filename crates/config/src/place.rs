//! Where an object of the configuration was written.

use std::{fmt, sync::Arc};

use crate::{Problem, Severity};

/// Where an object and each of its keys were written. Cheap to clone.
///
/// Places never count when objects are compared: the same setting moved to another line is the
/// same setting.
#[derive(Clone, Default)]
pub struct Place(Option<Arc<Spot>>);

struct Spot {
    source: Arc<str>,
    line: u32,
    path: Box<str>,
    keys: Box<[(&'static str, u32)]>,
}

impl Place {
    /// An object at `line` (from 1; 0 for none) of `source`, with its path in the document and the
    /// lines of its keys.
    pub fn new(
        source: Arc<str>,
        line: u32,
        path: impl Into<Box<str>>,
        keys: impl Into<Box<[(&'static str, u32)]>>,
    ) -> Self {
        Self(Some(Arc::new(Spot {
            source,
            line,
            path: path.into(),
            keys: keys.into(),
        })))
    }

    /// An object that a flag of the command line describes.
    pub(crate) fn flag(source: &Arc<str>, path: &str) -> Self {
        Self::new(source.clone(), 0, path, [])
    }

    /// The same place, where a key was written, too.
    pub(crate) fn with_key(&self, key: &'static str) -> Self {
        let Some(spot) = &self.0 else {
            return Self::default();
        };
        let keys = spot.keys.iter().copied().chain([(key, spot.line)]);
        Self(Some(Arc::new(Spot {
            source: spot.source.clone(),
            line: spot.line,
            path: spot.path.clone(),
            keys: keys.collect(),
        })))
    }

    /// The file or flag; empty for an object made by a program.
    pub fn source(&self) -> &str {
        self.0.as_ref().map_or("", |spot| &spot.source)
    }

    /// The line, from 1; 0 when the source has no lines.
    pub fn line(&self) -> u32 {
        self.0.as_ref().map_or(0, |spot| spot.line)
    }

    /// The path inside the document, such as `services[0].handler`.
    pub fn path(&self) -> &str {
        self.0.as_ref().map_or("", |spot| &spot.path)
    }

    /// True when the key was written, whatever its value.
    pub fn has(&self, key: &str) -> bool {
        self.0
            .as_ref()
            .is_some_and(|spot| spot.keys.iter().any(|(k, _)| *k == key))
    }

    /// A problem with a key of this object (or with the object, for an empty key).
    pub fn problem(&self, severity: Severity, key: &str, message: impl Into<String>) -> Problem {
        let line = self.0.as_ref().map_or(0, |spot| {
            // An index behind the key does not matter for the line.
            let name = key.split(['[', '.']).next().unwrap_or(key);
            let found = spot.keys.iter().find(|(k, _)| *k == name);
            found.map_or(spot.line, |(_, line)| *line)
        });
        let place = match line {
            0 => self.source().to_owned(),
            line => format!("{}:{line}", self.source()),
        };
        let path = match (self.path(), key) {
            (path, "") => path.to_owned(),
            ("", key) => key.to_owned(),
            (path, key) => format!("{path}.{key}"),
        };
        Problem::new(severity, place, path, message)
    }

    /// An error about a key of this object: `gost.yaml:12: services[0].handler.type: …`.
    pub fn error(&self, key: &str, message: impl Into<String>) -> Problem {
        self.problem(Severity::Error, key, message)
    }

    /// A warning about a key of this object.
    pub fn warning(&self, key: &str, message: impl Into<String>) -> Problem {
        self.problem(Severity::Warning, key, message)
    }
}

impl PartialEq for Place {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.source())?;
        if self.line() > 0 {
            write!(f, ":{}", self.line())?;
        }
        if !self.path().is_empty() {
            write!(f, ": {}", self.path())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({self})")
    }
}
