//! Any bytes at every decoder
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gost_x_socks_fuzz::any_bytes(bytes));
