//! Who may stay: the admissions of a service count for those who are connected, too.

use std::{sync::Arc, time::Duration};

use crate::service::Shared;

/// How soon it is noticed that a list of an admission is another one.
const LOOK: Duration = Duration::from_secs(1);

/// Ends the connections of those whom the admissions of the service do not admit any more, once
/// there are others, or their rules have changed.
pub(crate) async fn watch(shared: Arc<Shared>) {
    let mut before = Vec::new();
    loop {
        let serving = shared.serving.load_full();
        let admissions = &serving.policies.admissions;
        let versions: Vec<_> = admissions.iter().map(|one| one.version()).collect();
        if versions != before {
            let is_out = |client| !admissions.iter().all(|one| one.lets_stay(client));
            let count = shared.live.abort_those(is_out);
            if count > 0 {
                tracing::info!(service = %shared.name, count, "cut off who is no longer admitted");
            }
            before = versions;
        }
        let waits = !admissions.is_empty();
        drop(serving);
        tokio::select! {
            () = tokio::time::sleep(LOOK), if waits => {}
            () = shared.changed.notified() => {}
        }
    }
}
