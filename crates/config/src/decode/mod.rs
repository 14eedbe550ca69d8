//! From the value tree to the schema: one decoder for every file format.
//!
//! Two sets of rules. Files are read *leniently*, as the original's file reader does: numbers for
//! text, text for numbers, one value for a list. JSON given on the command line (and, later, in
//! bodies of the web API) is read *strictly*: types must fit. In both, keys match whatever their
//! case, durations may be text, and everything that looks like a mistake is reported.

mod metadata;
mod object;
mod scalar;
mod sections;

use std::sync::Arc;

pub(crate) use object::decode_object;
pub(crate) use scalar::{json_number, parse_int};
pub(crate) use sections::root;

use crate::{
    Place, Problem, Severity,
    output::{Doc, Format},
    schema::Visitor,
    tree::Tree,
};

/// How forgiving the decoder is about types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// For files, standard input and URLs.
    Lenient,
    /// For inline JSON and bodies of the web API.
    Strict,
}

/// The state of one decoding: where it is and what it found wrong.
#[derive(Debug)]
pub struct Decoder {
    source: Arc<str>,
    rules: Rules,
    path: Vec<Segment>,
    problems: Vec<Problem>,
}

#[derive(Debug)]
enum Segment {
    Key(&'static str),
    Index(usize),
}

/// The most problems that are kept of one document.
const MAX_PROBLEMS: usize = 1000;

impl Decoder {
    /// A decoder for a document from `source` (a file name, or a flag).
    pub fn new(source: Arc<str>, rules: Rules) -> Self {
        Self {
            source,
            rules,
            path: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// What was found wrong.
    pub fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    pub(crate) fn strict(&self) -> bool {
        self.rules == Rules::Strict
    }

    pub(crate) fn source(&self) -> &Arc<str> {
        &self.source
    }

    /// The path of the value being read: `services[0].handler`.
    pub(crate) fn path(&self) -> String {
        let mut path = String::new();
        for segment in &self.path {
            match segment {
                Segment::Key(key) if path.is_empty() => path.push_str(key),
                Segment::Key(key) => {
                    path.push('.');
                    path.push_str(key);
                }
                Segment::Index(at) => {
                    path.push('[');
                    path.push_str(&at.to_string());
                    path.push(']');
                }
            }
        }
        path
    }

    pub(crate) fn in_key<R>(&mut self, key: &'static str, f: impl FnOnce(&mut Self) -> R) -> R {
        self.path.push(Segment::Key(key));
        let result = f(self);
        self.path.pop();
        result
    }

    pub(crate) fn in_item<R>(&mut self, at: usize, f: impl FnOnce(&mut Self) -> R) -> R {
        self.path.push(Segment::Index(at));
        let result = f(self);
        self.path.pop();
        result
    }

    pub(crate) fn place(&self, line: u32, keys: Vec<(&'static str, u32)>) -> Place {
        Place::new(self.source.clone(), line, self.path(), keys)
    }

    fn report(&mut self, severity: Severity, line: u32, message: impl Into<String>) {
        if self.is_full() {
            return;
        }
        let place = match line {
            0 => self.source.to_string(),
            line => format!("{}:{line}", self.source),
        };
        let problem = Problem::new(severity, place, self.path(), message);
        self.problems.push(problem);
    }

    /// True when so much is wrong that it is no use to read on.
    pub(crate) fn is_full(&self) -> bool {
        self.problems.len() >= MAX_PROBLEMS
    }

    pub(crate) fn warn(&mut self, line: u32, message: impl Into<String>) {
        self.report(Severity::Warning, line, message);
    }

    pub(crate) fn error(&mut self, line: u32, message: impl Into<String>) {
        self.report(Severity::Error, line, message);
    }

    pub(crate) fn unreadable(&mut self, line: u32, message: impl Into<String>) {
        self.report(Severity::Unreadable, line, message);
    }

    /// Reports a value of the wrong type.
    pub(crate) fn wrong_type(&mut self, tree: &Tree, wanted: &str) {
        let got = tree.kind.name();
        self.unreadable(tree.line, format!("must be {wanted}, not {got}"));
    }
}

/// A type that a field of the schema can have.
pub(crate) trait FieldType: Default {
    /// What to call the type in the reference manual.
    const KIND: &'static str;

    /// Reads the value; what does not fit is reported to the decoder. Null changes nothing.
    fn decode(&mut self, tree: &Tree, decoder: &mut Decoder);

    /// The value for printing.
    fn encode(&self, format: Format) -> Doc;

    /// True when printing leaves the value out.
    fn is_empty(&self) -> bool;

    /// Shows the objects inside to a visitor.
    fn visit(&self, _: &mut dyn Visitor) {}
}
