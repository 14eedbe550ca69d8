//! The lines that a process has written.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

/// Lines that are kept; older ones are forgotten.
const KEPT: usize = 20_000;
/// Lines that an error text shows.
const SHOWN: usize = 30;

#[derive(Default)]
pub(super) struct Output {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    lines: VecDeque<String>,
    /// Pipes that may still bring lines.
    open: usize,
}

impl Output {
    /// Reads `pipe` to its end in a thread of its own.
    pub(super) fn follow(self: &Arc<Self>, pipe: impl Read + Send + 'static) {
        self.state().open += 1;
        let output = Arc::clone(self);
        std::thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while matches!(pipe.read_until(b'\n', &mut line), Ok(1..)) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                line.clear();
                output.change(|state| {
                    state.lines.push_back(text);
                    if state.lines.len() > KEPT {
                        state.lines.pop_front();
                    }
                });
            }
            output.change(|state| state.open -= 1);
        });
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.state().lines.iter().cloned().collect()
    }

    /// The first line that contains `part`; nothing after `patience` or when
    /// all pipes have ended.
    pub(super) async fn find(&self, part: &str, patience: Duration) -> Option<String> {
        let search = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                // Registered before looking, or a line in between is missed.
                changed.as_mut().enable();
                {
                    let state = self.state();
                    let found = state.lines.iter().find(|line| line.contains(part));
                    if found.is_some() || state.open == 0 {
                        return found.cloned();
                    }
                }
                changed.await;
            }
        };
        timeout(patience, search).await.ok().flatten()
    }

    /// The last lines, for an error text.
    pub(super) fn tail(&self) -> String {
        let state = self.state();
        if state.lines.is_empty() {
            return "it said nothing".to_owned();
        }
        let skipped = state.lines.len().saturating_sub(SHOWN);
        let mut text = "it said:".to_owned();
        for line in state.lines.iter().skip(skipped) {
            text.push_str("\n  ");
            text.push_str(line);
        }
        text
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_waiters();
    }
}
