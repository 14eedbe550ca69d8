//! What goes wrong with names and messages.

use gost_core::error::{Error, Phase, Why};

/// A name that can't be asked for, or an answer that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DnsError {
    /// The address of a server can't be read.
    #[error("not the address of a name server: {1}")]
    Server(String, &'static str),
    /// A host has a name that DNS can't have.
    #[error("{0:?} can't be a name in DNS")]
    Name(String),
    /// The server says that it can't or won't answer.
    #[error("the server answers {0}")]
    Code(&'static str),
    /// An answer that does not belong to the question.
    #[error("the answer is not to the question: {0}")]
    Forged(&'static str),
    /// Something that is no message.
    #[error("the answer can't be read: {0}")]
    Malformed(String),
    /// More than a message can have.
    #[error("the answer is longer than 65535 bytes")]
    TooLong,
    /// The HTTP server does not answer with a message.
    #[error("the server answers with status {0}")]
    Status(u16),
}

impl From<DnsError> for Error {
    fn from(error: DnsError) -> Self {
        let why = match error {
            DnsError::Server(..) => Why::BadInput,
            _ => Why::Unresolved,
        };
        Self::new(why, "").caused_by(error).phase(Phase::Resolve)
    }
}
