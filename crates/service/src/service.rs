//! A running service: the accept loop, and what ends it.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use gost_core::{
    addr::Addr,
    error::{Error, Why},
    listener::{Incoming, Listener},
};
use tokio::{sync::watch, task::JoinHandle};

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
    stop: watch::Sender<bool>,
    closed: watch::Receiver<bool>,
    acceptor: JoinHandle<Box<dyn Listener>>,
}

impl Service {
    /// Takes connections from `listener`.
    pub fn start(name: &str, listener: Box<dyn Listener>, serving: Serving) -> Self {
        let shared = Arc::new(Shared {
            name: name.into(),
            serving: ArcSwap::from_pointee(serving),
            live: Live::default(),
        });
        let addr = listener.addr();
        let (stop, stopped) = watch::channel(false);
        let (close, closed) = watch::channel(false);
        let acceptor = tokio::spawn(accept(shared.clone(), listener, stopped, close));
        Self {
            shared,
            addr,
            stop,
            closed,
            acceptor,
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
    pub fn serve_with(&self, serving: Serving) {
        self.shared.serving.store(Arc::new(serving));
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
        let _ = self.stop.send(true);
        // The listener is closed as soon as its task has ended.
        if let Ok(listener) = (&mut self.acceptor).await {
            drop(listener);
        }
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

/// Takes connections until told to stop, and gives the listener back.
async fn accept(
    shared: Arc<Shared>,
    mut listener: Box<dyn Listener>,
    mut stopped: watch::Receiver<bool>,
    close: watch::Sender<bool>,
) -> Box<dyn Listener> {
    let mut backoff = Backoff::default();
    loop {
        let accepted = tokio::select! {
            biased;
            accepted = listener.accept() => accepted,
            _ = stopped.wait_for(|stop| *stop) => return listener,
        };
        match accepted {
            Ok(incoming) => {
                backoff.reset();
                spawn(&shared, incoming);
            }
            Err(error) => {
                let Some(wait) = backoff.after(&error) else {
                    tracing::info!(service = %shared.name, "stopped accepting: {error}");
                    let _ = close.send(true);
                    let _ = stopped.wait_for(|stop| *stop).await;
                    return listener;
                };
                tracing::warn!(service = %shared.name, "accept: {error}; trying again in {wait:?}");
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    _ = stopped.wait_for(|stop| *stop) => return listener,
                }
            }
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
