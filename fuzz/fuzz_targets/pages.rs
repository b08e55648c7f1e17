//! GitLab's and Factory's pages.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| setpoint::fuzz::pages(data));
