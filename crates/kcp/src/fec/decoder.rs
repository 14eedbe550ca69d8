//! Finds what was lost.

use std::collections::VecDeque;

use super::{CODED, Code, HEADER, Mark, tuning::Tuning};
use crate::crypt::LONGEST;

/// So many groups are open at once: packets overtake each other by less.
const GROUPS: usize = 4;

/// Recovers lost data packets from the other packets of their groups, whatever numbers of shards
/// the peer uses. It keeps sums, not packets.
#[derive(Debug, Default)]
pub struct Decoder {
    code: Option<Code>,
    /// The peer uses another code than ours, if any.
    unfit: bool,
    /// The peer was seen to use our code. Until then nothing is recovered: what a wrong code makes
    /// of segments looks like a segment, because it keeps what all of them have in common.
    proven: bool,
    /// What came of the group before this number has shown how many data shards there are, and
    /// that there is as much parity as we think or more. Data with this number shows that it is
    /// not more.
    proof: Option<u32>,
    tuning: Tuning,
    /// Groups by age of their numbers.
    groups: VecDeque<Group>,
    /// Sums to be used again.
    spare: Vec<Box<[u8]>>,
    recovered: Box<[u8]>,
}

#[derive(Debug)]
struct Group {
    /// The number of its first packet.
    first: u32,
    seen: [u64; 4],
    data: usize,
    parity: usize,
    /// For each parity shard the sum of what came of it: the shard itself and the data in it.
    sums: Vec<Box<[u8]>>,
    longest: usize,
}

impl Group {
    fn sees(&self, shard: usize) -> bool {
        self.seen[shard / 64] >> (shard % 64) & 1 == 1
    }

    /// Whether data and the last parity belong together by the code, when all of that is there.
    /// Other parity would not do: its sums are the same in codes with more or less parity.
    fn proves(&self, code: &Code) -> Option<bool> {
        let there = self.data == code.data() && self.sees(code.total() - 1);
        let sum = self.sums.last().filter(|_| there)?;
        Some(sum[..self.longest].iter().all(|byte| *byte == 0))
    }
}

impl Decoder {
    /// A decoder that expects a code, or none.
    pub fn new(code: Option<Code>) -> Self {
        Self {
            code,
            ..Self::default()
        }
    }

    /// The code that is expected by now.
    pub const fn code(&self) -> Option<&Code> {
        self.code.as_ref()
    }

    /// Takes a packet of either kind, header included, and hands over the data of those that can
    /// be recovered with it. The data of the packet itself is for the caller to take.
    pub fn receive(&mut self, packet: &[u8], mut recovered: impl FnMut(&[u8])) {
        let Some(mark) = Mark::find(packet) else {
            return;
        };
        let coded = &packet[CODED..];
        if coded.len() > LONGEST || !self.fits(mark) {
            return;
        }
        let Some(code) = &self.code else { return };
        let shard = (mark.number % code.total() as u32) as usize;
        let first = mark.number - shard as u32;
        let Some(at) = place(&mut self.groups, &mut self.spare, code, first) else {
            return;
        };
        self.proven |= shard == 0 && self.proof == Some(first);
        let group = &mut self.groups[at];
        // Whole groups have given their sums away.
        if group.sees(shard) || group.sums.is_empty() {
            return;
        }
        group.seen[shard / 64] |= 1 << (shard % 64);
        group.longest = group.longest.max(coded.len());
        if let Some(parity) = shard.checked_sub(code.data()) {
            gost_gf256::mul_add(&mut group.sums[parity], coded, 1);
            group.parity += 1;
        } else {
            code.add(shard, coded, &mut group.sums);
            group.data += 1;
        }
        if group.data + group.parity < code.data() {
            return;
        }
        if !self.proven {
            match group.proves(code) {
                Some(true) => {
                    let next = first + code.total() as u32;
                    let next = if next < code.wrap() { next } else { 0 };
                    self.proof = Some(next);
                    let next = self.groups.iter().find(|group| group.first == next);
                    self.proven = next.is_some_and(|group| group.sees(0));
                }
                Some(false) => self.unfit = true,
                None => {}
            }
            return;
        }
        if group.data < code.data() {
            if self.recovered.is_empty() {
                self.recovered = vec![0; LONGEST].into();
            }
            recover(code, group, &mut self.recovered, &mut recovered);
        }
        self.spare.append(&mut group.sums);
        self.spare.truncate(GROUPS * code.parity());
    }

    /// True when the packet is of a kind that the code has at its number; learns the code.
    fn fits(&mut self, mark: Mark) -> bool {
        self.tuning.sample(mark);
        let fits = self.code.as_ref().is_some_and(|code| {
            let shard = (mark.number % code.total() as u32) as usize;
            mark.number < code.wrap() && mark.parity == (shard >= code.data())
        });
        self.unfit |= !fits;
        if !self.unfit {
            return true;
        }
        let Some((data, parity)) = self.tuning.found() else {
            return false;
        };
        let ours = self.code.as_ref().map(|c| (c.data(), c.parity()));
        if ours != Some((data, parity)) {
            self.code = Code::new(data, parity);
            self.proof = None;
            self.groups.clear();
            self.spare.clear();
        }
        self.unfit = false;
        self.proven = true;
        false
    }
}

/// The place of a group among the others; `None` for one that is too old.
fn place(
    groups: &mut VecDeque<Group>,
    spare: &mut Vec<Box<[u8]>>,
    code: &Code,
    first: u32,
) -> Option<usize> {
    let age = |group: &Group| first.wrapping_sub(group.first).cast_signed();
    let at = groups.iter().rposition(|group| age(group) >= 0);
    if let Some(at) = at
        && groups[at].first == first
    {
        return Some(at);
    }
    if groups.len() == GROUPS {
        // The oldest makes room, unless it is younger than the new one.
        at?;
        if let Some(mut old) = groups.pop_front() {
            spare.append(&mut old.sums);
        }
    }
    let at = groups.iter().rposition(|group| age(group) >= 0);
    let at = at.map_or(0, |at| at + 1);
    let sums = (0..code.parity()).map(|_| match spare.pop() {
        Some(mut sum) => {
            sum.fill(0);
            sum
        }
        None => vec![0; LONGEST].into(),
    });
    let group = Group {
        first,
        seen: [0; 4],
        data: 0,
        parity: 0,
        sums: sums.collect(),
        longest: HEADER - CODED,
    };
    groups.insert(at, group);
    Some(at)
}

fn recover(code: &Code, group: &Group, room: &mut [u8], recovered: &mut impl FnMut(&[u8])) {
    let lost: Vec<usize> = (0..code.data()).filter(|s| !group.sees(*s)).collect();
    let parity = (0..code.parity()).filter(|p| group.sees(code.data() + p));
    let parity: Vec<usize> = parity.take(lost.len()).collect();
    // Any square part of the matrix can be inverted; if not, there is nothing to recover.
    let Some(solution) = code.solve(&lost, &parity) else {
        return;
    };
    let room = &mut room[..group.longest];
    for row in solution {
        room.fill(0);
        for (factor, parity) in row.iter().zip(&parity) {
            gost_gf256::mul_add(room, &group.sums[*parity], *factor);
        }
        let length = usize::from(u16::from_le_bytes([room[0], room[1]]));
        // Otherwise the packets did not belong together.
        if let Some(data) = room.get(2..length) {
            recovered(data);
        }
    }
}
