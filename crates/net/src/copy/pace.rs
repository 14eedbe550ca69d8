//! How soon a client is answered: what to expect of an end that can't be told that a direction is
//! over.
//!
//! Over smux and the like the end of one direction is the end of both. Most clients that end have
//! had their answer and are gone: waiting for more would keep the target's connection open for
//! nothing. Others have only said all that they had to say, and wait for the answer.

use std::time::Duration;

use tokio::time::Instant;

/// The longest wait: for an answer that has not begun.
pub(super) const LONGEST: Duration = Duration::from_secs(5);

/// The shortest wait. Otherwise an answer that pauses for as long as it took to begin is over: a
/// longer wait would be safer, but keeps the connection of the target open, and a target that
/// serves few at a time then serves fewer in a second.
const SHORTEST: Duration = Duration::from_millis(5);

/// The wait for a client's last words when the target has ended without an answer to the ones
/// before.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// What has moved, and when.
pub(super) struct Pace {
    /// When the client last said something.
    asked: Instant,
    /// How long after that the answer began.
    answer: Option<Duration>,
    input: u64,
    output: u64,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            asked: Instant::now(),
            answer: None,
            input: 0,
            output: 0,
        }
    }

    /// Notes how much has moved by now.
    pub(super) fn note(&mut self, input: u64, output: u64) {
        if self.input != input {
            self.input = input;
            self.asked = Instant::now();
            self.answer = None;
        }
        if self.output != output {
            self.output = output;
            self.answer.get_or_insert_with(|| self.asked.elapsed());
        }
    }

    /// How long to wait for the other direction once that of the client, or else of the target,
    /// has ended.
    pub(super) fn patience(&self, client_ended: bool) -> Duration {
        match self.answer {
            Some(answer) => answer.clamp(SHORTEST, LONGEST),
            None if client_ended => LONGEST,
            None => LAST_WORDS,
        }
    }
}
