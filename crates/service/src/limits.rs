//! How much may pass: what counts and limits the bytes of a client's connection.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use gost_core::{
    conn::{Conn, Io},
    meter::{Allowance, Direction, Meter, Metering},
    policy::{LimitScope, TrafficLimiter},
    session::Record,
};

use crate::{service::Shared, serving::Serving};

/// How often those who wait for a quota look whether it still is one of theirs.
const LOOK: Duration = Duration::from_secs(1);

/// Waits while a quota of the service is used up.
pub(crate) async fn quotas(shared: &Shared) {
    loop {
        let serving = shared.serving.load_full();
        let quotas = &serving.policies.quotas;
        let Some(quota) = quotas.iter().find(|quota| quota.is_blocked()) else {
            return;
        };
        // What comes first matters little: all is asked again.
        let _ = tokio::time::timeout(LOOK, quota.changed()).await;
    }
}

/// What a client is under, known once it is known who the client is.
pub(crate) struct ClientLimit {
    limiter: Arc<dyn TrafficLimiter>,
    now: ArcSwapOption<Named>,
}

struct Named {
    client: String,
    meter: Meter,
}

impl ClientLimit {
    /// That of a service, if it has one.
    pub(crate) fn of(serving: &Serving) -> Option<Arc<Self>> {
        let limiter = serving.policies.traffic_limiter.clone()?;
        let now = ArcSwapOption::empty();
        Some(Arc::new(Self { limiter, now }))
    }

    /// Notes who the client is: the user, or else the host.
    pub(crate) fn set(&self, record: &Record) {
        let client = if record.user.is_empty() {
            record.client.host()
        } else {
            record.user.clone()
        };
        if self
            .now
            .load()
            .as_ref()
            .is_some_and(|now| now.client == client)
        {
            return;
        }
        let scope = LimitScope::Client {
            name: &client,
            target: record.target.as_ref(),
        };
        let meter = self.limiter.meter(scope, &record.asker());
        self.now.store(Some(Arc::new(Named { client, meter })));
    }

    /// The meter of the client as it is known.
    pub(crate) fn meter(&self) -> Meter {
        let now = self.now.load();
        now.as_ref()
            .map(|now| now.meter.of_one())
            .unwrap_or_default()
    }
}

impl Metering for ClientLimit {
    fn count(&self, direction: Direction, bytes: usize) {
        if let Some(now) = &*self.now.load() {
            now.meter.count(direction, bytes);
        }
    }

    fn allow(&self, direction: Direction, want: usize) -> Allowance {
        match &*self.now.load() {
            Some(now) => now.meter.allow(direction, want),
            None => Allowance::Bytes(want),
        }
    }
}

/// The connection under all that counts and limits its bytes.
pub(crate) fn limited(
    serving: &Serving,
    conn: Conn,
    record: &Record,
    client: Option<&Arc<ClientLimit>>,
) -> Conn {
    let policies = &serving.policies;
    let mut meter = Meter::default();
    // Flows of datagrams are limited at their socket alone, as in the original.
    if let (Some(limiter), Io::Stream(_)) = (&policies.conn_traffic, &conn.io) {
        let unknown = ([0, 0, 0, 0], 0).into();
        let addr = record.client.ip().unwrap_or(unknown);
        meter = limiter.meter(LimitScope::Conn(addr), &record.asker());
    }
    for quota in &policies.quotas {
        meter = meter.and(Meter::new(quota.clone()));
    }
    if let Some(client) = client {
        meter = meter.and(Meter::new(client.clone()));
    }
    gost_net::metered(conn, &meter)
}
