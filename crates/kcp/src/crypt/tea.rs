//! TEA and XTEA, which are a few lines each. Only encryption: CFB needs no other direction.

const DELTA: u32 = 0x9e37_79b9;

fn words(block: [u8; 8]) -> (u32, u32) {
    let both = u64::from_be_bytes(block);
    ((both >> 32) as u32, both as u32)
}

fn bytes(v0: u32, v1: u32) -> [u8; 8] {
    (u64::from(v0) << 32 | u64::from(v1)).to_be_bytes()
}

fn key_words(key: &[u8; 32]) -> [u32; 4] {
    std::array::from_fn(|i| {
        u32::from_be_bytes([key[4 * i], key[4 * i + 1], key[4 * i + 2], key[4 * i + 3]])
    })
}

/// TEA with 8 cycles, which kcp-go calls 16 rounds.
pub(super) struct Tea([u32; 4]);

impl Tea {
    /// Uses the first half of the key.
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self(key_words(key))
    }

    pub(super) fn encrypt(&self, block: [u8; 8]) -> [u8; 8] {
        let (mut v0, mut v1) = words(block);
        let [k0, k1, k2, k3] = self.0;
        let mut sum = 0_u32;
        let mix = |v: u32, sum: u32, a: u32, b: u32| {
            (v << 4).wrapping_add(a) ^ v.wrapping_add(sum) ^ (v >> 5).wrapping_add(b)
        };
        for _ in 0..8 {
            sum = sum.wrapping_add(DELTA);
            v0 = v0.wrapping_add(mix(v1, sum, k0, k1));
            v1 = v1.wrapping_add(mix(v0, sum, k2, k3));
        }
        bytes(v0, v1)
    }
}

/// XTEA with 32 cycles.
pub(super) struct Xtea([(u32, u32); 32]);

impl Xtea {
    /// Uses the first half of the key.
    pub(super) fn new(key: &[u8; 32]) -> Self {
        let key = key_words(key);
        let mut sum = 0_u32;
        Self(std::array::from_fn(|_| {
            let even = sum.wrapping_add(key[(sum & 3) as usize]);
            sum = sum.wrapping_add(DELTA);
            (even, sum.wrapping_add(key[(sum >> 11 & 3) as usize]))
        }))
    }

    pub(super) fn encrypt(&self, block: [u8; 8]) -> [u8; 8] {
        let (mut v0, mut v1) = words(block);
        let mix = |v: u32| ((v << 4) ^ (v >> 5)).wrapping_add(v);
        for (even, odd) in self.0 {
            v0 = v0.wrapping_add(mix(v1) ^ even);
            v1 = v1.wrapping_add(mix(v0) ^ odd);
        }
        bytes(v0, v1)
    }
}
