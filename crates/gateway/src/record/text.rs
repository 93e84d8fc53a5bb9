//! The text of a statement: one for all records of it, however often it runs. It is hashed once, and mostly cut once.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use aws_lc_rs::digest;

/// See the module.
#[derive(Clone, Default)]
pub struct Text(Arc<Inner>);

#[derive(Default)]
struct Inner {
    text: Box<str>,
    sha256: OnceLock<[u8; 32]>,
    /// Its beginning, as it was cut for a record.
    cut: OnceLock<Text>,
}

impl Text {
    /// SHA-256 of all of it.
    pub(super) fn sha256(&self) -> [u8; 32] {
        *self.0.sha256.get_or_init(|| {
            let mut sha256 = [0; 32];
            let hash = digest::digest(&digest::SHA256, self.as_bytes());
            let both = sha256.iter_mut().zip(hash.as_ref());
            both.for_each(|(to, from)| *to = *from);
            sha256
        })
    }

    /// Its first bytes, so many.
    pub(super) fn beginning(&self, bytes: usize) -> Self {
        let begins = || Self::from(self.get(..bytes).unwrap_or_default());
        let cut = self.0.cut.get_or_init(begins);
        if cut.len() == bytes { cut.clone() } else { begins() }
    }

    /// Whether both are one, and not only the same.
    #[cfg(test)]
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0.text
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(Arc::new(Inner {
            text: text.into(),
            ..Inner::default()
        }))
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Text {}

/// What was said in a session is nothing for our own logs.
impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.len())
    }
}
