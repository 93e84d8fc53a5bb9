//! The life of requests, grants and entitlements, through the crate's public face.

mod entitlement;
mod grant;
mod plan;
mod request;
mod samples;
mod world;
