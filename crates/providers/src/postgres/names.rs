//! The names at the target: which role a key means, and the mark by which a role is known to be ours.

use daypass_core::id::GrantId;
use daypass_core::name::Name;
use daypass_core::text::Hash;
use serde::{Deserialize, Serialize};

use super::quote::MAX_BYTES;

/// What every role of ours begins with.
pub(super) const PREFIX: &str = "daypass_";

/// The key of a grant's item: `g7k2m9x0v3n5q8tzb_0`. Each item gets a role of its own.
pub(super) fn target_key(grant: GrantId, index: usize) -> String {
    format!("{grant}_{index}").to_ascii_lowercase()
}

/// The role that a key means. It follows from the key alone. A key that we did not make becomes a hash, so that any text
/// at all leads to a role name that can be written, and no two keys to one.
pub(super) fn role_name(key: &str) -> String {
    let name = if is_ours(key) {
        format!("{PREFIX}{key}")
    } else {
        let hash = Hash::of(key.as_bytes()).to_string();
        format!("{PREFIX}x{}", hash.get(..52).unwrap_or(&hash))
    };
    debug_assert!(name.len() <= MAX_BYTES);
    name
}

/// Whether a key has the form that [`target_key`] gives: `g`, 16 letters and digits, `_`, a number.
fn is_ours(key: &str) -> bool {
    let Some((id, index)) = key.split_once('_') else {
        return false;
    };
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase());
    let number = (1..=9).contains(&index.len()) && index.bytes().all(|b| b.is_ascii_digit());
    id.starts_with('g') && id.len() == 17 && plain(id) && number
}

/// The comment on a role of ours. Only who may change roles can write one, so the holder cannot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Marker {
    /// The version of this form.
    pub(super) daypass: u32,
    /// Which installation of Daypass made it.
    pub(super) installation: String,
    /// By which connector of it. Two may lead to one cluster, and what the one made is not nobody's to the other. A role that
    /// an earlier version made does not say, and is listed by both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) connector: Option<Name>,
    /// The key that it was made for.
    pub(super) key: String,
    /// The login of who holds it, for people who look here.
    pub(super) holder: String,
    /// The removal is through, and this much had to be left: a role without login that still owns something.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) left: bool,
}

impl Marker {
    pub(super) fn new(installation: &str, connector: &Name, key: &str, holder: &str) -> Self {
        Self {
            daypass: 1,
            installation: installation.to_owned(),
            connector: Some(connector.clone()),
            key: key.to_owned(),
            holder: holder.to_owned(),
            left: false,
        }
    }

    /// Reads a role's comment; `None` where the role was not made by this installation, or the comment is another role's.
    pub(super) fn read(comment: Option<&str>, installation: &str, role: &str) -> Option<Self> {
        let marker: Self = serde_json::from_str(comment?).ok()?;
        let ours =
            marker.daypass == 1 && marker.installation == installation && role_name(&marker.key) == role;
        ours.then_some(marker)
    }

    /// Whether it may be what this connector made.
    pub(super) fn is_of(&self, connector: &Name) -> bool {
        self.connector.as_ref().is_none_or(|made_by| made_by == connector)
    }

    /// The comment. It is plain ASCII, so that a database of any encoding takes it.
    pub(super) fn write(&self) -> String {
        let json = serde_json::to_string(self).unwrap_or_default();
        let mut out = String::with_capacity(json.len());
        let mut units = [0; 2];
        for c in json.chars() {
            if c.is_ascii() {
                out.push(c);
            } else {
                // In JSON, what is not ASCII only stands inside of strings.
                for unit in c.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_role_is_named_after_its_grant() {
        let key = target_key(GrantId::from_bytes([7; 10]), 12);
        assert_eq!(role_name(&key), format!("daypass_{key}"));
        assert!(key.ends_with("_12"));
    }

    #[test]
    fn only_our_own_comment_on_its_own_role_is_ours() {
        let key = target_key(GrantId::from_bytes([7; 10]), 0);
        let comment = Marker::new("inst", &"pg".parse().unwrap(), &key, "ana").write();
        let role = role_name(&key);
        assert!(Marker::read(Some(&comment), "inst", &role).is_some());
        assert!(Marker::read(Some(&comment), "other", &role).is_none());
        assert!(
            Marker::read(Some(&comment), "inst", "daypass_other").is_none(),
            "copied to another role"
        );
        for foreign in [
            None,
            Some(""),
            Some("daypass"),
            Some("{}"),
            Some("{\"daypass\":2}"),
        ] {
            assert!(Marker::read(foreign, "inst", &role).is_none(), "{foreign:?}");
        }
    }

    #[test]
    fn a_role_is_of_the_connector_that_made_it_and_an_old_one_of_any() {
        let (one, other) = ("pg".parse().unwrap(), "pg-reports".parse().unwrap());
        let marker = Marker::new("inst", &one, "k", "ana");
        assert!(marker.is_of(&one) && !marker.is_of(&other));
        let old = "{\"daypass\":1,\"installation\":\"inst\",\"key\":\"k\",\"holder\":\"ana\"}";
        let old = Marker::read(Some(old), "inst", &role_name("k")).unwrap();
        assert!(old.is_of(&one) && old.is_of(&other));
    }

    proptest! {
        #[test]
        fn any_key_leads_to_a_name_that_fits(key in ".{0,100}") {
            let name = role_name(&key);
            prop_assert!(name.len() <= MAX_BYTES && name.starts_with(PREFIX));
            prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
        }

        #[test]
        fn any_holder_survives_the_comment(holder in "\\PC{0,30}|[\0\"'\\\\\n]{0,10}") {
            let marker = Marker::new("inst", &"pg".parse().unwrap(), "k", &holder);
            let comment = marker.write();
            prop_assert!(comment.is_ascii() && !comment.contains('\0'));
            prop_assert_eq!(Marker::read(Some(&comment), "inst", &role_name("k")), Some(marker));
        }
    }
}
