//! A running service: the accept loop, and what ends it.

use std::{fmt, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use gost_core::{
    addr::{Addr, Network},
    listener::Listener,
};
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
};

use crate::{
    acceptor::Acceptors,
    live::Live,
    serving::Serving,
    status::{Keeper, State, Status},
    staying,
    workers::Workers,
};

/// How long connections that are cut off may take to go.
const CUT: Duration = Duration::from_secs(1);

/// What all tasks of a service share.
pub(crate) struct Shared {
    pub(crate) name: Arc<str>,
    pub(crate) serving: ArcSwap<Serving>,
    pub(crate) live: Live,
    pub(crate) status: Keeper,
    pub(crate) workers: Workers,
    /// Told when connections are served differently.
    pub(crate) changed: Notify,
}

impl Shared {
    /// Changes the state of the service, and tells its observer.
    pub(crate) fn set_state(&self, state: State) {
        self.status
            .set(state, self.serving.load().observer.as_ref());
    }
}

/// A running service. Dropping it stops accepting and ends its connections.
pub struct Service {
    shared: Arc<Shared>,
    addr: Addr,
    network: Network,
    closed: watch::Receiver<bool>,
    acceptors: Acceptors,
    /// Ends the connections of those who may not stay.
    _staying: JoinSet<()>,
}

impl Service {
    /// Takes connections from `listener`, in the runtime that this is called in.
    pub fn start(
        name: &str,
        listener: Box<dyn Listener>,
        serving: impl Into<Arc<Serving>>,
    ) -> Self {
        Self::start_on(&Workers::current(), name, listener, serving)
    }

    /// Takes connections from `listener`, on several workers.
    pub fn start_on(
        workers: &Workers,
        name: &str,
        listener: Box<dyn Listener>,
        serving: impl Into<Arc<Serving>>,
    ) -> Self {
        let name: Arc<str> = name.into();
        let shared = Arc::new(Shared {
            status: Keeper::new(name.clone()),
            name,
            serving: ArcSwap::new(serving.into()),
            live: Live::default(),
            workers: workers.clone(),
            changed: Notify::new(),
        });
        let mut staying = JoinSet::new();
        staying.spawn(staying::watch(shared.clone()));
        let (close, closed) = watch::channel(false);
        let acceptors = Acceptors::new(shared.clone(), &close);
        shared.set_state(State::Running);
        let mut service = Self {
            shared,
            addr: Addr::Any,
            network: Network::Tcp,
            closed,
            acceptors,
            _staying: staying,
        };
        service.listen_with(listener);
        service
    }

    /// The address that is listened on.
    pub const fn addr(&self) -> &Addr {
        &self.addr
    }

    /// Over what those who connect come.
    pub const fn network(&self) -> Network {
        self.network
    }

    /// The name of the service.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.shared.live.len()
    }

    /// How it fares.
    pub fn status(&self) -> Status {
        self.shared.status.now()
    }

    /// What is done with new connections.
    pub fn serving(&self) -> Arc<Serving> {
        self.shared.serving.load_full()
    }

    /// Serves new connections differently; those that are open keep what they have, if their
    /// clients are still admitted.
    pub fn serve_with(&self, serving: impl Into<Arc<Serving>>) {
        self.shared.serving.store(serving.into());
        self.shared.changed.notify_one();
    }

    /// Takes connections from another listener; those that are open go on, and those that wait
    /// to be accepted from the old one are accepted.
    pub fn listen_with(&mut self, listener: Box<dyn Listener>) {
        (self.addr, self.network) = (listener.addr(), listener.network());
        self.acceptors.listen(listener);
        self.shared.set_state(State::Ready);
        let text = format!("service {} is listening on {}", self.name(), self.addr);
        self.shared.status.event(text);
    }

    /// Waits until the listener has closed for good and no connection is left: never, for most.
    pub async fn ended(&self) {
        let mut closed = self.closed.clone();
        // An error means that the acceptors are gone, which is an end too.
        let _ = closed.wait_for(|closed| *closed).await;
        self.shared.live.drained().await;
    }

    /// Stops accepting, and closes the listener. Connections go on.
    pub async fn close(&mut self) {
        self.acceptors.stop().await;
        self.shared.set_state(State::Closed);
    }

    /// Stops accepting, lets connections end by themselves until the deadline, then ends them.
    pub async fn stop(mut self, drain: Duration) {
        self.close().await;
        if tokio::time::timeout(drain, self.shared.live.drained())
            .await
            .is_err()
        {
            self.shared.live.abort_all();
            // What was cut off is recorded as it goes.
            let _ = tokio::time::timeout(CUT, self.shared.live.drained()).await;
        }
        self.shared.status.told().await;
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.shared.live.abort_all();
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Service({} on {})", self.shared.name, self.addr)
    }
}
