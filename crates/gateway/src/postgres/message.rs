//! What the gateway itself says to a client, as bytes.

use bytes::{BufMut as _, BytesMut};

use super::frame::HEAD;
use super::startup::CancelKey;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The statement failed.
    Error,
    /// The connection ends.
    Fatal,
    /// For information.
    Notice,
}

/// An ErrorResponse or NoticeResponse of our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// How bad.
    pub severity: Severity,
    /// SQLSTATE, of PostgreSQL's appendix A.
    pub code: &'static str,
    /// In one line.
    pub message: String,
    /// What next.
    pub hint: Option<String>,
}

impl Said {
    /// The connection ends.
    pub fn fatal(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Fatal,
            code,
            message: message.into(),
            hint: None,
        }
    }

    /// For information.
    pub fn notice(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Notice,
            code: "00000",
            message: message.into(),
            hint: None,
        }
    }

    /// The statement failed.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            hint: None,
        }
    }

    /// With what to do next.
    #[must_use]
    pub fn hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    /// Appends it.
    pub fn write(&self, out: &mut BytesMut) {
        let (kind, severity) = match self.severity {
            Severity::Error => (b'E', "ERROR"),
            Severity::Fatal => (b'E', "FATAL"),
            Severity::Notice => (b'N', "NOTICE"),
        };
        frame(out, kind, |out| {
            field(out, b'S', severity);
            field(out, b'V', severity);
            field(out, b'C', self.code);
            field(out, b'M', &self.message);
            if let Some(hint) = &self.hint {
                field(out, b'H', hint);
            }
            out.put_u8(0);
        });
    }
}

fn field(out: &mut BytesMut, kind: u8, value: &str) {
    out.put_u8(kind);
    text(out, value);
}

/// A text and its zero byte. One in the text itself would end it early.
fn text(out: &mut BytesMut, value: &str) {
    out.extend(value.bytes().map(|byte| if byte == 0 { b' ' } else { byte }));
    out.put_u8(0);
}

/// Appends a frame with what `body` writes.
pub fn frame(out: &mut BytesMut, kind: u8, body: impl FnOnce(&mut BytesMut)) {
    let begin = out.len();
    out.put_u8(kind);
    out.put_u32(0);
    body(out);
    let length = u32::try_from(out.len() - begin - 1).unwrap_or(u32::MAX);
    if let Some(place) = out.get_mut(begin + 1..begin + HEAD) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

/// Which mechanisms of SASL there are.
pub fn sasl(out: &mut BytesMut, mechanisms: &[&str]) {
    frame(out, b'R', |out| {
        out.put_u32(10);
        for mechanism in mechanisms {
            text(out, mechanism);
        }
        out.put_u8(0);
    });
}

/// The server's first message of SASL.
pub fn sasl_continue(out: &mut BytesMut, data: &str) {
    frame(out, b'R', |out| {
        out.put_u32(11);
        out.put_slice(data.as_bytes());
    });
}

/// The server's last message of SASL, and that the client is in.
pub fn authenticated(out: &mut BytesMut, data: &str) {
    frame(out, b'R', |out| {
        out.put_u32(12);
        out.put_slice(data.as_bytes());
    });
    frame(out, b'R', |out| out.put_u32(0));
}

/// What the client has to cancel with.
pub fn key_data(out: &mut BytesMut, key: CancelKey) {
    frame(out, b'K', |out| {
        out.put_u32(key.process);
        out.put_u32(key.key);
    });
}

/// That no newer minor version is spoken, and none of these extensions. The version is told whole, as PostgreSQL does and libpq
/// wants it, and not as the minor number alone that the protocol's description speaks of.
pub fn negotiate(out: &mut BytesMut, extensions: &[String]) {
    frame(out, b'v', |out| {
        out.put_u32(3 << 16);
        out.put_u32(u32::try_from(extensions.len()).unwrap_or(0));
        for extension in extensions {
            text(out, extension);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::frame::{Head, Report};

    #[test]
    fn an_error_reads_as_what_was_said_and_a_zero_byte_ends_nothing() {
        let mut out = BytesMut::new();
        let said = Said::fatal("57P01", "over\0and out").hint(Some("ask again".to_owned()));
        said.write(&mut out);
        let head = Head::read(&out).unwrap().unwrap();
        assert_eq!((head.kind, head.total()), (b'E', out.len()));
        let report = Report::read(&out[5..]).unwrap();
        assert!(report.is_fatal());
        assert_eq!(report.code.as_ref(), Some(b"57P01"));
        assert_eq!(report.message, Some(&b"over and out"[..]));
    }
}
