//! What is wrong with a configuration, and where.

use std::fmt;

/// How much a mistake matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth saying; everything works.
    Warning,
    /// The configuration can be printed, but must not be started.
    Error,
    /// No configuration can be made of the input.
    Unreadable,
}

/// One mistake: where it was written, which key, and what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How much it matters.
    pub severity: Severity,
    /// The file and line (`gost.yaml:12`), or the flag (`-L http://:8080`) with secrets hidden.
    pub place: String,
    /// The path of the key inside the document (`services[0].handler.type`); may be empty.
    pub key: String,
    /// What is wrong, and where possible what to write instead.
    pub message: String,
}

impl Problem {
    /// A problem of the given severity.
    pub fn new(
        severity: Severity,
        place: impl Into<String>,
        key: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            place: place.into(),
            key: key.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in [&self.place, &self.key] {
            if !part.is_empty() {
                write!(f, "{part}: ")?;
            }
        }
        f.write_str(&self.message)
    }
}

/// Why no configuration could be made: every mistake found, warnings included.
#[derive(Debug, thiserror::Error)]
pub struct Failure {
    /// All problems, in the order found.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Failure {
    /// One line for each mistake.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self {
            problems: vec![problem],
        }
    }
}
