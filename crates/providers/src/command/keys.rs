//! How keys are derived, and how keys and logins are spelled for programs: so plainly that a file name, a line, a regular
//! expression or an argument made of one is what it looks like.

use std::fmt::Write as _;

use daypass_core::canonical;
use daypass_core::entitlement::Fault;
use daypass_core::id::GrantId;
use daypass_core::name::Name;
use daypass_core::text::Hash;
use serde_json::json;

use super::config::{self, OnePer};
use crate::{Error, Placed};

/// The longest key that is handed over as it is.
const PLAIN_MAX: usize = 100;

/// How many hexadecimal digits tell askers apart: 64 bits of a digest.
const ASKER: usize = 16;

/// Before a key that is spelled in hexadecimal digits. No key that is handed over as it is begins so.
const SPELLED: &str = "x-";

/// The key of one item of a grant.
pub(crate) fn of_grant(grant: GrantId, index: usize) -> String {
    format!("{grant}_{index}").to_ascii_lowercase()
}

/// The key of an item, by what its role has one opening for. Who gives the same thing twice gets one key, and the opening
/// goes with the last grant that holds it: a program need not count.
pub(super) fn of(placed: &Placed<'_>) -> String {
    let alone = || of_grant(placed.grant, placed.index);
    let (Ok(resource), Ok(role)) = (config::resource(placed.resource), config::Role::read(placed.role))
    else {
        // It was checked with the policy. A provisioning will refuse it.
        return alone();
    };
    let (letter, holder) = match role.one_per {
        OnePer::Grant => return alone(),
        OnePer::Person => ('p', Some(placed.holder)),
        OnePer::Role => ('r', None),
    };
    // The configuration is part of it: after a policy changed what a role gives, a new grant must not share the old thing.
    let what = json!({"item": placed.item, "resource": resource, "role": role.config, "holder": holder});
    match canonical::digest(&what) {
        Ok(digest) => format!("{letter}_{}", short(&digest)),
        Err(_) => alone(),
    }
}

/// Who asks, as programs are told it: this installation by this connector. Two connectors may name one program, and what
/// the one made must not be what the other one lists: it would be taken away there as nobody's.
pub(crate) fn asker(installation: &str, connector: &Name) -> Result<String, Error> {
    let who = json!({"installation": installation, "connector": connector});
    let bad = |error: canonical::NotCanonical| Error::new(Fault::Bug, format!("naming who asks: {error}"));
    let digest = canonical::digest(&who).map_err(bad)?;
    Ok(digest.to_string().chars().take(ASKER).collect())
}

/// 128 bits of it: nobody finds two policies that share a key.
fn short(digest: &Hash) -> String {
    digest.to_string().chars().take(32).collect()
}

/// A key as a program sees it: lower-case letters, digits, `_` and `-`, a letter or digit first. Keys of our own making are
/// so; any other is spelled.
pub(crate) fn told(key: &str) -> String {
    if is_plain(key) && !key.starts_with(SPELLED) && key.len() <= PLAIN_MAX {
        key.to_owned()
    } else {
        format!("{SPELLED}{}", hex::encode(key))
    }
}

/// The key that was told as this; `None` if none ever was.
pub(crate) fn heard(told: &str) -> Option<String> {
    match told.strip_prefix(SPELLED) {
        Some(digits) => String::from_utf8(hex::decode(digits).ok()?).ok(),
        None if is_plain(told) && told.len() <= PLAIN_MAX => Some(told.to_owned()),
        None => None,
    }
}

fn is_plain(key: &str) -> bool {
    key.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && key
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c))
}

/// A login as a program sees it: letters, digits and `. _ - @ +`, a letter or digit first. Every login is so; any other text
/// has `%` and two digits for each byte that is no letter or digit.
pub(crate) fn holder(login: &str) -> String {
    if login.parse::<Name>().is_ok() {
        return login.to_owned();
    }
    let mut out = String::new();
    for byte in login.bytes() {
        if byte.is_ascii_alphanumeric() {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    if out.is_empty() { "%".to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use daypass_core::id::PersonId;
    use serde_json::{Value, json};

    use super::*;

    fn key(grant: u8, holder: u8, item: &str, resource: &Value, role: &Value) -> String {
        of(&Placed {
            grant: GrantId::from_bytes([grant; 10]),
            index: 0,
            holder: PersonId::from_bytes([holder; 10]),
            item: &item.parse().unwrap(),
            resource,
            role,
            subject: None,
            source: None,
        })
    }

    #[test]
    fn what_shares_a_key_is_what_the_role_says() {
        let door = json!({"door": 1});
        let of = |grant, holder, per: &str| key(grant, holder, "a/b", &door, &json!({"one_per": per}));
        assert_eq!(of(1, 1, "person"), of(2, 1, "person"));
        assert_ne!(of(1, 1, "person"), of(1, 2, "person"));
        assert_eq!(of(1, 1, "role"), of(2, 2, "role"));
        assert_ne!(of(1, 1, "grant"), of(2, 1, "grant"));
        let implied = key(1, 1, "a/b", &door, &Value::Null);
        assert_eq!(
            implied,
            of(1, 1, "person"),
            "a person has one where nothing is said"
        );
        assert_ne!(implied, key(1, 1, "a/c", &door, &Value::Null), "another role");
        assert_ne!(
            implied,
            key(1, 1, "a/b", &json!({}), &Value::Null),
            "another configuration"
        );
        assert_ne!(implied, key(1, 1, "a/b", &door, &json!({"level": 2})));
        for one in [implied, of(1, 1, "role"), of(1, 1, "grant")] {
            assert_eq!(told(&one), one, "our own keys are plain");
        }
    }

    #[test]
    fn each_connector_asks_by_a_name_of_its_own() {
        let of = |installation, connector: &str| asker(installation, &connector.parse().unwrap()).unwrap();
        let told = of("0f", "doors");
        assert_eq!(told, of("0f", "doors"));
        assert!(told.len() == ASKER && told.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase()));
        assert_ne!(told, of("0f", "gates"));
        assert_ne!(told, of("10", "doors"));
    }

    #[test]
    fn every_key_is_told_plainly_and_heard_again() {
        let hostile = [
            "",
            "a\0b",
            "../../etc/passwd",
            "-rf",
            "x-",
            "x-61",
            "É",
            "A",
            "a b",
            "'; --",
        ];
        let long = "y".repeat(300);
        let mut seen = std::collections::BTreeSet::new();
        for key in hostile.into_iter().chain([long.as_str(), "p_0f", "61"]) {
            let plain = told(key);
            assert!(is_plain(&plain), "{plain}");
            assert_eq!(heard(&plain).as_deref(), Some(key));
            assert!(seen.insert(plain));
        }
        for never in ["", "A", "../a", "x-6", "x-zz", long.as_str(), "-a"] {
            assert_eq!(heard(never), None, "{never}");
        }
    }

    #[test]
    fn a_login_is_told_as_it_is_and_nothing_else_looks_like_one() {
        assert_eq!(holder("ana.b+c@example.org"), "ana.b+c@example.org");
        assert_eq!(holder(".."), "%2E%2E");
        assert_eq!(holder("a\n\"b"), "a%0A%22b");
        assert_eq!(holder(""), "%");
    }
}
