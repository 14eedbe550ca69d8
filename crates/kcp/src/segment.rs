//! The header of a segment. All numbers are little-endian. Source: `ikcp_encode_seg` of KCP.

/// The length of the header.
pub const HEADER: usize = 24;

/// What a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Data.
    Push,
    /// Data with this number and time has arrived.
    Ack,
    /// What is your window?
    AskWindow,
    /// My window is this.
    TellWindow,
}

impl Command {
    const fn to_byte(self) -> u8 {
        match self {
            Self::Push => 81,
            Self::Ack => 82,
            Self::AskWindow => 83,
            Self::TellWindow => 84,
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            81 => Self::Push,
            82 => Self::Ack,
            83 => Self::AskWindow,
            84 => Self::TellWindow,
            _ => return None,
        })
    }
}

/// A segment without its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The conversation, a number that the client chooses.
    pub conversation: u32,
    /// What the segment is.
    pub command: Command,
    /// How many segments of the same message follow; 0 in a byte stream.
    pub fragment: u8,
    /// How many segments the sender could still receive.
    pub window: u16,
    /// The sender's clock in milliseconds; an acknowledgement repeats that of the data.
    pub time: u32,
    /// The number of the data, or of that which is acknowledged.
    pub number: u32,
    /// The number of the data that the sender waits for: all before has arrived.
    pub expected: u32,
    /// The length of the data behind the header.
    pub length: u32,
}

impl Header {
    /// Writes the header.
    pub fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..4].copy_from_slice(&self.conversation.to_le_bytes());
        bytes[4] = self.command.to_byte();
        bytes[5] = self.fragment;
        bytes[6..8].copy_from_slice(&self.window.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.time.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.expected.to_le_bytes());
        bytes[20..].copy_from_slice(&self.length.to_le_bytes());
        bytes
    }

    /// Takes a segment off the front: its header, its data, and the rest. `None` when there is no
    /// whole segment, or one of an unknown kind.
    pub fn split(bytes: &[u8]) -> Option<(Self, &[u8], &[u8])> {
        let (header, rest) = bytes.split_first_chunk::<HEADER>()?;
        let word = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let header = Self {
            conversation: word(0),
            command: Command::from_byte(header[4])?,
            fragment: header[5],
            window: u16::from_le_bytes([header[6], header[7]]),
            time: word(8),
            number: word(12),
            expected: word(16),
            length: word(20),
        };
        let (data, rest) = rest.split_at_checked(header.length as usize)?;
        Some((header, data, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_written_as_it_is_read() {
        let bytes =
            hex::decode("443322115100200007000000090000000800000003000000616263ff").unwrap();
        let (header, data, rest) = Header::split(&bytes).unwrap();
        let expected = Header {
            conversation: 0x1122_3344,
            command: Command::Push,
            fragment: 0,
            window: 32,
            time: 7,
            number: 9,
            expected: 8,
            length: 3,
        };
        assert_eq!((header, data, rest), (expected, &b"abc"[..], &[0xff][..]));
        assert_eq!(header.encode(), bytes[..HEADER]);
    }

    #[test]
    fn what_is_no_whole_segment_is_none() {
        let bytes = hex::decode("443322115100200007000000090000000800000003000000616263").unwrap();
        for length in 0..bytes.len() {
            assert_eq!(Header::split(&bytes[..length]), None, "{length}");
        }
        for command in [0, 80, 85, 255] {
            let mut bytes = bytes.clone();
            bytes[4] = command;
            assert_eq!(Header::split(&bytes), None);
        }
    }
}
