//! Any bytes, cut anywhere.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gost_smux_fuzz::any_bytes(data));
