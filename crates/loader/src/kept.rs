//! A source and what is known of it.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    Content, LoadError,
    file::{self, Stamp},
    options::SHORTEST,
    source::Source,
};

/// How often a file is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// The longest wait after a failure.
const LONGEST: Duration = Duration::from_secs(30);

/// A source and what is known of it.
pub(crate) struct KeptSource {
    pub(crate) source: Arc<Source>,
    /// What it held when it was last read well.
    pub(crate) content: Option<Arc<Content>>,
    /// How often it is read; nothing for once.
    every: Option<Duration>,
    /// When something is to be done; never is nothing.
    pub(crate) next: Option<Instant>,
    /// When it is to be read whatever it looks like.
    due: Option<Instant>,
    /// The file when it was read, and when it was looked at.
    read: Option<Stamp>,
    seen: Option<Stamp>,
    /// It was read well, but nobody has said yet whether it can be used.
    is_fresh: bool,
    /// Failures in a row, and what was said of them.
    failures: u32,
    said: Option<String>,
}

impl KeptSource {
    pub(crate) fn new(source: Source, every: Option<Duration>) -> Self {
        Self {
            source: Arc::new(source),
            content: None,
            every,
            next: Some(Instant::now()),
            due: Some(Instant::now()),
            read: None,
            seen: None,
            is_fresh: false,
            failures: 0,
            said: None,
        }
    }

    /// Reads it when it is time. True when it holds something else than before.
    pub(crate) async fn refresh(&mut self) -> Result<bool, LoadError> {
        let now = Instant::now();
        if self.next.is_none_or(|next| next > now) {
            return Ok(false);
        }
        if let Source::File(file) = &*self.source {
            let stamp = file::stamp(file).await;
            // Whoever writes it should be done.
            let has_changed = stamp != self.read && stamp == self.seen;
            self.seen.clone_from(&stamp);
            if !has_changed && self.due.is_none_or(|due| due > now) {
                self.next = Some(now + LOOK);
                return Ok(false);
            }
            self.read = stamp;
        }
        let content = Arc::new(self.source.load().await?);
        self.is_fresh = true;
        self.due = self.every.map(|every| now + jittered(every));
        self.next = self.due;
        if self.source.is_file() {
            let look = now + LOOK;
            self.next = Some(self.next.map_or(look, |next| next.min(look)));
        }
        let is_new = self.content.as_ref() != Some(&content);
        if is_new {
            self.content = Some(content);
        }
        Ok(is_new)
    }

    /// Notes that it was not read, or held what can't be used: it is tried again soon. Gives the
    /// sentence for people unless it was said before.
    pub(crate) fn fail(&mut self, error: &LoadError) -> Option<String> {
        let wait = SHORTEST * (1 << self.failures.min(5));
        let wait = wait.min(LONGEST).min(self.every.unwrap_or(LONGEST));
        self.failures += 1;
        self.is_fresh = false;
        let now = Instant::now();
        self.due = Some(now + jittered(wait));
        self.next = if self.source.is_file() {
            Some(now + LOOK)
        } else {
            self.due
        };
        let state = match self.content {
            Some(_) => "what it said before counts",
            None => "nothing is known of it yet",
        };
        let text = format!("{}: {error}: {state}", self.source);
        if self.said.as_ref() == Some(&text) {
            return None;
        }
        self.said = Some(text.clone());
        Some(text)
    }

    /// Notes that it can be used, if it was read well. True when that is news.
    pub(crate) fn settle(&mut self) -> bool {
        if !std::mem::take(&mut self.is_fresh) {
            return false;
        }
        self.failures = 0;
        self.said.take().is_some()
    }
}

/// A little earlier, so that many daemons do not ask at once.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(1.0 - 0.1 * fastrand::f64())
}
