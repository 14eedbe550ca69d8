//! Any text as a rule, and as the arguments of one.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| gost_chain_fuzz::any_text(text));
