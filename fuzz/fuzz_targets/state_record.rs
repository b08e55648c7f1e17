//! Files that were, or claim to be, state records.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| setpoint::fuzz::state_record(data));
