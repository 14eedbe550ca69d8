//! Makes the parity packets.

use super::{CODED, Code, HEADER, Mark};
use crate::crypt::LONGEST;

/// Numbers packets, and makes parity of them as they pass: the sums are all it keeps.
#[derive(Debug)]
pub struct Encoder {
    code: Code,
    next: u32,
    /// Packets of the group so far.
    passed: usize,
    /// The parity shards so far, as long as the longest of the group; none before the first group.
    sums: Vec<Box<[u8]>>,
    longest: usize,
}

impl Encoder {
    /// An encoder whose first packet has the number 0.
    pub fn new(code: Code) -> Self {
        Self {
            next: 0,
            passed: 0,
            sums: Vec::new(),
            longest: 0,
            code,
        }
    }

    /// Writes the header of a data packet into its first [`HEADER`] bytes.
    ///
    /// # Panics
    /// If the packet is shorter than that or longer than [`LONGEST`], or if a parity packet was
    /// not fetched.
    pub fn data(&mut self, packet: &mut [u8]) {
        assert!(self.passed < self.code.data() && (HEADER..=LONGEST).contains(&packet.len()));
        if self.sums.is_empty() {
            self.sums = vec![vec![0; LONGEST].into(); self.code.parity()];
        }
        let mark = Mark {
            number: self.next,
            parity: false,
        };
        mark.write(packet);
        let coded = &mut packet[CODED..];
        let length = coded.len() as u16;
        coded[..2].copy_from_slice(&length.to_le_bytes());
        self.code.add(self.passed, coded, &mut self.sums);
        self.longest = self.longest.max(coded.len());
        self.passed += 1;
        self.next += 1;
    }

    /// Writes the next parity packet, if one is due, and says how long it is; `room` must take as
    /// much as the longest data packet.
    pub fn parity(&mut self, room: &mut [u8]) -> Option<usize> {
        let index = self.passed.checked_sub(self.code.data())?;
        let mark = Mark {
            number: self.next,
            parity: true,
        };
        mark.write(room);
        let length = CODED + self.longest;
        let sum = &mut self.sums[index][..self.longest];
        room[CODED..length].copy_from_slice(sum);
        sum.fill(0);
        self.passed += 1;
        self.next = (self.next + 1) % self.code.wrap();
        if self.passed == self.code.total() {
            self.passed = 0;
            self.longest = 0;
        }
        Some(length)
    }

    /// True when a parity packet is due.
    pub fn has_parity(&self) -> bool {
        self.passed >= self.code.data()
    }
}
