//! From the engine's words to the API's: the one place where a core type becomes a wire type.
//!
//! Nothing in here decides who may see what; it is handed only what the caller may see.

mod access;
mod change;
mod delegation;
mod diff;
mod event;
mod grant;
mod inventory;
mod lock;
mod matrix;
mod person;
mod policy;
mod report;
mod request;
mod session;
mod step;
mod tools;

pub(crate) use access::holding;
pub(crate) use change::{change, files, put_effects};
pub(crate) use delegation::delegation;
pub(crate) use diff::diff;
pub(crate) use event::{audit, told};
pub(crate) use grant::{ending, grant};
pub(crate) use inventory::{adrift, found, standing, standing_drift, survey};
pub(crate) use lock::lock;
pub(crate) use matrix::{Besides, matrix};
pub(crate) use person::{group, person, token, via};
pub(crate) use policy::{Found, asks, authority, check, connector, environment, offer, preview};
pub(crate) use report::report;
pub(crate) use request::{effects, request};
pub(crate) use session::session;
pub(crate) use tools::{explanation, plan};

use std::collections::BTreeSet;

use daypass_api::Item;
use daypass_core::name;
use daypass_core::text::Prose;

/// Items in their own order.
fn items<'a>(items: impl IntoIterator<Item = &'a name::Item>) -> Vec<Item> {
    items.into_iter().cloned().map(Item::from).collect()
}

/// Items as the engine takes them.
#[must_use]
pub(crate) fn wanted(items: impl IntoIterator<Item = Item>) -> BTreeSet<name::Item> {
    items.into_iter().map(name::Item::from).collect()
}

/// The words of a free text, or nothing where they were erased.
fn words(prose: &Prose) -> Option<String> {
    prose.words().map(|words| words.text.clone())
}
