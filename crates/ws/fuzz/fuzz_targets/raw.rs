//! Any bytes at the decoder, cut anywhere
#![no_main]

libfuzzer_sys::fuzz_target!(|input: (usize, &[u8])| gost_ws_fuzz::any_bytes(input.1, input.0));
