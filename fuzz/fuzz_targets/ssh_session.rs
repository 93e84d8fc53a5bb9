//! Throws at `daypass_fuzz::SSH_SESSION` what goes new ways through the code.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (daypass_fuzz::SSH_SESSION.run)(data));
