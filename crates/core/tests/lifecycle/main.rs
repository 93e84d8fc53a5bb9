//! The life of requests, grants and entitlements, through the crate's public face.

#![cfg(test)]

mod break_glass;
mod change;
mod delegation;
mod edit;
mod entitlement;
mod grant;
mod lock;
mod plan;
mod request;
mod samples;
mod session;
mod world;
