//! The eight bytes in front of every frame.
//!
//! | Offset | Size | Field |
//! |---|---|---|
//! | 0 | 1 | version |
//! | 1 | 1 | command |
//! | 2 | 2 | length of the payload, little endian |
//! | 4 | 4 | stream id, little endian |
//!
//! Only PSH (data) and UPD (8 bytes: consumed and window, both u32 little
//! endian) have a payload.

use std::fmt;

use crate::config::Version;
use crate::error::SessionError;

/// Length of a header in bytes.
pub const HEADER_LEN: usize = 8;

/// Length of the payload of a UPD frame in bytes.
pub const UPDATE_LEN: usize = 8;

/// The window that a version 2 sender assumes before the first UPD frame.
pub const INITIAL_WINDOW: u32 = 262_144;

/// The number of a stream within its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u32);

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// 0: opens a stream.
    Syn,
    /// 1: ends a stream; queued behind its data.
    Fin,
    /// 2: carries data.
    Psh,
    /// 3: keeps the session alive; has no stream (id 0).
    Nop,
    /// 4: announces what was read and the window; version 2 only.
    Upd,
}

/// A decoded header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What the frame is for.
    pub command: Command,
    /// Length of the payload that follows, in bytes.
    pub length: u16,
    /// The stream, 0 for NOP.
    pub stream: StreamId,
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Command {
    /// The byte on the wire.
    pub const fn code(self) -> u8 {
        match self {
            Self::Syn => 0,
            Self::Fin => 1,
            Self::Psh => 2,
            Self::Nop => 3,
            Self::Upd => 4,
        }
    }

    fn decode(code: u8, version: Version) -> Result<Self, SessionError> {
        match (code, version) {
            (0, _) => Ok(Self::Syn),
            (1, _) => Ok(Self::Fin),
            (2, _) => Ok(Self::Psh),
            (3, _) => Ok(Self::Nop),
            (4, Version::V2) => Ok(Self::Upd),
            _ => Err(SessionError::Command(code)),
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syn => "SYN",
            Self::Fin => "FIN",
            Self::Psh => "PSH",
            Self::Nop => "NOP",
            Self::Upd => "UPD",
        })
    }
}

impl Header {
    /// The header's bytes.
    pub fn encode(self, version: Version) -> [u8; HEADER_LEN] {
        let [l0, l1] = self.length.to_le_bytes();
        let [s0, s1, s2, s3] = self.stream.0.to_le_bytes();
        let command = self.command.code();
        [version.number(), command, l0, l1, s0, s1, s2, s3]
    }

    /// Reads a header of the configured `version`.
    ///
    /// Refused are other versions, unknown commands, and control frames whose
    /// length is not the one that the protocol gives them. (Older releases of
    /// the Go library take these for the next header, newer ones refuse them.)
    pub fn decode(bytes: [u8; HEADER_LEN], version: Version) -> Result<Self, SessionError> {
        let [first, command, l0, l1, s0, s1, s2, s3] = bytes;
        check_version(first, version)?;
        let command = Command::decode(command, version)?;
        let length = u16::from_le_bytes([l0, l1]);
        let fits = match command {
            Command::Psh => true,
            Command::Upd => usize::from(length) == UPDATE_LEN,
            Command::Syn | Command::Fin | Command::Nop => length == 0,
        };
        if !fits {
            return Err(SessionError::Length { command, length });
        }
        Ok(Self {
            command,
            length,
            stream: StreamId(u32::from_le_bytes([s0, s1, s2, s3])),
        })
    }
}

/// Compares the first byte of a frame with the configured version.
pub(crate) fn check_version(first: u8, version: Version) -> Result<(), SessionError> {
    let expected = version.number();
    if first == expected {
        Ok(())
    } else {
        Err(SessionError::Version {
            expected,
            got: first,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(command: Command, length: u16, stream: u32) -> Header {
        Header {
            command,
            length,
            stream: StreamId(stream),
        }
    }

    #[test]
    fn headers_byte_for_byte() {
        let table = [
            (Version::V1, header(Command::Syn, 0, 3), "0100000003000000"),
            (Version::V1, header(Command::Psh, 5, 3), "0102050003000000"),
            (Version::V1, header(Command::Fin, 0, 3), "0101000003000000"),
            (Version::V1, header(Command::Nop, 0, 0), "0103000000000000"),
            (Version::V2, header(Command::Syn, 0, 3), "0200000003000000"),
            (Version::V2, header(Command::Upd, 8, 3), "0204080003000000"),
            (
                Version::V2,
                header(Command::Psh, 0x1234, 0x89ab_cdef),
                "02023412efcdab89",
            ),
        ];
        for (version, header, bytes) in table {
            assert_eq!(hex::encode(header.encode(version)), bytes);
            assert_eq!(
                Header::decode(header.encode(version), version),
                Ok(header),
                "{bytes}"
            );
        }
    }

    #[test]
    fn what_is_refused() {
        let refused = |version, bytes: [u8; 8]| Header::decode(bytes, version).unwrap_err();
        let expected = |expected, got| SessionError::Version { expected, got };
        assert_eq!(
            refused(Version::V1, [2, 0, 0, 0, 3, 0, 0, 0]),
            expected(1, 2)
        );
        assert_eq!(
            refused(Version::V2, [1, 0, 0, 0, 3, 0, 0, 0]),
            expected(2, 1)
        );
        assert_eq!(
            refused(Version::V1, [1, 4, 8, 0, 3, 0, 0, 0]),
            SessionError::Command(4)
        );
        assert_eq!(
            refused(Version::V2, [2, 5, 0, 0, 3, 0, 0, 0]),
            SessionError::Command(5)
        );
        for (code, command) in [(0, Command::Syn), (1, Command::Fin), (3, Command::Nop)] {
            let length = 1;
            assert_eq!(
                refused(Version::V1, [1, code, 1, 0, 3, 0, 0, 0]),
                SessionError::Length { command, length }
            );
        }
        for length in [0, 7, 9, 0xffff_u16] {
            let [l0, l1] = length.to_le_bytes();
            let command = Command::Upd;
            assert_eq!(
                refused(Version::V2, [2, 4, l0, l1, 3, 0, 0, 0]),
                SessionError::Length { command, length }
            );
        }
    }
}
