//! What can go wrong with a session or with one stream.

use thiserror::Error;

use crate::frame::{Command, StreamId};

/// Why a session ended. It takes all of its streams with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SessionError {
    /// A frame began with another version than the one that is configured
    /// here, or the bytes are no smux at all.
    #[error("peer speaks smux version {got}, expected {expected}")]
    Version {
        /// The configured version.
        expected: u8,
        /// The first byte of the frame.
        got: u8,
    },
    /// A command that the protocol does not know, or UPD in version 1.
    #[error("invalid smux command {0}")]
    Command(u8),
    /// A control frame with a payload of the wrong length.
    #[error("smux {command} frame with a payload of {length} bytes")]
    Length {
        /// The command of the frame.
        command: Command,
        /// The length that its header says.
        length: u16,
    },
    /// The peer sent more on a stream than any window that it was given.
    #[error("peer overran the window of smux stream {0}")]
    WindowOverrun(StreamId),
    /// The peer takes nothing while it causes more and more control frames
    /// to be queued.
    #[error("peer does not read, too many smux control frames are waiting")]
    Stalled,
    /// Nothing arrived during a whole keep-alive timeout.
    #[error("smux keep-alive timed out")]
    KeepAlive,
    /// The connection below ended or failed.
    #[error("connection below the smux session was lost")]
    ConnectionLost,
    /// The session was closed on this side.
    #[error("smux session closed")]
    Closed,
}

/// Why no stream can be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OpenError {
    /// All stream ids of this side were used; a new session is needed.
    #[error("smux stream ids are used up")]
    Exhausted,
    /// The session has ended.
    #[error(transparent)]
    Session(#[from] SessionError),
}

/// Why a stream can not be read or written (now).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum StreamError {
    /// Nothing to read, or no room to write. An event follows when there is.
    #[error("smux stream would block")]
    Blocked,
    /// Writing: the peer has finished the stream and, as the protocol has it,
    /// closed it for both directions.
    #[error("smux stream was closed by the peer")]
    PeerFinished,
    /// Writing: the stream was finished on this side.
    #[error("smux stream is finished")]
    Finished,
    /// Writing: the peer claims to have read more than was sent.
    #[error("peer consumed more than was sent on the smux stream")]
    PeerConsumed,
    /// There is no such stream, or it was released.
    #[error("no such smux stream")]
    Unknown,
    /// The session has ended.
    #[error(transparent)]
    Session(#[from] SessionError),
}
