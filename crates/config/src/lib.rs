//! The configuration of gost as data: schema, file formats, command line, output.
mod check;
mod cli;
mod decode;
mod error;
mod formats;
mod list;
mod load;
mod merge;
mod output;
mod place;
mod scalar;
mod schema;
mod source;
mod suggest;
mod tree;

#[cfg(test)]
mod tests;

pub use self::{
    check::check,
    cli::{Action, FlagError, Flags, Kind, Names, redact, split_workers, usage},
    error::{Failure, Problem, Severity},
    formats::FileFormat,
    list::List,
    load::{Loaded, load, read_document},
    output::{Format, NotJson},
    place::Place,
    scalar::{Nanos, Secret},
    schema::*,
    source::{Fetched, Local, MAX_FETCHED, Sources},
    suggest::nearest,
};
