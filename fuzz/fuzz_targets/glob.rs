//! Globs over paths, against a second opinion.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| setpoint::fuzz::glob(data));
