//! Services on a port of the system's choice.

use std::{fmt, net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use gost_core::{
    addr::Target,
    build::Door,
    conn::Conn,
    error::Result,
    handler::{Handler, Next},
    listener::Listener,
    session::Session,
};
use gost_net::{listen::TcpOptions, sockets::Sockets};
use gost_service::{Service, Serving};
use gost_testkit::soon;

/// A running service; it ends with this.
pub struct Running {
    /// Where it listens.
    pub addr: SocketAddr,
    /// The service itself.
    pub service: Service,
}

impl Running {
    /// Starts a service.
    ///
    /// # Panics
    ///
    /// When the listener has no IP address.
    pub fn start(listener: Box<dyn Listener>, serving: Serving) -> Self {
        let service = Service::start("test", listener, serving);
        let addr = service.addr().ip().expect("an address");
        Self { addr, service }
    }

    /// Waits until no connection is left.
    pub async fn emptied(&self) {
        soon(async {
            while self.service.connections() > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Running({})", self.addr)
    }
}

/// A listener for TCP on 127.0.0.1.
///
/// # Panics
///
/// When there is no port left.
pub async fn listen() -> Box<dyn Listener> {
    let (options, door) = (TcpOptions::default(), Door::default());
    let listener = gost_net::listen::tcp("127.0.0.1:0", &options, &door).await;
    Box::new(listener.expect("a port"))
}

/// Serves a handler over TCP on 127.0.0.1, with the sockets of this machine as its way out; `edit`
/// sets policies and another way.
pub async fn serve(handler: Arc<dyn Handler>, edit: impl FnOnce(&mut Serving)) -> Running {
    let mut serving = Serving::new(handler, Arc::new(Sockets::default()));
    edit(&mut serving);
    Running::start(listen().await, serving)
}

/// Hands every client to one target, whatever it says.
#[derive(Clone, Debug)]
pub struct To(pub Target);

#[async_trait]
impl Handler for To {
    async fn handle(&self, conn: Conn, session: &mut Session) -> Result<Next> {
        let upstream = session.open(&self.0).await?;
        Ok(Next::Relay(conn, upstream))
    }
}
