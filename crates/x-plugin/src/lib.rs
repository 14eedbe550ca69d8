//! Components that ask a program of somebody else's, over gRPC (`proto/plugin.proto` in this crate)
//! or HTTP.
//!
//! What a plugin that does not answer, or answers with nonsense, means for each of them is said at
//! each of them; see also the user's documentation. No answer is waited for without end, and none
//! may be longer than 1 MiB (16 MiB for the body of an HTTP message).
//!
//! ```
//! let mut registry = gost_core::registry::Registry::new();
//! gost_x_plugin::register(&mut registry);
//! assert!(registry.has::<dyn gost_core::policy::Authenticator>("grpc"));
//! assert!(registry.has::<dyn gost_core::policy::Authenticator>("http"));
//! ```

mod access;
mod certificate;
mod client;
mod connect;
mod discovery;
mod error;
mod grpc;
mod http;
mod json;
mod limiter;
mod messages;
mod names;
mod telling;

use std::sync::Arc;

use gost_core::{
    policy::{
        Admission, Authenticator, Bypass, Discovery, HostMapper, Ingress, Observer, OsRouter,
        Recorder, Resolver, Rewriter, TrafficLimiter,
    },
    registry::{Kind, Registry},
    routing::NodeSource,
};

pub use client::PluginOptions;

use self::{
    access::{PluginAdmission, PluginAuther, PluginBypass},
    client::{Client, Protocol},
    discovery::{PluginDiscovery, PluginNodes, PluginRouter},
    limiter::PluginLimiter,
    names::{PluginHosts, PluginIngress, PluginResolver},
    telling::{PluginObserver, PluginRecorder, PluginRewriter},
};

/// Adds the types `grpc` and `http` of every kind of component that can be a plugin.
pub fn register(registry: &mut Registry) {
    add::<dyn Authenticator>(registry, |client| Arc::new(PluginAuther(client)));
    add::<dyn Admission>(registry, |client| Arc::new(PluginAdmission(client)));
    add::<dyn Bypass>(registry, |client| Arc::new(PluginBypass(client)));
    add::<dyn HostMapper>(registry, |client| Arc::new(PluginHosts(client)));
    add::<dyn Resolver>(registry, |client| Arc::new(PluginResolver(client)));
    add::<dyn Ingress>(registry, |client| Arc::new(PluginIngress(client)));
    add::<dyn TrafficLimiter>(registry, |client| Arc::new(PluginLimiter::new(client)));
    add::<dyn Observer>(registry, |client| Arc::new(PluginObserver(client)));
    add::<dyn Recorder>(registry, |client| Arc::new(PluginRecorder(client)));
    add::<dyn Rewriter>(registry, |client| Arc::new(PluginRewriter(client)));
    add::<dyn Discovery>(registry, |client| Arc::new(PluginDiscovery(client)));
    add::<dyn OsRouter>(registry, |client| Arc::new(PluginRouter(client)));
    add::<dyn NodeSource>(registry, |client| Arc::new(PluginNodes(client)));
}

fn add<K: Kind + ?Sized>(registry: &mut Registry, made: fn(Arc<Client>) -> K::Made) {
    for (name, protocol) in [("grpc", Protocol::Grpc), ("http", Protocol::Http)] {
        registry.add::<K, PluginOptions, _>(&[name], move |options, build| async move {
            Client::new(protocol, &options, &build).map(made)
        });
    }
}

#[cfg(test)]
mod tests;
