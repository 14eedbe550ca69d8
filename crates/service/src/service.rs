//! A running service: the accept loop, and what ends it.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use futures_util::FutureExt as _;
use gost_core::{
    addr::Addr,
    error::{Error, Why},
    listener::{Incoming, Listener},
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

use crate::{connection, live::Live, serving::Serving};

/// What all tasks of a service share.
pub(crate) struct Shared {
    pub(crate) name: Arc<str>,
    pub(crate) serving: ArcSwap<Serving>,
    pub(crate) live: Live,
}

/// A running service. Dropping it stops accepting and ends its connections.
pub struct Service {
    shared: Arc<Shared>,
    addr: Addr,
    orders: mpsc::UnboundedSender<Order>,
    closed: watch::Receiver<bool>,
    acceptor: JoinHandle<()>,
}

/// What an acceptor is told to do.
enum Order {
    /// Take connections from this listener instead.
    Listen(Box<dyn Listener>),
    /// Close the listener.
    Stop,
}

impl Service {
    /// Takes connections from `listener`.
    pub fn start(
        name: &str,
        listener: Box<dyn Listener>,
        serving: impl Into<Arc<Serving>>,
    ) -> Self {
        let shared = Arc::new(Shared {
            name: name.into(),
            serving: ArcSwap::new(serving.into()),
            live: Live::default(),
        });
        let addr = listener.addr();
        let (orders, orders_in) = mpsc::unbounded_channel();
        let (close, closed) = watch::channel(false);
        let acceptor = Acceptor {
            shared: shared.clone(),
            listener,
            orders: orders_in,
            close,
        };
        Self {
            shared,
            addr,
            orders,
            closed,
            acceptor: tokio::spawn(acceptor.run()),
        }
    }

    /// The address that is listened on.
    pub const fn addr(&self) -> &Addr {
        &self.addr
    }

    /// The name of the service.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.shared.live.len()
    }

    /// Serves new connections differently; those that are open keep what they have.
    pub fn serve_with(&self, serving: impl Into<Arc<Serving>>) {
        self.shared.serving.store(serving.into());
    }

    /// Takes connections from another listener; those that are open go on, and those that wait
    /// to be accepted from the old one are accepted.
    pub fn listen_with(&mut self, listener: Box<dyn Listener>) {
        self.addr = listener.addr();
        // The acceptor is gone only if it has panicked.
        let _ = self.orders.send(Order::Listen(listener));
    }

    /// Waits until the listener has closed for good and no connection is left: never, for most.
    pub async fn ended(&self) {
        let mut closed = self.closed.clone();
        // An error means that the acceptor is gone, which is an end too.
        let _ = closed.wait_for(|closed| *closed).await;
        self.shared.live.drained().await;
    }

    /// Stops accepting, lets connections end by themselves until the deadline, then ends them.
    pub async fn stop(mut self, drain: Duration) {
        let _ = self.orders.send(Order::Stop);
        // The listener is closed when its task has ended.
        let _ = (&mut self.acceptor).await;
        if tokio::time::timeout(drain, self.shared.live.drained())
            .await
            .is_err()
        {
            self.shared.live.abort_all();
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.acceptor.abort();
        self.shared.live.abort_all();
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Service({} on {})", self.shared.name, self.addr)
    }
}

/// The most connections that are still accepted from a listener that is about to close.
const LAST: usize = 4096;

/// Takes connections until told to stop.
struct Acceptor {
    shared: Arc<Shared>,
    listener: Box<dyn Listener>,
    orders: mpsc::UnboundedReceiver<Order>,
    close: watch::Sender<bool>,
}

impl Acceptor {
    async fn run(mut self) {
        let mut backoff = Backoff::default();
        loop {
            let accepted = tokio::select! {
                biased;
                order = self.orders.recv() => {
                    if self.obey(order) {
                        backoff.reset();
                        continue;
                    }
                    return;
                }
                accepted = self.listener.accept() => accepted,
            };
            let wait = match accepted {
                Ok(incoming) => {
                    backoff.reset();
                    spawn(&self.shared, incoming);
                    continue;
                }
                Err(error) => {
                    let service = &self.shared.name;
                    if let Some(wait) = backoff.after(&error) {
                        tracing::warn!(%service, "accept: {error}; trying again in {wait:?}");
                        wait
                    } else {
                        tracing::info!(%service, "stopped accepting: {error}");
                        let _ = self.close.send(true);
                        Duration::MAX
                    }
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                order = self.orders.recv() => {
                    if !self.obey(order) {
                        return;
                    }
                    backoff.reset();
                }
            }
        }
    }

    /// False when it was the last order.
    fn obey(&mut self, order: Option<Order>) -> bool {
        self.accept_those_who_wait();
        let Some(Order::Listen(listener)) = order else {
            return false;
        };
        self.listener = listener;
        true
    }

    /// A connection that the system has taken for us would be reset when its listener is closed.
    fn accept_those_who_wait(&mut self) {
        for _ in 0..LAST {
            let accepted = tokio::task::unconstrained(self.listener.accept()).now_or_never();
            let Some(Ok(incoming)) = accepted else { return };
            spawn(&self.shared, incoming);
        }
    }
}

/// Serves the streams of a session that became a listener, until the session ends.
pub(crate) async fn accept_streams(shared: Arc<Shared>, mut listener: Box<dyn Listener>) -> Error {
    loop {
        match listener.accept().await {
            Ok(incoming) => spawn(&shared, incoming),
            Err(error) => return error,
        }
    }
}

fn spawn(shared: &Arc<Shared>, incoming: Incoming) {
    let key = shared.live.reserve();
    let task = tokio::spawn(connection::serve(shared.clone(), incoming, key));
    shared.live.fill(key, task.abort_handle());
}

/// How long to wait after an accept that failed.
#[derive(Default)]
struct Backoff {
    last: Option<(Instant, Duration)>,
}

impl Backoff {
    /// A connection that died before it was accepted says nothing of the next; the lack of a
    /// descriptor passes when some connection ends; a node that can't be reached takes longer.
    fn after(&mut self, error: &Error) -> Option<Duration> {
        let first = match error.why() {
            Why::Closed => return None,
            Why::Reset => return Some(Duration::ZERO),
            Why::Other => Duration::from_millis(50),
            _ => Duration::from_secs(1),
        };
        let longest = Duration::from_secs(5);
        let wait = match self.last {
            Some((at, wait)) if at.elapsed() < wait + longest => (wait * 2).min(longest),
            _ => first,
        };
        self.last = Some((Instant::now(), wait));
        Some(wait)
    }

    fn reset(&mut self) {
        self.last = None;
    }
}
