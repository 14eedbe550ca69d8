//! The command line: flags, service and node URLs, workers.

mod action;
pub(crate) mod build;
mod credentials;
mod flags;
mod lift;
mod names;
mod node;
mod query;
mod range;
mod redact;
mod scheme;
mod servers;
mod service;
mod tls;
mod typo;
mod url;
mod workers;

pub use self::{
    action::Action,
    flags::{FlagError, Flags, usage},
    names::{Kind, Names},
    redact::redact,
    workers::split_workers,
};
pub(crate) use self::{
    lift::STRATEGIES,
    range::split as split_address,
    servers::{api, metrics},
};
