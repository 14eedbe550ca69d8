//! The accept loops of a service: one on each worker where the listener can be shared.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt as _;
use gost_core::{
    error::{Error, Why},
    listener::{Incoming, Listener},
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

use crate::{connection, limits, service::Shared, stats::Counters, status::State};

/// The most connections that are still accepted from a listener that is about to close.
const LAST: usize = 4096;

/// The accept loops of a service.
pub(crate) struct Acceptors {
    shared: Arc<Shared>,
    /// By worker.
    tasks: Vec<(mpsc::UnboundedSender<Order>, JoinHandle<()>)>,
}

/// What an acceptor is told to do.
enum Order {
    /// Take connections from this door instead; without one, from none.
    Open(Option<Door>),
    /// Close the listener.
    Stop,
}

/// What an acceptor takes connections from.
struct Door {
    listener: Box<dyn Listener>,
    /// Other workers have the same door, and their connections from it.
    shared: bool,
}

impl Acceptors {
    /// Accepts nothing yet. `close` is told when a listener has ended by itself.
    pub(crate) fn new(shared: Arc<Shared>, close: &watch::Sender<bool>) -> Self {
        let tasks = (0..shared.workers.count())
            .map(|worker| {
                let (orders, orders_in) = mpsc::unbounded_channel();
                let acceptor = Acceptor {
                    shared: shared.clone(),
                    worker,
                    door: None,
                    orders: orders_in,
                    close: close.clone(),
                };
                let task = shared.workers.runtime(worker).spawn(acceptor.run());
                (orders, task)
            })
            .collect();
        Self { shared, tasks }
    }

    /// Takes connections from this listener instead, after those that wait in the old one.
    pub(crate) fn listen(&self, listener: Box<dyn Listener>) {
        let mut shares: Vec<_> = (1..self.tasks.len())
            .map_while(|worker| {
                let _runtime = self.shared.workers.runtime(worker).enter();
                listener.share()
            })
            .collect();
        if shares.len() + 1 < self.tasks.len() {
            shares.clear();
        }
        let shared = !shares.is_empty();
        let listeners = std::iter::once(listener).chain(shares).map(Some);
        for ((orders, _), listener) in self
            .tasks
            .iter()
            .zip(listeners.chain(std::iter::repeat_with(|| None)))
        {
            let door = listener.map(|listener| Door { listener, shared });
            // It is gone only if it has panicked.
            let _ = orders.send(Order::Open(door));
        }
    }

    /// Closes the listeners; there is nothing to do the second time.
    pub(crate) async fn stop(&mut self) {
        for (orders, _) in &self.tasks {
            let _ = orders.send(Order::Stop);
        }
        for (_, task) in self.tasks.drain(..) {
            let _ = task.await;
        }
    }
}

impl Drop for Acceptors {
    fn drop(&mut self) {
        for (_, task) in &self.tasks {
            task.abort();
        }
    }
}

/// Takes connections until told to stop.
struct Acceptor {
    shared: Arc<Shared>,
    worker: usize,
    door: Option<Door>,
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
                accepted = accept(self.door.as_mut(), &self.shared, self.worker) => accepted,
            };
            let wait = match accepted {
                Ok(incoming) => {
                    backoff.reset();
                    self.spawn(incoming);
                    continue;
                }
                Err(error) => {
                    let service = &self.shared.name;
                    if let Some(wait) = backoff.after(&error) {
                        if !wait.is_zero() {
                            self.shared.set_state(State::Failed);
                        }
                        tracing::warn!(%service, "accept: {error}; trying again in {wait:?}");
                        wait
                    } else {
                        tracing::info!(%service, "stopped accepting: {error}");
                        self.shared.set_state(State::Closed);
                        let _ = self.close.send(true);
                        Duration::MAX
                    }
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => self.shared.set_state(State::Ready),
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
        let Some(Order::Open(door)) = order else {
            return false;
        };
        self.door = door;
        true
    }

    /// A connection that the system has taken for us would be reset when its listener is closed.
    fn accept_those_who_wait(&mut self) {
        for _ in 0..LAST {
            let Some(door) = &mut self.door else { return };
            let accepted = tokio::task::unconstrained(door.listener.accept()).now_or_never();
            let Some(Ok(incoming)) = accepted else { return };
            self.spawn(incoming);
        }
    }

    /// Serves a connection here, unless all come in here.
    fn spawn(&self, incoming: Incoming) {
        let shared = self.door.as_ref().is_some_and(|door| door.shared);
        let worker = if shared {
            self.worker
        } else {
            self.shared.workers.idlest()
        };
        spawn(&self.shared, worker, incoming, true);
    }
}

/// The next connection, once it is this worker's turn.
async fn accept(
    door: Option<&mut Door>,
    shared: &Shared,
    worker: usize,
) -> Result<Incoming, Error> {
    let Some(door) = door else {
        return std::future::pending().await;
    };
    limits::quotas(shared).await;
    if door.shared {
        shared.workers.turn(worker).await;
    }
    door.listener.accept().await
}

/// Serves the streams of a session that became a listener on `worker`, until the session ends.
pub(crate) async fn accept_streams(
    shared: Arc<Shared>,
    worker: usize,
    mut listener: Box<dyn Listener>,
) -> Error {
    loop {
        limits::quotas(&shared).await;
        match listener.accept().await {
            Ok(incoming) => spawn(&shared, shared.workers.near(worker), incoming, false),
            Err(error) => return error,
        }
    }
}

/// Starts the task of a connection. Those that are streams of another one are not `counted`.
fn spawn(shared: &Arc<Shared>, worker: usize, incoming: Incoming, counted: bool) {
    let key = shared.live.reserve(&incoming.peer);
    let charge = shared.workers.charge(worker);
    let serving = shared.serving.load();
    let stats = serving.stats.as_ref().filter(|_| counted);
    let open = stats.map(Counters::open);
    let work = connection::serve(shared.clone(), incoming, key, charge, open);
    let task = shared.workers.runtime(worker).spawn(work);
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
