//! A policy that is being written: its files as a form brings them, and a question to try on it.

use axum::Form;
use axum::extract::{FromRequest as _, Request};
use daypass_api::policy::{Policy, PolicyFile, PolicyFiles};
use daypass_core::text::Hash;

use super::question::Asked;
use crate::web::failed::Failed;

/// A file of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct DraftFile {
    pub(super) name: String,
    pub(super) text: String,
    /// It is to be left out.
    pub(super) dropped: bool,
}

impl DraftFile {
    /// How many lines a field has for it: all of a short file, and not more than a screen.
    pub(super) fn rows(&self) -> usize {
        (self.text.lines().count() + 2).clamp(6, 34)
    }

    /// Nothing was typed where another file could be.
    fn is_nothing(&self) -> bool {
        self.name.is_empty() && self.text.trim().is_empty()
    }
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    pub(super) files: Vec<DraftFile>,
    /// The revision that it was begun from.
    pub(super) replaces: Option<Hash>,
    pub(super) question: Asked,
}

impl Draft {
    /// One that begins with these files.
    pub(super) fn of(files: Vec<PolicyFile>, replaces: Hash) -> Self {
        let file = |file: PolicyFile| DraftFile {
            name: file.name,
            text: file.text,
            dropped: false,
        };
        Self {
            files: files.into_iter().map(file).collect(),
            replaces: Some(replaces),
            question: Asked::default(),
        }
    }

    /// One that a form brings.
    pub(super) async fn read(request: Request, in_force: &Policy) -> Result<Self, Failed> {
        let pairs = Form::<Vec<(String, String)>>::from_request(request, &()).await;
        let Form(pairs) = pairs.map_err(|why| {
            if why.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE {
                return Failed::invalid(
                    "it is too large for a form; daypass policy apply takes it from a terminal",
                );
            }
            Failed::invalid("this form cannot be read")
        })?;
        Ok(Self::from_pairs(pairs, in_force))
    }

    /// The fields come in the order of the page: what follows a file's name is about that file.
    fn from_pairs(pairs: Vec<(String, String)>, in_force: &Policy) -> Self {
        let mut draft = Self::default();
        for (key, value) in pairs {
            match (key.as_str(), draft.files.last_mut()) {
                ("file", _) => draft.files.push(DraftFile {
                    name: value.trim().to_owned(),
                    ..DraftFile::default()
                }),
                ("text", Some(file)) => file.text = plain(&value),
                ("drop", Some(file)) => file.dropped = true,
                ("replaces", _) => draft.replaces = value.parse().ok(),
                _ => draft.question.take(&key, value),
            }
        }
        draft.files.retain(|file| !file.is_nothing());
        // A form ends lines in its own way: a file that nobody changed must stay as it is, byte for byte.
        for file in &mut draft.files {
            let same = in_force.files.iter().find(|kept| kept.name == file.name);
            if let Some(kept) = same.filter(|kept| plain(&kept.text) == file.text) {
                file.text.clone_from(&kept.text);
            }
        }
        draft
    }

    /// As the API takes them.
    pub(super) fn files(&self) -> PolicyFiles {
        let files = self.files.iter().filter(|file| !file.dropped);
        let files = files.map(|file| PolicyFile {
            name: file.name.clone(),
            text: file.text.clone(),
        });
        PolicyFiles {
            files: files.collect(),
            replaces: self.replaces,
        }
    }
}

/// With the ends of lines that a policy has.
fn plain(text: &str) -> String {
    text.replace("\r\n", "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(files: &[(&str, &str)]) -> Policy {
        let file = |(name, text): &(&str, &str)| PolicyFile {
            name: (*name).into(),
            text: (*text).into(),
        };
        Policy {
            revision: Hash::of(b"x"),
            files: files.iter().map(file).collect(),
            approval: Vec::new(),
        }
    }

    fn read(pairs: &[(&str, &str)], in_force: &Policy) -> Draft {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Draft::from_pairs(pairs.iter().map(own).collect(), in_force)
    }

    #[test]
    fn files_come_out_as_they_went_in() {
        let in_force = policy(&[("a.yaml", "one\r\ntwo\r\n"), ("b.yaml", "one\ntwo\n")]);
        let sent = [
            ("replaces", &*Hash::of(b"x").to_string()),
            ("file", "a.yaml"),
            ("text", "one\r\ntwo\r\n"),
            ("file", "b.yaml"),
            ("text", "one\r\ntwo\r\n"),
            ("file", ""),
            ("text", "\r\n"),
        ];
        let draft = read(&sent, &in_force);
        assert_eq!(draft.files().files, in_force.files, "both as they were");
        assert_eq!(draft.replaces, Some(in_force.revision));
        let changed = read(&[("file", "a.yaml"), ("text", "one\r\nthree\r\n")], &in_force);
        assert_eq!(changed.files().files[0].text, "one\nthree\n");
    }

    #[test]
    fn a_file_is_left_out_where_that_was_asked_for() {
        let sent = [
            ("file", "a"),
            ("text", "1"),
            ("drop", "1"),
            ("file", "b"),
            ("text", "2"),
            ("drop", "1"),
            ("file", "c"),
            ("text", "3"),
            ("what", "orders/read"),
        ];
        let draft = read(&sent, &policy(&[]));
        let names: Vec<_> = draft.files().files.into_iter().map(|file| file.name).collect();
        assert_eq!(names, ["c"]);
        assert_eq!(draft.files.len(), 3, "they are still there to be taken up again");
        assert_eq!(draft.question.what, "orders/read");
    }

    /// A text before any name belongs to nothing, and is no file.
    #[test]
    fn what_belongs_to_no_file_makes_none() {
        assert!(
            read(&[("text", "x"), ("drop", "1")], &policy(&[]))
                .files
                .is_empty()
        );
    }
}
