//! Recordings in a real folder: written, resent, crashed, tampered with, removed, and opened by age's own program.

#![cfg(test)]

mod age_program;
mod chunking;
mod crash;
mod failing;
mod full_disk;
mod retention;
mod round_trip;
mod tamper;
mod watching;
mod world;
