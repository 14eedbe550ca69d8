//! Telling observers what has changed.

use std::{collections::HashMap, future::Future, sync::Arc, time::Duration};

use gost_core::policy::{Event, Observer, Stats};
use gost_service::{Clients, Counters};
use tokio::{
    task::AbortHandle,
    time::{Instant, MissedTickBehavior, interval_at},
};

/// The shortest time between two reports.
const SHORTEST: Duration = Duration::from_secs(1);

/// Where counters come from.
pub(crate) trait Source: Send + 'static {
    /// All counters, with what their events say.
    fn counters(&self) -> Vec<(Option<String>, Arc<Counters>)>;

    /// The service.
    fn service(&self) -> &str;

    /// Says which counters have not changed, and belong to nobody who is there.
    fn idle(&self, _: &[String]) {}
}

/// A service.
pub(crate) struct ServiceSource {
    pub(crate) name: String,
    pub(crate) counters: Arc<Counters>,
}

impl Source for ServiceSource {
    fn counters(&self) -> Vec<(Option<String>, Arc<Counters>)> {
        vec![(None, self.counters.clone())]
    }

    fn service(&self) -> &str {
        &self.name
    }
}

/// The clients of a service.
pub(crate) struct ClientSource {
    pub(crate) name: String,
    pub(crate) clients: Arc<Clients>,
}

impl Source for ClientSource {
    fn counters(&self) -> Vec<(Option<String>, Arc<Counters>)> {
        let all = self.clients.all().into_iter();
        all.map(|(client, counters)| (Some(client), counters))
            .collect()
    }

    fn service(&self) -> &str {
        &self.name
    }

    fn idle(&self, clients: &[String]) {
        self.clients.forget_idle(clients);
    }
}

/// Tells an observer now and then what has changed; until it is dropped.
pub(crate) struct Reporter(AbortHandle);

impl Reporter {
    pub(crate) fn start(
        observer: Arc<dyn Observer>,
        period: Duration,
        source: impl Source,
    ) -> Arc<Self> {
        let task = tokio::spawn(report(observer, period, source));
        Arc::new(Self(task.abort_handle()))
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A batch that the observer did not take is offered again before anything new.
fn report(
    observer: Arc<dyn Observer>,
    period: Duration,
    source: impl Source,
) -> impl Future<Output = ()> + Send {
    let period = period.max(SHORTEST);
    async move {
        let mut ticks = interval_at(Instant::now() + period, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = HashMap::new();
        let mut batch: Vec<Event> = Vec::new();
        let mut failing = false;
        loop {
            ticks.tick().await;
            if batch.is_empty() {
                batch = changes(&source, &mut told);
            }
            if batch.is_empty() {
                continue;
            }
            match observer.observe(&batch).await {
                Ok(()) => {
                    failing = false;
                    batch.clear();
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        let service = source.service();
                        tracing::warn!(service, "observer: {error}; trying again");
                    }
                }
            }
        }
    }
}

/// What has changed since it was told.
fn changes(source: &impl Source, told: &mut HashMap<Option<String>, Stats>) -> Vec<Event> {
    let service: Arc<str> = source.service().into();
    let mut events = Vec::new();
    let mut idle = Vec::new();
    for (client, counters) in source.counters() {
        let now = counters.now();
        let before = told.get(&client).copied().unwrap_or_default();
        let moved = counters.is_reset() && (now.input_bytes > 0 || now.output_bytes > 0);
        if now == before && !moved {
            if now.current_connections == 0 {
                idle.extend(client);
            }
            continue;
        }
        let stats = counters.take();
        let after = if counters.is_reset() {
            Stats {
                input_bytes: 0,
                output_bytes: 0,
                ..stats
            }
        } else {
            stats
        };
        told.insert(client.clone(), after);
        events.push(Event::Stats {
            service: service.clone(),
            client,
            stats,
        });
    }
    source.idle(&idle);
    events
}

#[cfg(test)]
mod tests {
    use gost_core::{
        error::{Error, Result, Why},
        meter::{Direction, Metering as _},
        policy::Answer,
    };
    use parking_lot::Mutex;

    use super::*;

    /// Clients with their bytes, of one batch.
    type Heard = Vec<(Option<String>, u64)>;

    /// Takes every batch but those that it is told not to.
    #[derive(Default)]
    struct Ears {
        refuse: Mutex<usize>,
        heard: Mutex<Vec<Heard>>,
    }

    impl Observer for Ears {
        fn observe<'a>(&'a self, events: &'a [Event]) -> Answer<'a, Result<()>> {
            let bytes = events.iter().filter_map(|event| match event {
                Event::Stats { client, stats, .. } => Some((client.clone(), stats.input_bytes)),
                Event::Status { .. } => None,
            });
            self.heard.lock().push(bytes.collect());
            let mut refuse = self.refuse.lock();
            if *refuse > 0 {
                *refuse -= 1;
                return Answer::Now(Err(Error::new(Why::Other, "no")));
            }
            Answer::Now(Ok(()))
        }
    }

    async fn heard(reset: bool) -> Vec<Heard> {
        let ears = Arc::new(Ears::default());
        let clients = Arc::new(Clients::new(reset));
        let source = ClientSource {
            name: "s".into(),
            clients: clients.clone(),
        };
        let _reporter = Reporter::start(ears.clone(), Duration::ZERO, source);
        let second = || tokio::time::sleep(Duration::from_millis(1001));
        second().await;
        clients.of("ann").count(Direction::In, 5);
        *ears.refuse.lock() = 1;
        second().await;
        clients.of("ann").count(Direction::In, 7);
        second().await;
        second().await;
        second().await;
        ears.heard.lock().clone()
    }

    #[tokio::test(start_paused = true)]
    async fn what_changed_is_told_and_what_failed_is_told_again() {
        let ann = |bytes| vec![(Some("ann".to_owned()), bytes)];
        assert_eq!(heard(false).await, [ann(5), ann(5), ann(12)]);
        assert_eq!(heard(true).await, [ann(5), ann(5), ann(7)]);
    }
}
