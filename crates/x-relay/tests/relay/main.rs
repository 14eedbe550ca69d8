//! The relay handler and connector, over sockets: against recordings, against each other, and
//! against the original where it is at hand.

mod bind;
mod bytes;
mod connect;
mod forward;
mod original;
mod support;
mod udp;
