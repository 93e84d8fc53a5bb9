//! One file per command, or per noun.

pub(crate) mod audit;
pub(crate) mod break_glass;
pub(crate) mod change;
pub(crate) mod completion;
pub(crate) mod confirm;
pub(crate) mod connect;
pub(crate) mod delegate;
pub(crate) mod doctor;
pub(crate) mod grants;
pub(crate) mod groups;
pub(crate) mod keys;
pub(crate) mod locks;
mod log_key;
pub(crate) mod login;
pub(crate) mod ls;
pub(crate) mod people;
pub(crate) mod policy;
pub(crate) mod request;
pub(crate) mod review;
pub(crate) mod services;
pub(crate) mod show;
pub(crate) mod ssh;
pub(crate) mod ssh_host;
pub(crate) mod status;
pub(crate) mod tickets;
pub(crate) mod tokens;
pub(crate) mod why;
