//! The fuzz targets with inputs that are random and the same each time.

#[path = "../fuzz/src/lib.rs"]
#[allow(
    unreachable_pub,
    missing_docs,
    reason = "a library of its own elsewhere"
)]
mod checks;

use arbitrary::{Arbitrary, Unstructured};
use gost_testkit::payload::Random;

/// Random bytes, of up to `most`.
fn bytes(random: &mut Random, most: u64) -> Vec<u8> {
    let length = random.next_u64() % most;
    (0..length).map(|_| random.next_u64() as u8).collect()
}

#[test]
fn any_bytes() {
    let mut random = Random::new(1);
    for _ in 0..20_000 {
        checks::any_bytes(&bytes(&mut random, 300));
    }
}

/// Bytes that are frames more often than not.
#[test]
fn nearly_frames() {
    let mut random = Random::new(2);
    for _ in 0..20_000 {
        let version = random.next_u64() as u8 & 1;
        let mut input = vec![(random.next_u64() as u8) << 1 | version];
        for _ in 0..random.next_u64() % 20 {
            let data = bytes(&mut random, 40);
            let length = match random.next_u64() % 8 {
                0 => random.next_u64() as u16,
                _ => data.len() as u16,
            };
            let stream = (random.next_u64() % 6) as u32;
            input.extend([version + 1, (random.next_u64() % 6) as u8]);
            input.extend(length.to_le_bytes());
            input.extend(stream.to_le_bytes());
            input.extend(data);
        }
        checks::any_bytes(&input);
    }
}

#[test]
fn any_script() {
    let mut random = Random::new(3);
    for _ in 0..3000 {
        let bytes = bytes(&mut random, 1000);
        if let Ok(script) = checks::Script::arbitrary_take_rest(Unstructured::new(&bytes)) {
            checks::any_script(&script);
        }
    }
}
