//! How a service fares: its state, what happened last, and who is told.

use std::{
    collections::VecDeque,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use gost_core::policy::{Event, Observer};
use parking_lot::Mutex;
use tokio::{sync::mpsc, task::JoinHandle};

/// How many events are kept.
const EVENTS: usize = 20;

/// How long an observer may take to hear of a change.
const PATIENCE: Duration = Duration::from_secs(10);

/// The state of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Made.
    Running,
    /// Takes connections.
    Ready,
    /// Can't take connections now.
    Failed,
    /// Takes no more.
    Closed,
}

impl State {
    /// By the original's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Ready => "ready",
            Self::Failed => "failed",
            Self::Closed => "closed",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a service fares.
#[derive(Clone, Debug)]
pub struct Status {
    /// When it was made.
    pub created: SystemTime,
    /// What it does now.
    pub state: State,
    /// The last things that happened to it, with their time.
    pub events: VecDeque<(SystemTime, String)>,
}

type Told = (Arc<dyn Observer>, Event);

/// Keeps the status of a service, and tells observers in the order in which it changes.
pub(crate) struct Keeper {
    service: Arc<str>,
    status: Mutex<Status>,
    telling: Mutex<Option<(mpsc::UnboundedSender<Told>, JoinHandle<()>)>>,
}

impl Keeper {
    /// A service that was made, of which nobody knows.
    pub(crate) fn new(service: Arc<str>) -> Self {
        let status = Status {
            created: SystemTime::now(),
            state: State::Closed,
            events: VecDeque::new(),
        };
        Self {
            service,
            status: Mutex::new(status),
            telling: Mutex::default(),
        }
    }

    pub(crate) fn now(&self) -> Status {
        self.status.lock().clone()
    }

    /// Notes something.
    pub(crate) fn event(&self, text: String) {
        note(&mut self.status.lock(), text);
    }

    /// Changes the state, and tells the observer.
    pub(crate) fn set(&self, state: State, observer: Option<&Arc<dyn Observer>>) {
        let text = format!("service {} is {state}", self.service);
        {
            let mut status = self.status.lock();
            if status.state == state {
                return;
            }
            status.state = state;
            note(&mut status, text.clone());
        }
        if let Some(observer) = observer {
            let event = Event::Status {
                service: self.service.clone(),
                state: state.as_str(),
                text,
            };
            let mut telling = self.telling.lock();
            let (events, _) = telling.get_or_insert_with(|| {
                let (events, told) = mpsc::unbounded_channel();
                (events, tokio::spawn(tell(told)))
            });
            // The task goes on for as long as there is a sender.
            let _ = events.send((observer.clone(), event));
        }
    }

    /// Waits until the observer has been told of everything.
    pub(crate) async fn told(&self) {
        let telling = self.telling.lock().take();
        if let Some((events, task)) = telling {
            drop(events);
            // A panic in it has been reported by the runtime.
            let _ = task.await;
        }
    }
}

fn note(status: &mut Status, text: String) {
    if status.events.len() == EVENTS {
        status.events.pop_front();
    }
    status.events.push_back((SystemTime::now(), text));
}

/// Changes of the state are told once, whatever comes of it.
async fn tell(mut told: mpsc::UnboundedReceiver<Told>) {
    while let Some((observer, event)) = told.recv().await {
        let events = [event];
        match tokio::time::timeout(PATIENCE, observer.observe(&events)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!("observer: {error}"),
            Err(_) => tracing::debug!("observer: no answer in time"),
        }
    }
}

#[cfg(test)]
mod tests {
    use gost_core::{error::Result, policy::Answer};

    use super::*;

    #[derive(Default)]
    struct Ears(Mutex<Vec<String>>);

    impl Observer for Ears {
        fn observe<'a>(&'a self, events: &'a [Event]) -> Answer<'a, Result<()>> {
            Answer::later(async move {
                tokio::task::yield_now().await;
                for event in events {
                    if let Event::Status { text, .. } = event {
                        self.0.lock().push(text.clone());
                    }
                }
                Ok(())
            })
        }
    }

    #[tokio::test]
    async fn an_observer_is_told_of_each_change_once_and_in_order() {
        let ears = Arc::new(Ears::default());
        let observer: Arc<dyn Observer> = ears.clone();
        let keeper = Keeper::new("s".into());
        for state in [
            State::Running,
            State::Ready,
            State::Ready,
            State::Failed,
            State::Ready,
        ] {
            keeper.set(state, Some(&observer));
        }
        keeper.told().await;
        let texts = ["running", "ready", "failed", "ready"].map(|s| format!("service s is {s}"));
        assert_eq!(*ears.0.lock(), texts);
        for n in 0..30 {
            keeper.event(n.to_string());
        }
        let events = keeper.now().events;
        assert_eq!((events.len(), &*events[0].1), (EVENTS, "10"));
    }
}
