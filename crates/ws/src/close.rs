//! What a close frame says. Source: RFC 6455, sections 5.5.1 and 7.4.

use crate::{Violation, frame::MAX_CONTROL};

/// The longest reason that a close frame has room for, in bytes.
pub const MAX_REASON: usize = MAX_CONTROL - 2;

/// What a close frame says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Close {
    /// Why; a frame without payload names no code.
    pub code: Option<u16>,
    /// The same in words.
    pub reason: String,
}

impl Close {
    /// It has done what it was for.
    pub const NORMAL: u16 = 1000;
    /// The end goes away: a server that stops, a page that is left.
    pub const GOING_AWAY: u16 = 1001;
    /// The protocol was violated.
    pub const PROTOCOL: u16 = 1002;
    /// Text that is not UTF-8.
    pub const NOT_UTF8: u16 = 1007;

    /// A close frame that says why.
    pub fn new(code: u16, reason: impl Into<String>) -> Self {
        Self {
            code: Some(code),
            reason: reason.into(),
        }
    }

    /// True when the connection had done what it was for.
    pub fn is_orderly(&self) -> bool {
        matches!(self.code, None | Some(Self::NORMAL | Self::GOING_AWAY))
    }

    /// Reads the payload of a close frame.
    pub fn parse(payload: &[u8]) -> Result<Self, Violation> {
        let (code, reason) = match payload {
            [] => return Ok(Self::default()),
            [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
            [_] => return Err(Violation::ShortClose),
        };
        if !may_be_received(code) {
            return Err(Violation::CloseCode(code));
        }
        let reason = std::str::from_utf8(reason).map_err(|_| Violation::CloseReason)?;
        Ok(Self::new(code, reason))
    }

    /// The payload of a close frame; a reason that is too long is cut.
    pub fn encode(&self) -> Vec<u8> {
        let Some(code) = self.code else {
            return Vec::new();
        };
        let mut payload = code.to_be_bytes().to_vec();
        let mut end = self.reason.len().min(MAX_REASON);
        while !self.reason.is_char_boundary(end) {
            end -= 1;
        }
        payload.extend_from_slice(&self.reason.as_bytes()[..end]);
        payload
    }
}

/// The codes that a peer may send: those that are registered for the wire, and those that are
/// left to libraries and applications.
const fn may_be_received(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_reasons() {
        for (payload, expected) in [
            (&b""[..], Ok(Close::default())),
            (b"\x03\xe8", Ok(Close::new(1000, ""))),
            (b"\x03\xe9bye", Ok(Close::new(1001, "bye"))),
            (b"\x0b\xb8", Ok(Close::new(3000, ""))),
            (b"\x13\x87", Ok(Close::new(4999, ""))),
            (b"\x03", Err(Violation::ShortClose)),
            (b"\x00\x00", Err(Violation::CloseCode(0))),
            (b"\x03\xe7", Err(Violation::CloseCode(999))),
            (b"\x03\xec", Err(Violation::CloseCode(1004))),
            (b"\x03\xed", Err(Violation::CloseCode(1005))),
            (b"\x03\xee", Err(Violation::CloseCode(1006))),
            (b"\x03\xf7", Err(Violation::CloseCode(1015))),
            (b"\x07\xd0", Err(Violation::CloseCode(2000))),
            (b"\x13\x88", Err(Violation::CloseCode(5000))),
            (b"\x03\xe8\xff", Err(Violation::CloseReason)),
        ] {
            assert_eq!(Close::parse(payload), expected);
            if let Ok(close) = expected {
                assert_eq!(close.encode(), payload);
            }
        }
    }

    #[test]
    fn a_long_reason_is_cut_between_letters() {
        let payload = Close::new(1000, "ä".repeat(100)).encode();
        assert_eq!(payload.len(), 2 + 122);
        assert!(Close::parse(&payload).is_ok());
    }
}
