//! The sessions of a service that are alive.

use parking_lot::Mutex;
use slab::Slab;
use tokio::{sync::Notify, task::AbortHandle};

/// A handle to each live task, so that they can be ended from outside: no check on each read.
#[derive(Default)]
pub(crate) struct Live {
    tasks: Mutex<Slab<Option<AbortHandle>>>,
    empty: Notify,
}

impl Live {
    /// Keeps a place for a task that is about to start.
    pub(crate) fn reserve(&self) -> usize {
        self.tasks.lock().insert(None)
    }

    /// Fills the place, unless the task has ended already.
    pub(crate) fn fill(&self, key: usize, handle: AbortHandle) {
        if let Some(place) = self.tasks.lock().get_mut(key)
            && !handle.is_finished()
        {
            *place = Some(handle);
        }
    }

    /// Frees the place.
    pub(crate) fn remove(&self, key: usize) {
        let mut tasks = self.tasks.lock();
        tasks.try_remove(key);
        if tasks.is_empty() {
            self.empty.notify_waiters();
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.tasks.lock().len()
    }

    /// Ends all tasks.
    pub(crate) fn abort_all(&self) {
        let handles: Vec<_> = self
            .tasks
            .lock()
            .iter()
            .filter_map(|(_, handle)| handle.clone())
            .collect();
        for handle in handles {
            handle.abort();
        }
    }

    /// Waits until there is none.
    pub(crate) async fn drained(&self) {
        loop {
            let notified = self.empty.notified();
            if self.len() == 0 {
                return;
            }
            notified.await;
        }
    }
}
