//! The header of a frame. Source: RFC 6455, section 5.2.

use std::ops::Deref;

use crate::Mask;

/// The longest header of a frame.
pub const MAX_HEADER: usize = 14;

/// The longest payload of a control frame.
pub const MAX_CONTROL: usize = 125;

pub(crate) const FIN: u8 = 0x80;
pub(crate) const MASKED: u8 = 0x80;
/// In place of a length: two bytes with the length follow.
pub(crate) const LENGTH_16: u8 = 126;
/// In place of a length: eight bytes with the length follow.
pub(crate) const LENGTH_64: u8 = 127;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// More of the message that was begun.
    Continuation,
    /// Begins a message that claims to be text.
    Text,
    /// Begins a message.
    Binary,
    /// Ends the connection.
    Close,
    /// Asks for a sign of life.
    Ping,
    /// Is one.
    Pong,
}

impl Opcode {
    /// The opcode of a number; `None` for the reserved ones.
    pub const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    /// The number of the opcode.
    pub const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }

    /// True for close, ping and pong, which are never fragmented and may come between fragments.
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// The header of a frame that is a whole message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the frame is.
    pub opcode: Opcode,
    /// The bytes of its payload.
    pub length: u64,
    /// The key that its payload is masked with; clients have one, servers do not.
    pub key: Option<[u8; 4]>,
}

/// A header as it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeaderBytes {
    bytes: [u8; MAX_HEADER],
    length: u8,
}

impl Header {
    /// The header of `length` bytes of data.
    pub const fn data(length: u64, key: Option<[u8; 4]>) -> Self {
        Self {
            opcode: Opcode::Binary,
            length,
            key,
        }
    }

    /// The header as it is sent, in the shortest form.
    pub fn encode(&self) -> HeaderBytes {
        let mut header = HeaderBytes::default();
        let masked = if self.key.is_some() { MASKED } else { 0 };
        header.push(&[FIN | self.opcode.bits()]);
        if self.length < LENGTH_16.into() {
            header.push(&[masked | self.length as u8]);
        } else if let Ok(length) = u16::try_from(self.length) {
            header.push(&[masked | LENGTH_16]);
            header.push(&length.to_be_bytes());
        } else {
            header.push(&[masked | LENGTH_64]);
            header.push(&self.length.to_be_bytes());
        }
        if let Some(key) = self.key {
            header.push(&key);
        }
        header
    }
}

impl HeaderBytes {
    fn push(&mut self, bytes: &[u8]) {
        let start = usize::from(self.length);
        self.bytes[start..start + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len() as u8;
    }
}

impl Deref for HeaderBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// Appends a control frame to `out`, with as much of the payload as one may have.
pub fn encode_control(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8], key: Option<[u8; 4]>) {
    let payload = &payload[..payload.len().min(MAX_CONTROL)];
    let header = Header {
        opcode,
        length: payload.len() as u64,
        key,
    };
    out.extend_from_slice(&header.encode());
    let start = out.len();
    out.extend_from_slice(payload);
    if let Some(key) = key {
        Mask::new(key).apply(&mut out[start..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_have_the_shortest_form() {
        for (length, expected) in [
            (0, "8200"),
            (125, "827d"),
            (126, "827e007e"),
            (65535, "827effff"),
            (65536, "827f0000000000010000"),
            (1 << 40, "827f0000010000000000"),
        ] {
            let plain = Header::data(length, None).encode();
            assert_eq!(hex::encode(&*plain), expected);
            let masked = Header::data(length, Some([1, 2, 3, 4])).encode();
            assert_eq!(masked.len(), plain.len() + 4);
            assert_eq!(
                (masked[1] ^ plain[1], &masked[plain.len()..]),
                (0x80, &[1, 2, 3, 4][..])
            );
        }
    }

    #[test]
    fn control_frames_never_exceed_what_one_may_carry() {
        let mut out = Vec::new();
        encode_control(&mut out, Opcode::Ping, &[7; 200], None);
        assert_eq!((out.len(), out[0], out[1]), (127, 0x89, 125));
        out.clear();
        encode_control(&mut out, Opcode::Pong, b"", Some([9; 4]));
        assert_eq!(out, [0x8a, 0x80, 9, 9, 9, 9]);
    }

    #[test]
    fn opcodes_and_numbers_are_one_to_one() {
        let known = (0..=255).filter_map(|bits| Some((bits, Opcode::from_bits(bits)?)));
        assert!(known.clone().all(|(bits, opcode)| opcode.bits() == bits));
        assert_eq!(known.filter(|(_, opcode)| opcode.is_control()).count(), 3);
    }
}
