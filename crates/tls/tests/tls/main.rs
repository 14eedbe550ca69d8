//! TLS between the two sides, over sockets.

mod clients;
mod files;

mod peers;
mod servers;
mod settings;
mod streams;
mod support;
