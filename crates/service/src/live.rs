//! The sessions of a service that are alive.

use std::net::IpAddr;

use gost_core::addr::Addr;
use parking_lot::Mutex;
use slab::Slab;
use tokio::{sync::Notify, task::AbortHandle};

use crate::connection::ip_of;

/// A handle to each live task, so that they can be ended from outside: no check on each read.
#[derive(Default)]
pub(crate) struct Live {
    tasks: Mutex<Slab<Task>>,
    empty: Notify,
}

/// A place among them.
struct Task {
    /// What ends it; nothing until it has been started.
    handle: Option<AbortHandle>,
    /// Whose it is, where that is an address.
    client: Option<IpAddr>,
    /// It is to be ended as soon as it has been started.
    is_cut: bool,
}

impl Live {
    /// Keeps a place for a client's task that is about to start.
    pub(crate) fn reserve(&self, client: &Addr) -> usize {
        self.tasks.lock().insert(Task {
            handle: None,
            client: ip_of(client),
            is_cut: false,
        })
    }

    /// Notes that the client is another one than who connected.
    pub(crate) fn is_of(&self, key: usize, client: &Addr) {
        if let Some(task) = self.tasks.lock().get_mut(key) {
            task.client = ip_of(client);
        }
    }

    /// Fills the place, unless the task has ended already.
    pub(crate) fn fill(&self, key: usize, handle: AbortHandle) {
        if let Some(task) = self.tasks.lock().get_mut(key)
            && !handle.is_finished()
        {
            if task.is_cut {
                handle.abort();
            }
            task.handle = Some(handle);
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
        self.cut(|_| true);
    }

    /// Ends the tasks of clients that are chosen by their address, and gives how many those are.
    pub(crate) fn abort_those(&self, is_chosen: impl Fn(IpAddr) -> bool) -> usize {
        self.cut(|task| task.client.is_some_and(&is_chosen))
    }

    fn cut(&self, is_chosen: impl Fn(&Task) -> bool) -> usize {
        let mut handles = Vec::new();
        let mut count = 0;
        for (_, task) in self.tasks.lock().iter_mut() {
            if !task.is_cut && is_chosen(task) {
                task.is_cut = true;
                handles.extend(task.handle.clone());
                count += 1;
            }
        }
        for handle in handles {
            handle.abort();
        }
        count
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
