//! Bytes that look random, can be made again anywhere in the stream, and are
//! compared by digest.

use std::fmt;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

/// A small generator of pseudo-random numbers (`SplitMix64`), the same on every
/// machine for the same seed. Not for secrets.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator that starts from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// True with probability `p`, which is clamped to 0 ..= 1.
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// A number that is at least 0 and below 1.
    pub fn unit(&mut self) -> f64 {
        // 53 bits are what an f64 holds exactly.
        let bits = self.next_u64() >> 11;
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let unit = bits as f64 / (1_u64 << 53) as f64;
        unit
    }

    /// A number below `bound`; 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.next_u64()) * u128::from(bound);
        (wide >> 64) as u64
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Fills `into` with the bytes that stand at `offset` in the stream of `seed`.
///
/// Any way of cutting a stream into pieces gives the same bytes.
pub fn fill(seed: u64, offset: u64, into: &mut [u8]) {
    let mut word = u64::MAX;
    let mut bytes = [0; 8];
    for (position, byte) in (offset..).zip(into) {
        if position / 8 != word {
            word = position / 8;
            bytes = mix(seed ^ mix(word.wrapping_add(0x9e37_79b9_7f4a_7c15))).to_le_bytes();
        }
        *byte = bytes[(position % 8) as usize];
    }
}

/// The first `len` bytes of the stream of `seed`.
pub fn payload(seed: u64, len: usize) -> Bytes {
    let mut bytes = vec![0; len];
    fill(seed, 0, &mut bytes);
    bytes.into()
}

/// How many bytes went by and what they were (SHA-256).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest {
    /// Number of bytes.
    pub len: u64,
    sum: [u8; 32],
}

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut digester = Digester::default();
        digester.update(bytes);
        digester.finish()
    }

    /// The digest of [`payload`]`(seed, len)`, without holding it in memory.
    pub fn of_payload(seed: u64, len: u64) -> Self {
        let mut digester = Digester::default();
        let mut block = vec![0; 64 * 1024];
        while digester.len < len {
            let left = len - digester.len;
            let size = usize::try_from(left).map_or(block.len(), |left| left.min(block.len()));
            fill(seed, digester.len, &mut block[..size]);
            digester.update(&block[..size]);
        }
        digester.finish()
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes, sha256 ", self.len)?;
        self.sum[..6]
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Makes a [`Digest`] from pieces.
#[derive(Clone, Debug, Default)]
pub struct Digester {
    len: u64,
    state: Sha256,
}

impl Digester {
    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.len += bytes.len() as u64;
        self.state.update(bytes);
    }

    /// The digest of all bytes so far.
    pub fn finish(self) -> Digest {
        Digest {
            len: self.len,
            sum: self.state.finalize().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_cut_of_a_stream_gives_the_same_bytes() {
        let whole = payload(7, 1000);
        let mut pieces = vec![0; 1000];
        let mut at = 0;
        for size in [1, 2, 3, 5, 8, 13, 21, 947] {
            fill(7, at as u64, &mut pieces[at..at + size]);
            at += size;
        }
        assert_eq!(at, 1000);
        assert_eq!(whole, pieces);
        assert_ne!(whole, payload(8, 1000));
    }

    #[test]
    fn payload_does_not_repeat_itself() {
        let bytes = payload(1, 1 << 16);
        assert_ne!(bytes[..1 << 15], bytes[1 << 15..]);
        let mut seen = [0_u32; 256];
        bytes.iter().for_each(|byte| seen[usize::from(*byte)] += 1);
        assert!(
            seen.iter().all(|count| (150..370).contains(count)),
            "{seen:?}"
        );
    }

    #[test]
    fn digests_tell_length_and_content_apart() {
        assert_eq!(
            Digest::of_payload(3, 200_000),
            Digest::of(&payload(3, 200_000))
        );
        assert_ne!(
            Digest::of_payload(3, 200_000),
            Digest::of_payload(3, 199_999)
        );
        assert_ne!(Digest::of(b"a"), Digest::of(b"b"));
        // From FIPS 180-4's examples.
        assert_eq!(
            format!("{:?}", Digest::of(b"abc")),
            "3 bytes, sha256 ba7816bf8f01"
        );
    }

    #[test]
    fn the_generator_is_the_published_one_and_fair() {
        // First value of SplitMix64 for seed 1234567, from the reference code.
        assert_eq!(Random::new(1_234_567).next_u64(), 6_457_827_717_110_365_317);
        let mut random = Random::new(9);
        let hits = (0..10_000).filter(|_| random.chance(0.1)).count();
        assert!((900..1100).contains(&hits), "{hits}");
        assert!((0..1000).all(|_| random.below(10) < 10));
        assert_eq!(random.below(0), 0);
    }
}
