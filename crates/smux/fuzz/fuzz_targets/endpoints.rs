//! Two ends that do what the fuzzer says.
#![no_main]

libfuzzer_sys::fuzz_target!(|script: gost_smux_fuzz::Script| gost_smux_fuzz::any_script(&script));
