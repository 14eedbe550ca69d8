//! Choosing a way and walking it: nodes, selectors, hops, chains, groups, routes and the router.
//!
//! ```text
//! Router ── chain or ChainGroup ── hops ── one node each ── route: a fold of NodeOutbounds
//! ```
//!
//! - [`router::Router`] is the way out of a service: names, route, retries;
//! - [`chain::HopChain`] and [`group::ChainGroup`] choose the nodes, hop by hop;
//! - [`hop::NodesHop`] chooses one of its nodes: who takes the request ([`matcher`], [`filter`]),
//!   who works, whose turn it is ([`selector`]);
//! - [`node::NodeOutbound`] is a node over the way below it, and the one place where a node is
//!   marked as failed or working;
//! - [`probe`] looks after nodes that nobody uses.
//!
//! It opens no sockets and knows no configuration files: an [`Outbound`] for the first step and
//! the nodes come from outside.
//!
//! [`Outbound`]: gost_core::outbound::Outbound

pub mod bypass;
pub mod chain;
mod deadline;
pub mod filter;
pub mod group;
pub mod hop;
pub mod item;
pub mod matcher;
pub mod names;
pub mod node;
pub mod probe;
mod retry;
pub mod route;
pub mod router;
pub mod rules;
pub mod selector;
#[cfg(test)]
mod testing;
