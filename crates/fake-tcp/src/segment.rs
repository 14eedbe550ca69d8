//! TCP segments as bytes (RFC 9293).

use std::net::IpAddr;

use crate::numbers::Numbers;

/// Header without options.
pub(crate) const HEADER: usize = 20;

/// The number of TCP among the protocols over IP.
const TCP: u8 = 6;

pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const PSH: u8 = 8;
pub(crate) const ACK: u8 = 16;

/// The window that is announced. With the scale of the handshake it is as much as can be had:
/// firewalls that keep count of windows shall not find them full.
const WINDOW: u16 = 0xffff;

/// A segment that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) source: u16,
    pub(crate) destination: u16,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) flags: u8,
    /// Where the data begins.
    pub(crate) header: usize,
    /// How many bytes of data there are.
    pub(crate) len: usize,
}

impl Segment {
    /// Reads a segment; `None` when it is none.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let fixed: &[u8; HEADER] = bytes.first_chunk()?;
        let u16_at = |at: usize| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
        let u32_at = |at: usize| {
            u32::from_be_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]])
        };
        let header = usize::from(fixed[12] >> 4) * 4;
        if header < HEADER || header > bytes.len() {
            return None;
        }
        Some(Self {
            source: u16_at(0),
            destination: u16_at(2),
            seq: u32_at(4),
            ack: u32_at(8),
            flags: fixed[13],
            header,
            len: bytes.len() - header,
        })
    }

    pub(crate) const fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    /// The number behind the segment.
    pub(crate) fn end(&self) -> u32 {
        let counted = u32::from(self.has(SYN)) + u32::from(self.has(FIN));
        self.seq.wrapping_add(self.len as u32).wrapping_add(counted)
    }
}

/// The header of a segment with data. Ends are where it comes from and where it goes, an address
/// and a port each.
pub(crate) fn header(
    (from, source, to, destination): (IpAddr, u16, IpAddr, u16),
    numbers: &Numbers,
    data: &[u8],
) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[0..2].copy_from_slice(&source.to_be_bytes());
    header[2..4].copy_from_slice(&destination.to_be_bytes());
    header[4..8].copy_from_slice(&numbers.seq.to_be_bytes());
    header[8..12].copy_from_slice(&numbers.ack.to_be_bytes());
    header[12] = (HEADER as u8 / 4) << 4;
    header[13] = PSH | ACK;
    header[14..16].copy_from_slice(&WINDOW.to_be_bytes());
    let sum = checksum(from, to, &[&header, data]);
    header[16..18].copy_from_slice(&sum.to_be_bytes());
    header
}

/// Whether the checksum of a segment is that of its bytes.
pub(crate) fn is_intact(from: IpAddr, to: IpAddr, segment: &[u8]) -> bool {
    checksum(from, to, &[segment]) == 0
}

/// The checksum of a segment and the addresses around it. Only the last part may have an odd
/// length.
fn checksum(from: IpAddr, to: IpAddr, parts: &[&[u8]]) -> u16 {
    let len = parts.iter().map(|part| part.len() as u64).sum::<u64>();
    let mut sum = len + u64::from(TCP);
    for ip in [from, to] {
        sum += match ip {
            IpAddr::V4(ip) => words(&ip.octets()),
            IpAddr::V6(ip) => words(&ip.octets()),
        };
    }
    sum += parts.iter().map(|part| words(part)).sum::<u64>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// The sum of a text's words, which may be folded to 16 bits at any time.
fn words(bytes: &[u8]) -> u64 {
    let (pairs, rest) = bytes.as_chunks::<4>();
    let sum = pairs
        .iter()
        .map(|pair| u64::from(u32::from_be_bytes(*pair)))
        .sum::<u64>();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    sum + u64::from(u32::from_be_bytes(last))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_header_is_read_and_has_the_right_checksum() {
        let ends = ([10, 9, 0, 1].into(), 40_000, [10, 9, 0, 2].into(), 8443);
        let numbers = Numbers {
            seq: 0x0102_0304,
            ack: 0xf1f2_f3f4,
            known: true,
        };
        let header = header(ends, &numbers, b"abc");
        let wanted = [
            0x9c, 0x40, 0x20, 0xfb, 1, 2, 3, 4, 0xf1, 0xf2, 0xf3, 0xf4, 0x50, 0x18, 0xff, 0xff,
        ];
        assert_eq!(header[..16], wanted);
        // By hand: the one's complement of the sum of all words, with those of the addresses,
        // the protocol and the length before them.
        let sum: u32 = [
            0x0a09, 1, 0x0a09, 2, 6, 23, 0x9c40, 0x20fb, 0x0102, 0x0304, 0xf1f2, 0xf3f4, 0x5018,
            0xffff, 0x6162, 0x6300,
        ]
        .iter()
        .sum();
        let folded = (sum & 0xffff) + (sum >> 16);
        let folded = (folded & 0xffff) + (folded >> 16);
        assert_eq!(header[16..18], (!folded as u16).to_be_bytes());
        let whole = [&header[..], b"abc"].concat();
        let read = Segment::parse(&whole).unwrap();
        assert_eq!((read.source, read.destination), (40_000, 8443));
        assert_eq!((read.seq, read.ack), (0x0102_0304, 0xf1f2_f3f4));
        assert_eq!((read.header, read.len, read.end()), (20, 3, 0x0102_0307));
        assert!(read.has(PSH | ACK) && !read.has(SYN) && !read.has(RST));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Some(segment) = Segment::parse(&bytes) {
                prop_assert_eq!(segment.header + segment.len, bytes.len());
            }
        }

        #[test]
        fn a_change_of_any_bit_is_noticed(
            data in prop::collection::vec(any::<u8>(), 0..1500),
            bit in any::<prop::sample::Index>(),
        ) {
            let (from, to) = (Ipv6Addr::LOCALHOST.into(), Ipv6Addr::from(7).into());
            let mut whole = header((from, 1, to, 2), &Numbers::default(), &data).to_vec();
            whole.extend(data);
            prop_assert!(is_intact(from, to, &whole));
            let bit = bit.index(whole.len() * 8);
            whole[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!is_intact(from, to, &whole));
        }
    }
}
