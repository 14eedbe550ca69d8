//! SOCKS end to end: our handlers and connectors against recordings, against each other, and
//! against other people's programs.

mod bind;
mod clients;
mod connectors;
mod golden;
mod handlers;
mod reference;
mod support;
mod tls;
mod udp;
