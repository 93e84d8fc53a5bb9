//! The stand-in for Azure, asked as a client asks it.
#![cfg(test)]

mod client;
mod contract;
mod faults;
mod groups;
mod inventory;
mod jit;
mod network;
mod pim;
mod roles;
mod tokens;
