//! What somebody named who connects: a resource, perhaps a role on it; with SSH perhaps also a user and a host.
//!
//! ```text
//! RESOURCE[/ROLE]                    the database, with PostgreSQL
//! RESOURCE[/ROLE][+USER][@HOST]      the user, with SSH (the gateway takes LOGIN: off its front); [ADDRESS] for one of IPv6
//! ```
//!
//! Names may hold `+` and `@` themselves. So a text has several readings; of those that name what there is, the one that takes the most of it for
//! names is meant. Where tools take a slash for a path (scp, rsync), `=` stands for it.

use daypass_core::name::{Item, Name};
use daypass_engine::Pass;

/// The protocols, as gateways call them.
pub(super) const POSTGRES: &str = "postgres";
pub(super) const SSH: &str = "ssh";

/// The longest text that is looked at, in bytes.
const LONGEST: usize = 1024;

/// What somebody named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) resource: Name,
    pub(super) role: Option<Name>,
    /// Of SSH: the user there.
    pub(super) user: Option<String>,
    /// Of SSH: which of the resource's hosts.
    pub(super) host: Option<String>,
}

/// A host: a plain name, or an address of IPv6 in brackets. Without them its colon would be behind a login.
fn place(text: &str) -> Option<String> {
    let inside = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    plain(inside.unwrap_or(text))
}

/// A plain name of a user or a host. What it is compared with is the policy's.
fn plain(text: &str) -> Option<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || ".-_:".contains(c);
    (!text.is_empty() && text.len() <= 253 && text.chars().all(fits)).then(|| text.to_owned())
}

impl Named {
    /// What a text means in this protocol; `exists` says whether there is such a resource, with such a role where one is named.
    pub(super) fn read(
        protocol: &str,
        text: &str,
        exists: impl Fn(&Name, Option<&Name>) -> bool,
    ) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        if protocol != SSH {
            return Self::item(text);
        }
        let readings = readings(text);
        let real = readings
            .iter()
            .find(|named| exists(&named.resource, named.role.as_ref()));
        real.or(readings.first()).cloned()
    }

    /// What a certificate is for; what is typed is a user there, where it names a host.
    pub(super) fn of(pass: &Pass, text: &str) -> Option<Self> {
        let item = Self {
            resource: pass.item.resource.clone(),
            role: Some(pass.item.role.clone()),
            user: None,
            host: pass.host.clone(),
        };
        if pass.host.is_some() {
            let user = Some(plain(text)?);
            return Some(Self { user, ..item });
        }
        let is_it = |resource: &Name, role: Option<&Name>| {
            *resource == pass.item.resource && role.is_none_or(|role| *role == pass.item.role)
        };
        let named = Self::read(SSH, text, is_it)?;
        named.fits(&pass.item).then_some(Self {
            user: named.user,
            host: named.host,
            ..item
        })
    }

    fn item(text: &str) -> Option<Self> {
        let (resource, role) = match text.split_once('/') {
            Some((resource, role)) => (resource, Some(role.parse().ok()?)),
            None => (text, None),
        };
        Some(Self {
            resource: resource.parse().ok()?,
            role,
            user: None,
            host: None,
        })
    }

    pub(super) fn fits(&self, item: &Item) -> bool {
        item.resource == self.resource && self.role.as_ref().is_none_or(|role| *role == item.role)
    }
}

/// All readings of what somebody typed for the user, the one first that splits the least off.
fn readings(text: &str) -> Vec<Named> {
    let text = match text.split_once(['/', '=']) {
        Some((resource, rest)) if !rest.contains(['/', '=']) => format!("{resource}/{rest}"),
        Some(_) => return Vec::new(),
        None => text.to_owned(),
    };
    let mut found = Vec::new();
    let whole = (text.as_str(), None);
    for (rest, host) in [Some(whole), split(&text, '@')].into_iter().flatten() {
        for (item, user) in [Some((rest, None)), split(rest, '+')].into_iter().flatten() {
            let named = Named::item(item);
            let (user, host) = (user.map(plain), host.map(place));
            if let Some(named) = named
                && user != Some(None)
                && host != Some(None)
            {
                found.push(Named {
                    user: user.flatten(),
                    host: host.flatten(),
                    ..named
                });
            }
        }
    }
    found
}

/// What stands before and behind the last of these.
fn split(text: &str, at: char) -> Option<(&str, Option<&str>)> {
    text.rsplit_once(at)
        .map(|(before, behind)| (before, Some(behind)))
}

/// How clients of a protocol say that they want this.
pub(super) fn said(protocol: &str, what: &str) -> String {
    match protocol {
        SSH => format!("ssh {what}@GATEWAY"),
        _ => format!("dbname={what}"),
    }
}

#[cfg(test)]
mod tests {
    use daypass_core::id::GrantId;

    use super::*;

    fn read(text: &str, real: &str) -> Option<String> {
        let exists = |name: &Name, role: Option<&Name>| {
            name.as_str() == real && role.is_none_or(|role| ["deploy", "a+b"].contains(&role.as_str()))
        };
        Named::read(SSH, text, exists).map(|named| {
            let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
            let role = named.role.as_ref().map(ToString::to_string);
            format!(
                "{} {} {} {}",
                named.resource,
                or(&role),
                or(&named.user),
                or(&named.host)
            )
        })
    }

    #[test]
    fn what_is_typed_for_the_user_is_taken_apart() {
        for (text, real, meant) in [
            ("web-1", "web-1", "web-1 - - -"),
            ("web-1/deploy", "web-1", "web-1 deploy - -"),
            ("web-1=deploy", "web-1", "web-1 deploy - -"),
            ("web-1/deploy+root", "web-1", "web-1 deploy root -"),
            (
                "web-1/deploy+root@web-1.internal",
                "web-1",
                "web-1 deploy root web-1.internal",
            ),
            (
                "web-1=deploy@web-1.internal",
                "web-1",
                "web-1 deploy - web-1.internal",
            ),
            ("web-1/a+b", "web-1", "web-1 a+b - -"),
            ("web-1/a+b+root", "web-1", "web-1 a+b root -"),
            ("web-1+root", "web-1", "web-1 - root -"),
            ("web-1@web-1.internal", "web-1", "web-1 - - web-1.internal"),
            ("web-1+root@2001:db8::1", "web-1", "web-1 - root 2001:db8::1"),
            ("web-1+root@[2001:db8::1]", "web-1", "web-1 - root 2001:db8::1"),
            ("web-1@[::1]", "web-1", "web-1 - - ::1"),
            ("ana@home+x@host", "ana@home+x", "ana@home+x - - host"),
            ("ana@home+x", "ana@home+x", "ana@home+x - - -"),
            ("nothing+root", "web-1", "nothing+root - - -"),
        ] {
            assert_eq!(read(text, real).as_deref(), Some(meant), "{text}");
        }
    }

    #[test]
    fn what_is_no_name_is_none() {
        let long = "a".repeat(2000);
        for text in [
            "",
            "/",
            "=",
            "a/b/c",
            "a/b=c",
            "/b",
            "a/",
            "+root",
            "@host",
            "a b",
            "a\nb",
            "a;b",
            "-a",
            "é",
            "a@[]",
            "a@[h",
            "a@[[::1]]",
            "a+[u]",
            &long,
        ] {
            assert_eq!(read(text, "a"), None, "{text}");
        }
        let odd = read("a+ro$ot", "a");
        assert_eq!(odd, None, "no reading of it is plain");
        assert!(
            Named::read(POSTGRES, "a+b@c", |_, _| true).is_some(),
            "all of it is the name there"
        );
        let named = Named::read(POSTGRES, "a/b", |_, _| false).unwrap();
        assert_eq!(named.role.unwrap().as_str(), "b");
    }

    #[test]
    fn a_certificate_says_what_is_meant_and_nothing_else_is_reached() {
        let pass = |host: Option<&str>| Pass {
            grant: GrantId::from_bytes([1; 10]),
            item: "web-1/deploy".parse().unwrap(),
            host: host.map(str::to_owned),
        };
        let named = Named::of(&pass(Some("web-1.internal")), "root").unwrap();
        assert_eq!(
            (named.user.as_deref(), named.host.as_deref()),
            (Some("root"), Some("web-1.internal"))
        );
        assert!(Named::of(&pass(Some("web-1.internal")), "web-1/deploy").is_none());
        let named = Named::of(&pass(None), "web-1/deploy+root@h").unwrap();
        assert_eq!(
            (named.user.as_deref(), named.host.as_deref()),
            (Some("root"), Some("h"))
        );
        for other in ["web-1/admin", "web-2", "web-2/deploy", "root", ""] {
            assert!(Named::of(&pass(None), other).is_none(), "{other}");
        }
    }
}
