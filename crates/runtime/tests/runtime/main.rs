//! Configurations as they run: through all components, over real sockets.

mod property;
mod reload;
mod routing;
mod support;
