//! Throws at `daypass_fuzz::SSH_TRANSPORT` what goes new ways through the code.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (daypass_fuzz::SSH_TRANSPORT.run)(data));
