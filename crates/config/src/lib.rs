//! The configuration of gost as data: schema, file formats, command line, output.
#![allow(unused)]
mod decode;
mod error;
mod formats;
mod list;
mod output;
mod place;
mod scalar;
pub mod schema;
mod suggest;
mod tree;

pub use self::{
    error::{Failure, Problem, Severity},
    list::List,
    output::{Format, NotJson},
    place::Place,
    scalar::{Nanos, Secret},
    schema::*,
    suggest::nearest,
};
