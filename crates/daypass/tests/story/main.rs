//! The built binary, as people use it: what it says, how it ends, and what it leaves behind.
#![cfg(test)]

mod demo;
mod init;
mod quickstart;
mod running;
mod server;
