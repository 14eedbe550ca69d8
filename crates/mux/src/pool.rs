//! Sessions that are kept, so that the next stream to the same node needs no new connection.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use gost_core::{
    addr::Addr,
    conn::Conn,
    error::{Error, Phase, Result, Side, Why},
    options,
    outbound::{Ask, NodeAddr, Outbound, PathId},
};
use parking_lot::Mutex;
use tokio::{
    sync::watch,
    task::AbortHandle,
    time::{Instant, timeout_at},
};

use crate::session::Session;

options! {
    /// Keys of a dialer that keeps sessions.
    pub struct PoolOptions {
        /// Streams of one session at once, another session is opened for more; 0 for the default.
        max_streams: usize = MAX_STREAMS, "mux.maxStreams";
        /// Close a session that had no stream for so long; 0 for never.
        idle_timeout: Duration = Duration::ZERO, "mux.idleTimeout";
    }
}

/// Streams of one session at once.
const MAX_STREAMS: usize = 1024;

/// How long the way to a node may take at least. It goes on for those who may still wait when the
/// one who asked first gives up.
const OPEN: Duration = Duration::from_secs(15);

/// Sessions to one node at once. When that many are busy or stalled, streams go to the one that
/// has the fewest.
const MAX_SESSIONS: usize = 64;

/// How long a session stays without streams that was opened beside another one.
const SPARE_IDLE: Duration = Duration::from_mins(1);

/// How many sessions may end between being found and being used before that is an error: a node
/// that closes whatever connects to it is not to be dialed for ever.
const TRIES: usize = 4;

/// What a session leads to: a dialed address, and the nodes on the way there. A node that is
/// reached in two ways must not carry the traffic of one over the other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PoolKey {
    /// The address that is dialed.
    pub addr: Addr,
    /// The nodes before it.
    pub path: PathId,
}

/// Sessions by what they lead to, each opened once however many wait for it.
///
/// Sessions to different places never wait for each other. A session is opened by a task of the
/// pool, so that it does not matter who asked first and whether that one still waits. Sessions of
/// a pool that is dropped end with their last stream.
pub struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    max_streams: usize,
    idle: Option<Duration>,
    places: Mutex<HashMap<PoolKey, Place>>,
}

/// The sessions to one place.
#[derive(Default)]
struct Place {
    sessions: Vec<Session>,
    opening: Option<Opening>,
}

/// A session that is being opened.
struct Opening {
    result: Opened,
    task: AbortHandle,
}

type Opened = watch::Receiver<Option<Result<Session>>>;

/// What to do for a stream.
enum Pick {
    /// Open it here, unless there are as many by now.
    Use(Session, usize),
    /// Wait for a session.
    Wait(Opened),
}

impl Pool {
    /// An empty pool.
    pub fn new(options: &PoolOptions) -> Self {
        Self {
            shared: Arc::new(Shared {
                max_streams: match options.max_streams {
                    0 => MAX_STREAMS,
                    streams => streams,
                },
                idle: (!options.idle_timeout.is_zero()).then_some(options.idle_timeout),
                places: Mutex::default(),
            }),
        }
    }

    /// Opens a stream to a node, as a dialer does: over a session that is there, or a new one.
    ///
    /// `make` opens a session, given the node, the way below, and what to ask of it.
    pub async fn dial<F>(
        &self,
        node: &NodeAddr,
        below: &Arc<dyn Outbound>,
        ask: &Ask,
        make: impl Fn(NodeAddr, Arc<dyn Outbound>, Ask) -> F + Send + Sync,
    ) -> Result<Conn>
    where
        F: Future<Output = Result<Session>> + Send + 'static,
    {
        let key = PoolKey {
            addr: node.addr.clone(),
            path: below.path(),
        };
        let deadline = Instant::now() + OPEN;
        let deadline = ask.deadline.map_or(deadline, |d| deadline.max(d.into()));
        let make = || {
            let ask = Ask {
                deadline: Some(deadline.into_std()),
                ..ask.clone()
            };
            make(node.clone(), below.clone(), ask)
        };
        let stream = self.open(&key, deadline, make);
        ask.within("open a stream to", &node.addr, stream).await
    }

    /// Opens a stream over a session that is there and neither full nor stalled, or else over a
    /// new one.
    ///
    /// `make` gives the future of a new session, which is run by a task of the pool and ended at
    /// `deadline`. Its error is that of everybody who waits for the session. To give up earlier
    /// just drop the future of this function.
    pub async fn open<F>(
        &self,
        key: &PoolKey,
        deadline: Instant,
        make: impl Fn() -> F + Send,
    ) -> Result<Conn>
    where
        F: Future<Output = Result<Session>> + Send + 'static,
    {
        let mut tries = 0;
        loop {
            let (session, most) = match self.pick(key, deadline, &make) {
                Pick::Use(session, most) => (session, most),
                Pick::Wait(opened) => match result(opened).await {
                    Ok(session) => (session, self.shared.max_streams),
                    // One that is stalled may yet get going.
                    Err(error) => match self.least_busy(key) {
                        Some(session) => (session, usize::MAX),
                        None => return Err(error),
                    },
                },
            };
            match session.open_below(most).await {
                Ok(Some(conn)) => return Ok(conn),
                // Others were faster.
                Ok(None) => {}
                // It has just ended, or can open no more.
                Err(error) => {
                    self.forget(key, &session);
                    tries += 1;
                    if tries == TRIES {
                        return Err(error.phase(Phase::Dial).side(Side::Node));
                    }
                }
            }
        }
    }

    /// How many sessions are open.
    pub fn sessions(&self) -> usize {
        let places = self.shared.places.lock();
        let sessions = places.values().flat_map(|place| &place.sessions);
        sessions.filter(|session| !session.is_closed()).count()
    }

    fn pick<F>(&self, key: &PoolKey, deadline: Instant, make: impl Fn() -> F) -> Pick
    where
        F: Future<Output = Result<Session>> + Send + 'static,
    {
        let mut places = self.shared.places.lock();
        if let Some(place) = places.get_mut(key) {
            place.sessions.retain(|session| !session.is_closed());
            let max = self.shared.max_streams;
            let mut sessions = place.sessions.iter();
            if let Some(session) = sessions.find(|s| s.streams() < max && !s.is_stalled()) {
                return Pick::Use(session.clone(), max);
            }
            if let Some(opened) = place.opened() {
                return Pick::Wait(opened);
            }
            if place.sessions.len() >= MAX_SESSIONS
                && let Some(session) = place.least_busy()
            {
                return Pick::Use(session, usize::MAX);
            }
        }
        // Seldom enough to look for places that are no longer used.
        places.retain(|_, place| place.is_used());
        let place = places.entry(key.clone()).or_default();
        let (told, result) = watch::channel(None);
        let work = open(
            Arc::downgrade(&self.shared),
            key.clone(),
            deadline,
            make(),
            told,
        );
        place.opening = Some(Opening {
            result: result.clone(),
            task: tokio::spawn(work).abort_handle(),
        });
        Pick::Wait(result)
    }

    fn least_busy(&self, key: &PoolKey) -> Option<Session> {
        self.shared.places.lock().get(key)?.least_busy()
    }

    /// Opens no more streams over a session; those that are open go on.
    fn forget(&self, key: &PoolKey, session: &Session) {
        if let Some(place) = self.shared.places.lock().get_mut(key) {
            place.sessions.retain(|other| !other.is(session));
        }
    }
}

/// What came of the opening of a session.
async fn result(mut opened: Opened) -> Result<Session> {
    let told = opened.wait_for(Option::is_some).await;
    // None: the task is gone without a result, because it has panicked.
    told.ok()
        .and_then(|told| told.clone())
        .unwrap_or_else(|| Err(Error::new(Why::Other, "mux: no session").phase(Phase::Dial)))
}

/// Opens a session, puts it into its place and tells those who wait.
async fn open(
    pool: Weak<Shared>,
    key: PoolKey,
    deadline: Instant,
    make: impl Future<Output = Result<Session>> + Send,
    told: watch::Sender<Option<Result<Session>>>,
) {
    // In a box: the way there may be long, and it is only needed for a moment.
    let made = timeout_at(deadline, Box::pin(make)).await;
    let made = made.unwrap_or_else(|_| {
        let late = format!("open a session with {}: timed out", key.addr);
        Err(Error::new(Why::TimedOut, late)
            .phase(Phase::Dial)
            .side(Side::Node))
    });
    let Some(pool) = pool.upgrade() else { return };
    let mut places = pool.places.lock();
    let place = places.entry(key).or_default();
    if let Ok(session) = &made {
        let spare = (!place.sessions.is_empty()).then_some(SPARE_IDLE);
        session.set_idle_timeout(pool.idle.into_iter().chain(spare).min());
        place.sessions.push(session.clone());
    }
    let opening = place.opening.take();
    drop(places);
    told.send_replace(Some(made));
    drop(opening);
}

impl Place {
    /// The session that is being opened, if one is.
    fn opened(&self) -> Option<Opened> {
        let result = &self.opening.as_ref()?.result;
        // The sender is gone if the task has panicked.
        result.has_changed().is_ok().then(|| result.clone())
    }

    fn is_used(&self) -> bool {
        self.opened().is_some() || self.sessions.iter().any(|session| !session.is_closed())
    }

    fn least_busy(&self) -> Option<Session> {
        let sessions = self.sessions.iter().filter(|session| !session.is_closed());
        sessions.min_by_key(|session| session.streams()).cloned()
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({} sessions)", self.sessions())
    }
}
