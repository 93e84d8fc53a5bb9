//! The encoding of SSH: how numbers and strings stand in a message. Without IO.
//!
//! Source: RFC 4251, section 5.

/// What is not encoded as it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message is not as SSH has it")]
pub struct Malformed;

/// Writes values one after another.
#[derive(Debug, Default, Clone)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    /// A message of this number.
    #[must_use]
    pub fn message(number: u8) -> Self {
        Self(vec![number])
    }

    /// A byte.
    #[must_use]
    pub fn u8(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    /// Yes or no.
    #[must_use]
    pub fn bool(self, value: bool) -> Self {
        self.u8(u8::from(value))
    }

    /// A number.
    #[must_use]
    pub fn u32(mut self, value: u32) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// Bytes with their length before them. Nothing that we write comes near the four bytes of the length.
    #[must_use]
    pub fn string(self, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        let mut written = self.u32(u32::try_from(value.len()).unwrap_or(u32::MAX));
        written.0.extend_from_slice(value);
        written
    }

    /// A positive number of any length, from its bytes.
    #[must_use]
    pub fn mpint(self, value: &[u8]) -> Self {
        let zeros = value.iter().take_while(|byte| **byte == 0).count();
        let value = value.get(zeros..).unwrap_or_default();
        // The first bit is the sign.
        if value.first().is_some_and(|first| first & 0x80 != 0) {
            let mut written = self.u32(u32::try_from(value.len() + 1).unwrap_or(u32::MAX)).u8(0);
            written.0.extend_from_slice(value);
            return written;
        }
        self.string(value)
    }

    /// What follows as it is.
    #[must_use]
    pub fn raw(mut self, value: &[u8]) -> Self {
        self.0.extend_from_slice(value);
        self
    }

    /// The message.
    #[must_use]
    pub fn done(self) -> Vec<u8> {
        self.0
    }
}

/// Reads values one after another.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// A byte.
    ///
    /// # Errors
    /// There is none.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        let (first, rest) = self.0.split_first().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*first)
    }

    /// Yes or no; all but zero is a yes.
    ///
    /// # Errors
    /// There is none.
    pub fn bool(&mut self) -> Result<bool, Malformed> {
        Ok(self.u8()? != 0)
    }

    /// A number.
    ///
    /// # Errors
    /// There is none.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        let (value, rest) = self.0.split_first_chunk::<4>().ok_or(Malformed)?;
        self.0 = rest;
        Ok(u32::from_be_bytes(*value))
    }

    /// A longer number.
    ///
    /// # Errors
    /// There is none.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        let (value, rest) = self.0.split_first_chunk::<8>().ok_or(Malformed)?;
        self.0 = rest;
        Ok(u64::from_be_bytes(*value))
    }

    /// Bytes with their length before them.
    ///
    /// # Errors
    /// There are fewer.
    pub fn string(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.u32()?).map_err(|_| Malformed)?;
        let (value, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(value)
    }

    /// The same, which must be UTF-8.
    ///
    /// # Errors
    /// There are fewer, or it is not.
    pub fn text(&mut self) -> Result<&'a str, Malformed> {
        str::from_utf8(self.string()?).map_err(|_| Malformed)
    }

    /// A positive number, without needless zeros.
    ///
    /// # Errors
    /// There is none, or it is negative or not written as it must be.
    pub fn mpint(&mut self) -> Result<&'a [u8], Malformed> {
        match self.string()? {
            [0, rest @ ..] if rest.first().is_some_and(|first| first & 0x80 != 0) => Ok(rest),
            digits @ [first, ..] if *first != 0 && first & 0x80 == 0 => Ok(digits),
            _ => Err(Malformed),
        }
    }

    /// Nothing may follow.
    ///
    /// # Errors
    /// Something does.
    pub const fn end(&self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_length_are_written_as_the_rfc_has_them() {
        let written = |bytes: &[u8]| hex::encode(Writer::default().mpint(bytes).done());
        assert_eq!(written(&[0, 0]), "00000000");
        assert_eq!(
            written(&hex::decode("09a378f9b2e332a7").unwrap()),
            "0000000809a378f9b2e332a7"
        );
        assert_eq!(written(&[0, 0x80]), "000000020080");
        for broken in ["00000000", "00000001ff", "000000020001", "0000000500"] {
            let bytes = hex::decode(broken).unwrap();
            assert_eq!(Reader(&bytes).mpint(), Err(Malformed), "{broken}");
        }
        assert_eq!(
            Reader(&hex::decode("000000020080").unwrap()).mpint(),
            Ok(&[0x80][..])
        );
    }
}
