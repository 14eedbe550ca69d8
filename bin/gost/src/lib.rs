//! The gost program, as a library: run it with components of your own.
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! fn main() -> ExitCode {
//!     let mut components = gost::components();
//!     // my_crate::register(&mut components);
//!     gost::run(components)
//! }
//! ```

mod daemon;
mod fetch;
mod log;
mod print;
mod reload;
mod signals;
mod sources;
mod threads;
mod workers;

use std::process::ExitCode;

use gost_config::{Action, Kind, Names, usage};
use gost_core::{
    handler::Handler,
    listener::Listener,
    outbound::{Connector, Dialer},
    registry::Registry,
};

/// The components of this workspace that the program was built with.
pub fn components() -> Registry {
    let mut registry = Registry::new();
    #[cfg(feature = "tcp")]
    gost_x_tcp::register(&mut registry);
    #[cfg(feature = "udp")]
    gost_x_udp::register(&mut registry);
    #[cfg(feature = "unix")]
    gost_x_unix::register(&mut registry);
    #[cfg(feature = "stdio")]
    gost_x_stdio::register(&mut registry);
    #[cfg(feature = "remote")]
    gost_x_remote::register(&mut registry);
    #[cfg(feature = "mtcp")]
    gost_x_mtcp::register(&mut registry);
    #[cfg(feature = "tls")]
    gost_x_tls::register(&mut registry);
    #[cfg(feature = "ws")]
    gost_x_ws::register(&mut registry);
    #[cfg(feature = "kcp")]
    gost_x_kcp::register(&mut registry);
    #[cfg(feature = "direct")]
    gost_x_direct::register(&mut registry);
    #[cfg(feature = "relay")]
    gost_x_relay::register(&mut registry);
    #[cfg(feature = "socks")]
    gost_x_socks::register(&mut registry);
    #[cfg(feature = "http")]
    gost_x_http::register(&mut registry);
    #[cfg(feature = "forward")]
    gost_x_forward::register(&mut registry);
    #[cfg(feature = "auto")]
    gost_x_auto::register(&mut registry);
    #[cfg(feature = "auth")]
    gost_x_auth::register(&mut registry);
    #[cfg(feature = "bypass")]
    gost_x_bypass::register(&mut registry);
    #[cfg(feature = "admission")]
    gost_x_admission::register(&mut registry);
    #[cfg(feature = "hosts")]
    gost_x_hosts::register(&mut registry);
    #[cfg(feature = "resolver")]
    gost_x_resolver::register(&mut registry);
    #[cfg(feature = "limiter")]
    gost_x_limiter::register(&mut registry);
    #[cfg(feature = "recorder")]
    gost_x_recorder::register(&mut registry);
    #[cfg(feature = "quota")]
    gost_x_quota::register(&mut registry);
    #[cfg(feature = "ingress")]
    gost_x_ingress::register(&mut registry);
    #[cfg(feature = "router")]
    gost_x_router::register(&mut registry);
    #[cfg(feature = "discovery")]
    gost_x_discovery::register(&mut registry);
    #[cfg(feature = "plugin")]
    gost_x_plugin::register(&mut registry);
    registry
}

/// Does what the command line of the process asks for, with the given components.
pub fn run(components: Registry) -> ExitCode {
    let args: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    match Action::of(&args) {
        Action::Workers(groups) => workers::run(&groups),
        Action::Version => print::version(),
        Action::Help => {
            eprint!("{}", usage());
            ExitCode::SUCCESS
        }
        Action::Print(flags) => print::config(&flags, &names(&components)),
        Action::Run(flags) => {
            let names = names(&components);
            daemon::run(&flags, names, components)
        }
        Action::Refuse(error) => {
            eprint!("{error}\n{}", usage());
            ExitCode::from(2)
        }
    }
}

/// The names that a scheme can have: the original's, and those of the components there are.
fn names(components: &Registry) -> Names {
    let mut names = Names::default();
    let kinds = [
        (Kind::Handler, components.names::<dyn Handler>()),
        (Kind::Listener, components.names::<dyn Listener>()),
        (Kind::Connector, components.names::<dyn Connector>()),
        (Kind::Dialer, components.names::<dyn Dialer>()),
    ];
    for (kind, all) in kinds {
        for name in all {
            names.add(kind, name);
        }
    }
    names
}

/// The programs of the guide compile.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/embedding.md")]
struct Guide;
