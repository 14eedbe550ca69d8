//! Deadlines of the parts of an attempt.

use std::time::{Duration, Instant};

use gost_core::outbound::Ask;

/// How much earlier than the whole a step further down must be done, at most.
const MARGIN: Duration = Duration::from_millis(100);

/// The clock that deadlines are kept by.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// What the way below is to know of the one who asks.
///
/// The rules about the client's target are not about the nodes on the way. The deadline is a
/// little earlier with each step down: when all of them wait for one who is silent, the one who
/// waits for it directly is to say so first.
pub(crate) fn below(ask: &Ask) -> Ask {
    let earlier = |deadline: Instant| {
        let margin = deadline.saturating_duration_since(now()) / 100;
        deadline.checked_sub(margin.min(MARGIN)).unwrap_or(deadline)
    };
    Ask {
        deadline: ask.deadline.map(earlier),
        bypass: None,
        host: None,
        ..ask.clone()
    }
}
