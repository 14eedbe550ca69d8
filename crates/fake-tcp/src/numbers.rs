//! The sequence numbers of a conversation.

use crate::segment::{ACK, Segment};

/// How far our number may run ahead of what the peer has acknowledged. A peer that lost a segment
/// may acknowledge what was before it for ever; firewalls that keep count of windows let pass what
/// is within one.
const AHEAD: u32 = 1 << 20;

/// What the next segment says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    /// The peer has been heard, so the others mean something.
    pub(crate) known: bool,
}

impl Numbers {
    /// Learns from a segment of the peer's.
    pub(crate) fn heard(&mut self, segment: &Segment) {
        if !segment.has(ACK) {
            return;
        }
        // A segment that never came counts as received, and one that comes late changes nothing.
        if !self.known || is_after(segment.end(), self.ack) {
            self.ack = segment.end();
        }
        let ahead = self.seq.wrapping_sub(segment.ack);
        if !self.known || ahead > AHEAD {
            self.seq = segment.ack;
        }
        self.known = true;
    }

    /// A segment with so much data was sent.
    pub(crate) fn sent(&mut self, len: usize) {
        self.seq = self.seq.wrapping_add(len as u32);
    }
}

/// Whether `a` is the later of two numbers.
const fn is_after(a: u32, b: u32) -> bool {
    b.wrapping_sub(a) > 1 << 31
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::{PSH, SYN};

    fn segment(flags: u8, seq: u32, ack: u32, len: usize) -> Segment {
        Segment {
            source: 1,
            destination: 2,
            seq,
            ack,
            flags,
            header: 20,
            len,
        }
    }

    #[test]
    fn they_go_on_from_the_handshake_and_over_the_end_of_the_numbers() {
        let mut numbers = Numbers::default();
        numbers.heard(&segment(SYN, 5, 0, 0));
        assert!(!numbers.known);
        numbers.heard(&segment(SYN | ACK, u32::MAX - 10, 100, 0));
        assert_eq!((numbers.seq, numbers.ack), (100, u32::MAX - 9));
        numbers.sent(50);
        numbers.heard(&segment(PSH | ACK, u32::MAX - 9, 100, 20));
        assert_eq!((numbers.seq, numbers.ack), (150, 10));
    }

    #[test]
    fn what_is_missing_or_late_does_not_hold_them_up() {
        let mut numbers = Numbers::default();
        numbers.heard(&segment(SYN | ACK, 0, 1, 0));
        numbers.heard(&segment(PSH | ACK, 1001, 1, 1000));
        assert_eq!(numbers.ack, 2001);
        numbers.heard(&segment(PSH | ACK, 1, 1, 1000));
        assert_eq!(numbers.ack, 2001);
    }

    #[test]
    fn a_peer_that_has_lost_one_is_not_left_behind() {
        let mut numbers = Numbers::default();
        numbers.heard(&segment(SYN | ACK, 0, 1, 0));
        numbers.sent(AHEAD as usize);
        numbers.heard(&segment(ACK, 1, 1, 0));
        assert_eq!(numbers.seq, AHEAD + 1);
        numbers.sent(1);
        numbers.heard(&segment(ACK, 1, 1, 0));
        assert_eq!(numbers.seq, 1);
        // One that has more than was sent had it from before we came back.
        numbers.heard(&segment(ACK, 1, 5000, 0));
        assert_eq!(numbers.seq, 5000);
    }
}
