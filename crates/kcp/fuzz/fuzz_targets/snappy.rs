//! Arbitrary bytes as a compressed stream: no panic, and however they are cut the same outcome.

#![no_main]

use gost_kcp::snappy::{Compressor, Decompressor};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&first, bytes)) = data.split_first() else {
        return;
    };
    let mut stream = Compressor::start().to_vec();
    stream.extend_from_slice(bytes);
    let whole = feed(&stream, stream.len());
    assert_eq!(whole, feed(&stream, usize::from(first) + 1));
    let mut packed = Compressor::start().to_vec();
    Compressor::new().compress(bytes, &mut packed);
    assert_eq!(feed(&packed, 1000), (bytes.to_vec(), true));
});

fn feed(stream: &[u8], step: usize) -> (Vec<u8>, bool) {
    let (mut reader, mut data) = (Decompressor::new(), Vec::new());
    let good = stream
        .chunks(step)
        .all(|part| reader.decompress(part, &mut data).is_ok());
    (data, good)
}
