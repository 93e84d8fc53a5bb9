//! Throws at `daypass_fuzz::SSH_KEY` what goes new ways through the code.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (daypass_fuzz::SSH_KEY.run)(data));
