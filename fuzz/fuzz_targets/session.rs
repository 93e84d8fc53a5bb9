//! Throws at `daypass_fuzz::SESSION` what goes new ways through the code.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (daypass_fuzz::SESSION.run)(data));
