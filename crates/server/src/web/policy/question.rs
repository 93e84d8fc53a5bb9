//! A question to the policy, as it is typed: who, what, for how long, when, from where.

use std::collections::BTreeSet;
use std::net::IpAddr;

use daypass_api::explain::Explain;
use daypass_api::policy::PolicyFile;
use daypass_core::environment::Wanted;
use daypass_core::time::Timestamp;
use serde::Deserialize;

use crate::web::failed::Failed;

/// See the module.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    pub(super) who: String,
    pub(super) what: String,
    #[serde(rename = "for")]
    pub(super) length: String,
    pub(super) at: String,
    pub(super) from: String,
    pub(super) ticket: String,
    pub(super) emergency: String,
}

impl Asked {
    /// A field of a form, where it is one of these.
    pub(super) fn take(&mut self, key: &str, value: String) {
        match key {
            "who" => self.who = value,
            "what" => self.what = value,
            "for" => self.length = value,
            "at" => self.at = value,
            "from" => self.from = value,
            "ticket" => self.ticket = value,
            "emergency" => self.emergency = value,
            _ => {}
        }
    }

    /// As the API takes it; nothing where nothing is asked for yet, and what is wrong with it where it is no question.
    pub(super) fn explain(
        &self,
        files: impl Into<Option<Vec<PolicyFile>>>,
    ) -> Option<Result<Explain, Failed>> {
        (!self.what.trim().is_empty()).then(|| self.question(files.into()))
    }

    fn question(&self, files: Option<Vec<PolicyFile>>) -> Result<Explain, Failed> {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let (mut items, mut environments) = (BTreeSet::new(), BTreeSet::new());
        let words = self.what.split([',', ' ']).filter(|word| !word.is_empty());
        for word in words {
            match word.parse::<Wanted>() {
                Ok(Wanted::Item(item)) => drop(items.insert(item.into())),
                Ok(Wanted::Environment(role)) => drop(environments.insert(role.into())),
                Err(bad) => return Err(Failed::invalid(bad.to_string())),
            }
        }
        let length = given(&self.length).map(|text| text.parse()).transpose();
        let from = given(&self.from).map(|text| text.parse::<IpAddr>()).transpose();
        Ok(Explain {
            subject: given(&self.who),
            items,
            environments,
            duration: length
                .map_err(|_| Failed::invalid("a length is a number and a unit, such as 30m, 2h or 1h30m"))?,
            at: given(&self.at).map(|text| instant(&text)).transpose()?,
            start: None,
            from: from.map_err(|_| Failed::invalid("an address is written as 203.0.113.9 or 2001:db8::1"))?,
            ticket: given(&self.ticket),
            break_glass: !self.emergency.is_empty(),
            files,
        })
    }
}

/// An instant as a browser's field gives it, which is without a zone and taken to be UTC, or as programs write it.
fn instant(text: &str) -> Result<Timestamp, Failed> {
    let exact = text.parse().ok();
    let utc = || {
        format!("{text}:00Z")
            .parse()
            .or_else(|_| format!("{text}Z").parse())
            .ok()
    };
    exact
        .or_else(utc)
        .ok_or_else(|| Failed::invalid("a time is written as 2026-11-22T21:00, in UTC"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(what: &str) -> Asked {
        Asked {
            who: "ana".into(),
            what: what.into(),
            ..Asked::default()
        }
    }

    #[test]
    fn what_is_typed_becomes_a_question() {
        let typed = Asked {
            length: "90m".into(),
            at: "2026-11-22T21:00".into(),
            from: "203.0.113.9".into(),
            emergency: "1".into(),
            ..asked("orders/read, env:staging/debug")
        };
        let question = typed.explain(None).unwrap().unwrap();
        assert_eq!(question.items.len() + question.environments.len(), 2);
        assert_eq!(question.at.unwrap().to_string(), "2026-11-22T21:00:00Z");
        assert!(question.break_glass && question.from.is_some() && question.duration.is_some());
        assert!(asked(" ").explain(None).is_none(), "nothing is asked");
    }

    #[test]
    fn what_is_no_question_is_said_so() {
        for typed in [
            asked("orders"),
            asked("../x/y"),
            Asked {
                length: "long".into(),
                ..asked("orders/read")
            },
            Asked {
                at: "tomorrow".into(),
                ..asked("orders/read")
            },
            Asked {
                from: "home".into(),
                ..asked("orders/read")
            },
        ] {
            assert!(typed.explain(None).unwrap().is_err(), "{typed:?}");
        }
    }
}
