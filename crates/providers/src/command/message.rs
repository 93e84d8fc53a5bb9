//! The contract: the one line of JSON that a program reads, and the one that it writes.
//!
//! What is written here is promised in `docs/providers/command.md`; a change that an old program would misread gets another
//! [`VERSION`]. Fields that we do not know are passed over, so that a program may say more than we ask.

use std::collections::BTreeMap;

use daypass_core::entitlement::Fault;
use daypass_core::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

/// The version of the contract.
pub(super) const VERSION: u32 = 1;

/// What is asked of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verb {
    Provision,
    Revoke,
    Inspect,
    List,
}

impl std::fmt::Display for Verb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Provision => "provision",
            Self::Revoke => "revoke",
            Self::Inspect => "inspect",
            Self::List => "list",
        })
    }
}

/// What a program reads. The order of the fields is part of the contract: a shell script takes them apart with `sed`.
#[derive(Serialize)]
pub(super) struct Question<'a> {
    pub(super) version: u32,
    pub(super) verb: Verb,
    pub(super) installation: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) holder: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) until: Option<Timestamp>,
    pub(super) settings: &'a Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) resource: Option<Named<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<Named<'a>>,
    pub(super) secrets: BTreeMap<&'a str, &'a str>,
}

/// A resource or a role.
#[derive(Serialize)]
pub(super) struct Named<'a> {
    pub(super) name: &'a str,
    pub(super) config: Value,
}

impl Question<'_> {
    /// The line that is written to the program, and wiped when it was.
    pub(super) fn line(&self) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
        let mut line = Zeroizing::new(serde_json::to_vec(self)?);
        line.push(b'\n');
        Ok(line)
    }
}

/// What a program may answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub(super) enum Answer {
    /// To `provision` and `revoke`: it is through.
    Done,
    /// To `provision` and `revoke`: it was begun; ask again.
    Pending { poll_after: Span },
    /// To `inspect`: it can be used.
    Present {
        until: Option<Timestamp>,
        #[serde(default)]
        residue: Vec<String>,
    },
    /// To `inspect`: it cannot be used.
    Absent {
        #[serde(default)]
        residue: Vec<String>,
    },
    /// To `inspect`: nothing tells.
    Unknown,
    /// To `list`.
    Keys {
        keys: Vec<String>,
        /// Those that have one, where the program tells.
        limits: Option<BTreeMap<String, Timestamp>>,
    },
    /// To everything.
    Error {
        error: Fault,
        #[serde(default)]
        detail: String,
    },
}

impl Answer {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Pending { .. } => "pending",
            Self::Present { .. } => "present",
            Self::Absent { .. } => "absent",
            Self::Unknown => "unknown",
            Self::Keys { .. } => "keys",
            Self::Error { .. } => "error",
        }
    }

    /// Reads what a program wrote: one object, in the version that it was asked in.
    ///
    /// # Errors
    /// What is wrong with it, in words. They may repeat what the program wrote.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err("it answered nothing".to_owned());
        }
        let value: Value =
            serde_json::from_slice(bytes).map_err(|error| format!("its answer is no JSON: {error}"))?;
        match value.get("version") {
            Some(version) if version.as_u64() == Some(u64::from(VERSION)) => {}
            Some(version) => {
                return Err(format!(
                    "its answer has version {version}, and {VERSION} was asked"
                ));
            }
            None => return Err(format!("its answer has no \"version\": {VERSION}")),
        }
        Self::deserialize(value).map_err(|error| format!("its answer cannot be read: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_question_is_one_line_in_a_known_order() {
        let settings = json!({});
        let question = Question {
            version: VERSION,
            verb: Verb::Provision,
            installation: "0f",
            key: Some("p_1".to_owned()),
            holder: Some("ana".to_owned()),
            until: Some("2026-03-07T13:00:00.5Z".parse().unwrap()),
            settings: &settings,
            resource: Some(Named {
                name: "door",
                config: json!({}),
            }),
            role: Some(Named {
                name: "enter",
                config: json!({"line": "a\nb"}),
            }),
            secrets: BTreeMap::from([("token", "s")]),
        };
        let expected = concat!(
            r#"{"version":1,"verb":"provision","installation":"0f","key":"p_1","holder":"ana","#,
            r#""until":"2026-03-07T13:00:00.5Z","settings":{},"resource":{"name":"door","config":{}},"#,
            r#""role":{"name":"enter","config":{"line":"a\nb"}},"secrets":{"token":"s"}}"#,
            "\n"
        );
        assert_eq!(
            String::from_utf8(question.line().unwrap().to_vec()).unwrap(),
            expected
        );
    }

    #[test]
    fn the_answers_on_the_users_page_are_answers() {
        let page = include_str!("../../../../docs/providers/command.md");
        let answers: Vec<_> = page
            .lines()
            .filter(|line| line.starts_with("{\"version\":1,\"result\""))
            .map(|line| Answer::read(line.as_bytes()).unwrap().name())
            .collect();
        for name in ["done", "pending", "present", "absent", "unknown", "keys", "error"] {
            assert!(answers.contains(&name), "{name}");
        }
    }

    #[test]
    fn answers_are_typed_and_may_say_more() {
        let read = |text: &str| Answer::read(text.as_bytes());
        assert_eq!(
            read("{\"version\":1,\"result\":\"done\",\"took\":3}\n"),
            Ok(Answer::Done)
        );
        assert_eq!(
            read(r#"{"version":1,"result":"pending","poll_after":"10s"}"#),
            Ok(Answer::Pending {
                poll_after: Span::seconds(10)
            })
        );
        assert_eq!(
            read(r#"{"version":1,"result":"error","error":"already-standing"}"#),
            Ok(Answer::Error {
                error: Fault::AlreadyStanding,
                detail: String::new()
            })
        );
        for (bad, with) in [
            ("", "nothing"),
            ("  \n", "nothing"),
            ("ok", "no JSON"),
            ("{\"version\":1,\"result\":\"done\"}\n{}", "no JSON"),
            ("[]", "no \"version\""),
            (r#"{"result":"done"}"#, "no \"version\""),
            (r#"{"version":2,"result":"done"}"#, "version 2"),
            (r#"{"version":"1","result":"done"}"#, "version \"1\""),
            (r#"{"version":1}"#, "result"),
            (r#"{"version":1,"result":"fine"}"#, "fine"),
            (
                r#"{"version":1,"result":"present","until":"tomorrow"}"#,
                "tomorrow",
            ),
            (r#"{"version":1,"result":"absent","residue":"a"}"#, "residue"),
            (r#"{"version":1,"result":"keys"}"#, "keys"),
            (r#"{"version":1,"result":"error","error":"sad"}"#, "sad"),
        ] {
            let said = read(bad).unwrap_err();
            let said_of_type = said.contains(with) || said.contains("invalid type");
            assert!(said_of_type, "{bad}: {said}");
        }
    }
}
