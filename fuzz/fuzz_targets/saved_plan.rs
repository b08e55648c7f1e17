//! Files that were, or claim to be, saved plans.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| setpoint::fuzz::saved_plan(data));
