//! Any bytes as a configuration, and a secret in a wrong place with any text around it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| setpoint::fuzz::config(data));
