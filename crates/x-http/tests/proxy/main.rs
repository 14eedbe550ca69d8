//! The http proxy end to end: raw bytes, real clients, recordings, and the original.

mod bodies;
mod connect;
mod connectors;
mod curl;
mod datagrams;
mod decoys;
mod forward;
mod golden;
mod idle;
mod reference;
mod refusals;
mod support;
