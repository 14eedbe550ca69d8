//! Any bytes as a chunked body
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gost_x_http_fuzz::chunks(bytes));
