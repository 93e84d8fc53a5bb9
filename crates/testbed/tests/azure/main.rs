//! The stand-in for Azure, asked as a client asks it.
#![cfg(test)]

mod client;
mod groups;
mod network;
mod roles;
mod tokens;
