//! What goes wrong with a plugin.

use std::{error::Error as StdError, time::Duration};

use gost_core::error::{Error, Why};
use thiserror::Error;

/// The longest part of what a plugin said that is repeated in an error.
const REPEATED: usize = 200;

/// Why a plugin has not answered.
#[derive(Debug, Error)]
pub(crate) enum PluginError {
    /// It can't be reached, or went away.
    #[error("{0}")]
    Transport(String),
    /// It was too slow.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// It answered with another status than 200.
    #[error("HTTP status {0}")]
    Status(u16),
    /// It answered over gRPC with an error.
    #[error("gRPC status {code}: {text}")]
    Grpc { code: i32, text: String },
    /// Its answer is too long.
    #[error("the answer has more than {0} bytes")]
    TooLong(usize),
    /// Its answer is not what it should be.
    #[error("the answer can't be understood: {0}")]
    NotUnderstood(String),
    /// It says that it has not done it.
    #[error("the plugin says no")]
    NotOk,
}

impl PluginError {
    /// An error of the connection, with all its causes.
    pub(crate) fn transport(error: &dyn StdError) -> Self {
        Self::Transport(with_causes(error))
    }

    /// The error in the words of those who asked.
    pub(crate) fn into_error(self, what: &str) -> Error {
        let why = match self {
            Self::Transport(_) => Why::Unreachable,
            Self::TimedOut(_) => Why::TimedOut,
            Self::TooLong(_) | Self::NotUnderstood(_) => Why::BadInput,
            Self::Status(_) | Self::Grpc { .. } | Self::NotOk => Why::Other,
        };
        Error::new(why, format!("{what}: {self}"))
    }
}

/// An error and its causes in one line; what a cause repeats is left out.
fn with_causes(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    printable(&text)
}

/// As much of a foreign text as fits into a line.
pub(crate) fn printable(text: &str) -> String {
    let short: String = text.chars().take(REPEATED).collect();
    short.escape_debug().to_string()
}
