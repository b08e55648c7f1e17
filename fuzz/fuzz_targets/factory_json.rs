//! Factory's JSON.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| setpoint::fuzz::factory_json(data));
