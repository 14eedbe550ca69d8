//! The traits and types that every other crate of gost speaks.
//!
//! A service is a [`Listener`](listener::Listener) and a [`Handler`](handler::Handler). The way
//! out is an [`Outbound`](outbound::Outbound): sockets, or a route of nodes, each of which is a
//! [`Dialer`](outbound::Dialer) and a [`Connector`](outbound::Connector) over the way before it.
//! What flows is a [`Stream`](stream::Stream) or a [`Packet`](packet::Packet). Components are
//! made by factories in a [`Registry`](registry::Registry), with [`options!`] for their keys.
//!
//! This crate opens nothing and parses nothing but single values: it names the things.

pub mod addr;
pub mod buffer;
pub mod build;
pub mod conn;
pub mod duration;
pub mod error;
pub mod handler;
mod held;
mod id;
pub mod listener;
pub mod meter;
mod named;
pub mod options;
pub mod outbound;
pub mod packet;
pub mod policy;
pub mod race;
pub mod record;
pub mod registry;
pub mod routing;
pub mod session;
pub mod size;
pub mod stream;
pub mod values;

pub use error::{Error, Phase, Result, Side, Why};

/// What most components import.
pub mod prelude {
    pub use std::sync::Arc;

    pub use async_trait::async_trait;

    pub use crate::{
        addr::{Addr, Network, Target},
        build::Build,
        conn::{Conn, Io, Meta},
        error::{Error, Phase, Result, Side, Why},
        handler::{Handler, Next},
        listener::{Accepted, Incoming, Listener},
        options,
        outbound::{Ask, BindOptions, Connector, Dialer, NodeAddr, NodeCx, Outbound},
        packet::{Batch, Packet},
        registry::Registry,
        session::{Hint, Session, Upstream},
        stream::{Prefixed, Stream},
    };
}
