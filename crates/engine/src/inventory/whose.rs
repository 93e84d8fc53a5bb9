//! Who of the directory somebody at a target is.

use daypass_core::id::PersonId;
use daypass_core::name::Name;
use daypass_policy::Directory as _;
use daypass_providers::inventory::{Subject, SubjectKind};

use crate::directory::Snapshot;

/// The account that a subject of a target is. Where the kind has a namespace of its own in the directory, by what the directory has there;
/// else by the name, since people are mostly called the same everywhere. That is a guess, and is told as one.
pub(super) fn account(directory: &Snapshot, namespace: Option<&Name>, subject: &Subject) -> Option<PersonId> {
    match (namespace, subject.kind) {
        (_, SubjectKind::Group | SubjectKind::Everybody) => None,
        // A directory without such a handle knows nobody there; a name in it that looks like a login says nothing.
        (Some(namespace), _) => directory.by_handle(namespace, &subject.id),
        (None, _) => directory.by_login(&subject.id).map(|person| person.id),
    }
}
