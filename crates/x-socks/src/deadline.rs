//! The deadline of a connector.

use std::time::Duration;

use gost_core::{
    error::{Error, Result, Side, Why},
    outbound::Ask,
};
use tokio::time::Instant;

/// How long a node may take when nobody said so. The node dials meanwhile, for which the original
/// allows 15 s.
const DEFAULT: Duration = Duration::from_secs(30);

/// Runs `work` until the deadline of the one who asks or for `timeout`, whichever ends first. A
/// timeout of zero is none.
pub(crate) async fn within<T>(
    ask: &Ask,
    timeout: Duration,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let own = (!timeout.is_zero()).then(|| Instant::now() + timeout);
    let asked = ask.deadline.map(Instant::from_std);
    let deadline = match (own, asked) {
        (Some(own), Some(asked)) => own.min(asked),
        (own, asked) => own.or(asked).unwrap_or_else(|| Instant::now() + DEFAULT),
    };
    tokio::time::timeout_at(deadline, work)
        .await
        .unwrap_or_else(|_| Err(Error::new(Why::TimedOut, "no answer in time").side(Side::Node)))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn waited(asked: Option<u64>, timeout: u64) -> u64 {
        let start = Instant::now();
        let ask = Ask {
            deadline: asked.map(|s| (start + Duration::from_secs(s)).into_std()),
            ..Ask::default()
        };
        let never = std::future::pending::<Result<()>>();
        let error = within(&ask, Duration::from_secs(timeout), never)
            .await
            .unwrap_err();
        assert_eq!((error.why(), error.at_side()), (Why::TimedOut, Side::Node));
        start.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_deadline_counts() {
        assert_eq!(waited(None, 0).await, 30);
        assert_eq!(waited(None, 3).await, 3);
        assert_eq!(waited(Some(5), 0).await, 5);
        assert_eq!(waited(Some(5), 3).await, 3);
        assert_eq!(waited(Some(2), 3).await, 2);
    }
}
