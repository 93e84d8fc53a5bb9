//! What goes into a statement and comes out of a row, the same for both databases: whole numbers, text and bytes.

use daypass_core::id::{ChangeId, GrantId, PersonId, RequestId, SessionId, TokenId};
use daypass_core::name::Name;
use daypass_core::refusal::{Code, Refusal};
use daypass_core::text::Hash;
use daypass_core::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// A statement and its parameters `$1`, `$2` … The text is the same on both databases.
pub(crate) type Statement = (&'static str, Vec<Value>);

/// One value. It has no `Debug`: among the values are hashes of passwords and people's words.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

impl Value {
    /// The JSON of a document.
    pub(crate) fn json<T: Serialize>(value: &T) -> Result<Self> {
        serde_json::to_string(value)
            .map(Self::Text)
            .map_err(Error::corrupt)
    }
}

/// PostgreSQL keeps no NUL in text; SQLite would. Neither gets one, so that both answer alike.
pub(crate) fn check(values: &[Value]) -> Result<()> {
    let hostile = |value: &Value| matches!(value, Value::Text(text) if text.contains('\0'));
    if values.iter().any(hostile) {
        return Err(Refusal::new(
            Code::Invalid,
            "a text holds the character NUL, which cannot be kept",
        )
        .hint("leave it out")
        .into());
    }
    Ok(())
}

macro_rules! text {
    ($($of:ty),*) => { $(impl From<$of> for Value {
        fn from(value: $of) -> Self { Self::Text(value.to_string()) }
    })* };
}
text!(
    &str, String, ChangeId, RequestId, GrantId, PersonId, SessionId, TokenId, &Name
);

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u64> for Value {
    /// What does not fit is brought back to the largest that does: no count of ours comes near.
    fn from(value: u64) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<Timestamp> for Value {
    fn from(value: Timestamp) -> Self {
        Self::Int(value.micros())
    }
}

impl From<Hash> for Value {
    fn from(value: Hash) -> Self {
        Self::Bytes(value.bytes().to_vec())
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(value)
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A row of a result, read by position.
pub(crate) struct Row(pub(crate) Vec<Value>);

impl Row {
    fn wrong(at: usize) -> Error {
        Error::Corrupt(format!("column {at} of a result is not of the expected type"))
    }

    pub(crate) fn int(&self, at: usize) -> Result<i64> {
        self.maybe_int(at)?.ok_or_else(|| Self::wrong(at))
    }

    pub(crate) fn maybe_int(&self, at: usize) -> Result<Option<i64>> {
        match self.0.get(at) {
            Some(Value::Int(value)) => Ok(Some(*value)),
            Some(Value::Null) => Ok(None),
            _ => Err(Self::wrong(at)),
        }
    }

    pub(crate) fn count(&self, at: usize) -> Result<u64> {
        u64::try_from(self.int(at)?).map_err(|_| Self::wrong(at))
    }

    pub(crate) fn time(&self, at: usize) -> Result<Timestamp> {
        self.int(at).map(Timestamp::from_micros)
    }

    pub(crate) fn maybe_time(&self, at: usize) -> Result<Option<Timestamp>> {
        Ok(self.maybe_int(at)?.map(Timestamp::from_micros))
    }

    pub(crate) fn text(&self, at: usize) -> Result<&str> {
        self.maybe_text(at)?.ok_or_else(|| Self::wrong(at))
    }

    pub(crate) fn maybe_text(&self, at: usize) -> Result<Option<&str>> {
        match self.0.get(at) {
            Some(Value::Text(value)) => Ok(Some(value)),
            Some(Value::Null) => Ok(None),
            _ => Err(Self::wrong(at)),
        }
    }

    pub(crate) fn bytes(&self, at: usize) -> Result<&[u8]> {
        self.maybe_bytes(at)?.ok_or_else(|| Self::wrong(at))
    }

    pub(crate) fn maybe_bytes(&self, at: usize) -> Result<Option<&[u8]>> {
        match self.0.get(at) {
            Some(Value::Bytes(value)) => Ok(Some(value)),
            Some(Value::Null) => Ok(None),
            _ => Err(Self::wrong(at)),
        }
    }

    pub(crate) fn hash(&self, at: usize) -> Result<Hash> {
        self.bytes(at)?
            .try_into()
            .map(Hash::from_bytes)
            .map_err(|_| Self::wrong(at))
    }

    /// A text that is an id, a name or a hash in digits.
    pub(crate) fn parse<T: std::str::FromStr>(&self, at: usize) -> Result<T> {
        self.text(at)?.parse().map_err(|_| Self::wrong(at))
    }

    /// A document. Free texts in it are closed; see `texts`.
    pub(crate) fn json<T: DeserializeOwned>(&self, at: usize) -> Result<T> {
        serde_json::from_str(self.text(at)?).map_err(Error::corrupt)
    }
}
