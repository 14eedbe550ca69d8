//! The lines of a session: one when it opens something, one when it ends.

use gost_core::{
    addr::Addr,
    error::{Error, Phase, Side, Why},
    session::Record,
};
use gost_net::copy::Outcome;

/// Something was opened for a client.
pub(crate) fn opened(record: &Record) {
    tracing::info!(
        service = %record.service,
        sid = %record.id,
        client = %record.client,
        user = record.user,
        route = record.route.as_deref().unwrap_or_default(),
        "{} <> {}",
        record.client,
        Shown(record),
    );
}

/// A session has ended in order, or nearly.
pub(crate) fn ended(record: &Record, outcome: &Outcome) {
    let duration = record.start.elapsed();
    let error = outcome
        .error
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    tracing::info!(
        service = %record.service,
        sid = %record.id,
        client = %record.client,
        user = record.user,
        duration = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX),
        inputBytes = outcome.input,
        outputBytes = outcome.output,
        error,
        "{} >-< {}",
        record.client,
        Shown(record),
    );
}

/// A connection ended before its channel was made. Who only went away, as those do who look whether
/// a port is open, needs no attention.
pub(crate) fn no_handshake(service: &str, client: &Addr, error: &Error) {
    if matches!(error.why(), Why::Closed | Why::Reset) {
        tracing::debug!(service, %client, phase = "handshake", "{error}");
    } else {
        tracing::warn!(service, %client, phase = "handshake", "{error}");
    }
}

/// A session ended before anything was relayed.
pub(crate) fn failed(record: &Record, error: &Error) {
    if error.is_quiet() {
        tracing::debug!(service = %record.service, sid = %record.id, client = %record.client, "{error}");
        return;
    }
    tracing::warn!(
        service = %record.service,
        sid = %record.id,
        client = %record.client,
        user = record.user,
        target = %Shown(record),
        node = error.node().map(|node| &**node).unwrap_or_default(),
        phase = phase(error.at_phase()),
        side = side(error.at_side()),
        "{error}",
    );
}

const fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Resolve => "resolve",
        Phase::Route => "route",
        Phase::Dial => "dial",
        Phase::Handshake => "handshake",
        Phase::Request => "request",
        Phase::Bind => "bind",
        Phase::Relay => "relay",
    }
}

const fn side(side: Side) -> &'static str {
    match side {
        Side::Client => "client",
        Side::Node => "node",
        Side::Target => "target",
        Side::Us => "local",
    }
}

struct Shown<'a>(&'a Record);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0.target {
            Some(target) => target.addr.fmt(f),
            None => f.write_str("-"),
        }
    }
}
