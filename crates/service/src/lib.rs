//! The accept loop, the life of a connection, and what a session does.
//!
//! A [`Service`] takes connections from a listener and gives each a task and a
//! [`Session`](gost_core::session::Session). It knows no configuration: [`Serving`] says what is
//! done with a connection, and can be exchanged while the service runs.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # async fn example(handler: Arc<dyn gost_core::handler::Handler>) -> gost_core::Result<()> {
//! use gost_net::{listen, sockets::Sockets};
//! use gost_service::{Service, Serving};
//!
//! let door = gost_core::build::Door::default();
//! let listener = listen::tcp("127.0.0.1:1080", &listen::TcpOptions::default(), &door).await?;
//! let serving = Serving::new(handler, Arc::new(Sockets::default()));
//! let service = Service::start("proxy", Box::new(listener), serving);
//! // ...
//! service.stop(std::time::Duration::from_secs(10)).await;
//! # Ok(())
//! # }
//! ```

mod acceptor;
mod connection;
mod limits;
mod live;
mod log;
mod queue;
mod records;
mod service;
mod serving;
mod session;
mod stats;
mod status;
mod staying;
mod workers;

pub use queue::Queue;
pub use records::{Records, Tap};
pub use service::Service;
pub use serving::{Policies, Serving, SessionOptions};
pub use stats::{Clients, Counters};
pub use status::{State, Status};
pub use workers::Workers;
