//! The name of a recording, which is also the folder of its chunks.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest name, in bytes: what every object store takes as a part of a path, with room to spare.
const LONGEST: usize = 64;

/// Names a recording: 1 to 64 letters, digits, `-` or `_`, all ASCII.
///
/// Nothing else, because it becomes a part of a path: no dot, no slash, nothing that must be escaped.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordingId(String);

/// The text names no recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a recording is named by 1 to {LONGEST} letters, digits, `-` or `_`")]
pub struct BadRecordingId;

impl RecordingId {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RecordingId {
    type Err = BadRecordingId;

    fn from_str(text: &str) -> Result<Self, BadRecordingId> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if text.is_empty() || text.len() > LONGEST || !text.bytes().all(good) {
            return Err(BadRecordingId);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for RecordingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for RecordingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Serialize for RecordingId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RecordingId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_part_of_a_path_and_nothing_more() {
        for good in ["S7K2M9X0V3N5Q8TZB", "a", "a-b_C9", &"x".repeat(64)] {
            assert_eq!(good.parse::<RecordingId>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "a.b",
            "a b",
            "ä",
            "a%2F",
            "a#1",
            &"x".repeat(65),
        ] {
            assert_eq!(bad.parse::<RecordingId>(), Err(BadRecordingId), "{bad}");
        }
    }
}
