//! Forward error correction: after so many data packets come parity packets, each of which can
//! stand in for any one that was lost.
//!
//! The code is the systematic Reed-Solomon code over GF(2^8) that `klauspost/reedsolomon` has by
//! default; the header is that of `fec.go` of kcp-go.

mod code;
mod decoder;
mod encoder;
mod tuning;

pub use code::Code;
pub use decoder::Decoder;
pub use encoder::Encoder;

/// The header: number, kind, and (part of what is coded) the length of the data.
pub const HEADER: usize = 8;

/// Where the coded part begins.
const CODED: usize = 6;

const DATA: u16 = 0xf1;
const PARITY: u16 = 0xf2;

/// What an error correction header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The number of the packet.
    pub number: u32,
    /// A parity packet.
    pub parity: bool,
}

impl Mark {
    /// Looks for a header at the start of a packet; `None` for one that begins with a segment.
    pub fn find(packet: &[u8]) -> Option<Self> {
        let (head, _) = packet.split_first_chunk::<HEADER>()?;
        Some(Self {
            number: u32::from_le_bytes([head[0], head[1], head[2], head[3]]),
            parity: match u16::from_le_bytes([head[4], head[5]]) {
                DATA => false,
                PARITY => true,
                _ => return None,
            },
        })
    }

    fn write(self, packet: &mut [u8]) {
        packet[..4].copy_from_slice(&self.number.to_le_bytes());
        let kind = if self.parity { PARITY } else { DATA };
        packet[4..CODED].copy_from_slice(&kind.to_le_bytes());
    }
}

#[cfg(test)]
mod tests;
