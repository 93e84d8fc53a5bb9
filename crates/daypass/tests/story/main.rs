//! The built binary, as people use it: what it says, how it ends, and what it leaves behind.
#![cfg(test)]

mod apart;
mod apart_load;
mod audit;
mod away;
mod bad_input;
mod canaries;
mod concurrent;
mod demo;
mod doctor;
mod emergency;
mod exec;
mod full_disk;
mod gateway;
mod house;
mod http;
mod init;
mod killed;
mod log_keys;
mod main_job;
mod marked;
mod outage;
mod programs;
mod quickstart;
mod receivers;
mod rolled_back;
mod running;
mod secrets;
mod server;
mod services;
mod ssh;
mod ssh_keys;
mod ssh_tools;
mod store_gone;
mod target;
mod witness;
