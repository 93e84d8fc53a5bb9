//! The server as its clients meet it: a real one on a real port, with a store of its own and a target in memory.

#![cfg(test)]

mod bed;
mod break_glass;
mod changes;
mod confirm;
mod crowd;
mod delegations;
mod demo;
mod described;
mod doctor;
mod edits;
mod environments;
mod events;
mod guarded;
mod health;
mod idempotency;
mod identity;
mod inventory;
mod locks;
mod logs;
mod matrix;
mod notices;
mod people;
mod policy;
mod problems;
mod recordings;
mod replicas;
mod reports;
mod revisions;
mod services;
mod sessions;
mod signing;
mod signing_keys;
mod smuggling;
mod sources;
mod stop;
mod story;
mod tickets;
mod tls;
mod tools;
mod venv;
mod web_bundles;
mod web_policy;
mod web_screens;
