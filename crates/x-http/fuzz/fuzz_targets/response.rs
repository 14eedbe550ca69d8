//! Any bytes as a response
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gost_x_http_fuzz::response(bytes));
