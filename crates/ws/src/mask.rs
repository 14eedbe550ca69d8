//! Masking: every byte of a client's payload is combined with a key of four bytes.

/// How many bytes are combined at once: a loop over so many becomes vector instructions.
const WIDE: usize = 64;

/// A masking key, and how far into it the payload is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mask {
    /// Turned so that its first byte belongs to the next byte of the payload.
    key: [u8; 4],
}

impl Mask {
    /// The mask at the start of a payload.
    pub const fn new(key: [u8; 4]) -> Self {
        Self { key }
    }

    /// Masks or unmasks the next bytes of the payload.
    pub fn apply(&mut self, bytes: &mut [u8]) {
        let wide = self.wide();
        for chunk in bytes.chunks_mut(WIDE) {
            for (byte, key) in chunk.iter_mut().zip(&wide) {
                *byte ^= key;
            }
        }
        self.advance(bytes.len());
    }

    /// Masks or unmasks the next bytes of the payload while copying them; as many as there are in
    /// the shorter of the two.
    pub fn apply_to(&mut self, from: &[u8], to: &mut [u8]) {
        let wide = self.wide();
        for (from, to) in from.chunks(WIDE).zip(to.chunks_mut(WIDE)) {
            for ((from, to), key) in from.iter().zip(to).zip(&wide) {
                *to = from ^ key;
            }
        }
        self.advance(from.len().min(to.len()));
    }

    /// Unmasks `length` bytes at `from`, and moves them to `to`, which is not behind `from`.
    pub(crate) fn move_down(&mut self, bytes: &mut [u8], from: usize, to: usize, length: usize) {
        debug_assert!(to <= from);
        if from == to {
            self.apply(&mut bytes[from..from + length]);
            return;
        }
        let wide = self.wide();
        let mut done = 0;
        // Each chunk is read before it is written, and never over what comes after it.
        while length - done >= WIDE {
            let mut chunk = [0; WIDE];
            chunk.copy_from_slice(&bytes[from + done..from + done + WIDE]);
            for (byte, key) in chunk.iter_mut().zip(&wide) {
                *byte ^= key;
            }
            bytes[to + done..to + done + WIDE].copy_from_slice(&chunk);
            done += WIDE;
        }
        for (i, key) in (done..length).zip(&wide) {
            bytes[to + i] = bytes[from + i] ^ key;
        }
        self.advance(length);
    }

    /// Goes on as if so many bytes of the payload had been masked.
    pub fn advance(&mut self, bytes: usize) {
        self.key.rotate_left(bytes % 4);
    }

    fn wide(self) -> [u8; WIDE] {
        let mut wide = [0; WIDE];
        for four in wide.chunks_exact_mut(4) {
            four.copy_from_slice(&self.key);
        }
        wide
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As the RFC words it: byte i with byte i mod 4 of the key.
    fn plain(key: [u8; 4], bytes: &[u8]) -> Vec<u8> {
        let keys = key.iter().cycle();
        bytes
            .iter()
            .zip(keys)
            .map(|(byte, key)| byte ^ key)
            .collect()
    }

    proptest! {
        #[test]
        fn any_cut_masks_alike(
            key: [u8; 4],
            bytes in prop::collection::vec(any::<u8>(), 0..700),
            at in any::<prop::sample::Index>(),
            gap in 0..200usize,
        ) {
            let at = at.index(bytes.len() + 1);
            let expected = plain(key, &bytes);

            let mut applied = bytes.clone();
            let mut mask = Mask::new(key);
            let (head, tail) = applied.split_at_mut(at);
            mask.apply(head);
            mask.apply(tail);
            prop_assert_eq!(&applied, &expected);

            let mut copied = vec![0; bytes.len()];
            let mut mask = Mask::new(key);
            mask.apply_to(&bytes[..at], &mut copied);
            mask.apply_to(&bytes[at..], &mut copied[at..]);
            prop_assert_eq!(&copied, &expected);

            let mut moved = vec![0; gap];
            moved.extend_from_slice(&bytes);
            let mut mask = Mask::new(key);
            mask.move_down(&mut moved, gap, 0, at);
            mask.move_down(&mut moved, gap + at, at, bytes.len() - at);
            prop_assert_eq!(&moved[..bytes.len()], &expected[..]);
        }
    }

    #[test]
    fn a_copy_takes_what_has_room() {
        let mut mask = Mask::new([1, 2, 3, 4]);
        let mut short = [0; 2];
        mask.apply_to(&[0; 9], &mut short);
        assert_eq!((short, mask), ([1, 2], Mask::new([3, 4, 1, 2])));
    }
}
