//! The frames of PostgreSQL's protocol, without IO: a type byte, a length, a body. What comes from strangers is read here.
//!
//! Source: PostgreSQL's documentation, "Message Formats"; lengths include themselves but not the type byte.

use std::fmt;
use std::ops::Range;

use thiserror::Error;

/// Type byte and length.
pub const HEAD: usize = 5;

/// The longest body that PostgreSQL itself takes (`PQ_LARGE_MESSAGE_LIMIT`, 1 GiB less one, with its length).
const LONGEST: usize = 0x3fff_ffff - 4;

/// Bytes that are no protocol. It says nothing of what was in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Malformed {
    /// Shorter than itself, or negative.
    #[error("a message with an impossible length")]
    Length,
    /// Longer than is taken.
    #[error("a message that is longer than allowed")]
    TooLong,
    /// Of a type that does not exist, or not here.
    #[error("a message of a type that is not allowed here")]
    Kind,
    /// Its body is not what its type says.
    #[error("a message whose content does not fit its type")]
    Body,
    /// A name of which PostgreSQL compares the beginning only.
    #[error("a name of a statement or portal with more than 63 bytes")]
    Name,
    /// A COPY failed, and what was sent behind it ran or did not: nobody could tell from the answers.
    #[error("messages behind a COPY of which nobody can tell whether they ran")]
    Untold,
}

/// The beginning of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The type byte.
    pub kind: u8,
    /// How many bytes follow the head.
    pub body: usize,
}

impl Head {
    /// Reads it; `None` where there are too few bytes yet.
    ///
    /// # Errors
    /// The length is impossible.
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, Malformed> {
        let Some((kind, rest)) = bytes.split_first() else {
            return Ok(None);
        };
        let Some(length) = rest.first_chunk::<4>() else {
            return Ok(None);
        };
        let length = i32::from_be_bytes(*length);
        let body = usize::try_from(length)
            .ok()
            .and_then(|length| length.checked_sub(4))
            .ok_or(Malformed::Length)?;
        if body > LONGEST {
            return Err(Malformed::TooLong);
        }
        Ok(Some(Self { kind: *kind, body }))
    }

    /// The whole frame.
    #[must_use]
    pub const fn total(self) -> usize {
        HEAD + self.body
    }
}

/// Reads fields of a body, one after the other; `None` where there are too few bytes.
#[derive(Clone, Copy)]
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    /// So many bytes.
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// One byte.
    pub fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// A 16-bit number.
    pub fn int16(&mut self) -> Option<i16> {
        let (taken, rest) = self.0.split_first_chunk::<2>()?;
        self.0 = rest;
        Some(i16::from_be_bytes(*taken))
    }

    /// A 32-bit number.
    pub fn int32(&mut self) -> Option<i32> {
        let (taken, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(i32::from_be_bytes(*taken))
    }

    /// A text that ends with a zero byte, without it.
    pub fn text(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let text = self.take(end)?;
        self.byte()?;
        Some(text)
    }

    /// A text that is a name.
    fn name(&mut self) -> Result<&'a [u8], Malformed> {
        let name = self.text().ok_or(Malformed::Body)?;
        if name.len() > NAME {
            return Err(Malformed::Name);
        }
        Ok(name)
    }
}

/// The fields of an ErrorResponse or NoticeResponse that are looked at.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Report<'a> {
    /// `ERROR`, `FATAL`, `PANIC` (field `V`, which is never translated).
    pub severity: Option<&'a [u8]>,
    /// SQLSTATE.
    pub code: Option<[u8; 5]>,
    /// The primary message.
    pub message: Option<&'a [u8]>,
}

/// Its code: a message of the target may quote values.
impl fmt::Debug for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code.unwrap_or(*b"?????");
        write!(f, "Report({})", code.escape_ascii())
    }
}

impl<'a> Report<'a> {
    /// Reads it.
    ///
    /// # Errors
    /// The body is not a list of fields.
    pub fn read(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut fields = Fields(body);
        let mut report = Self::default();
        report.fields(&mut fields).ok_or(Malformed::Body)?;
        Ok(report)
    }

    /// Reads as much of it as is there, of one that is longer than is read. Severity and code come before what is long.
    #[must_use]
    pub fn beginning(body: &'a [u8]) -> Self {
        let mut report = Self::default();
        let _ = report.fields(&mut Fields(body));
        report
    }

    fn fields(&mut self, fields: &mut Fields<'a>) -> Option<()> {
        let report = self;
        loop {
            let kind = fields.byte()?;
            if kind == 0 {
                return Some(());
            }
            let text = fields.text()?;
            match kind {
                b'V' => report.severity = Some(text),
                b'C' => report.code = text.try_into().ok(),
                b'M' => report.message = Some(text),
                _ => {}
            }
        }
    }

    /// Whether the connection ends with it.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        matches!(self.severity, Some(b"FATAL" | b"PANIC"))
    }
}

/// What a client's message means to us.
#[derive(Clone, PartialEq, Eq)]
pub enum Front<'a> {
    /// A string of statements, by the simple protocol.
    Query {
        /// The text, without its end.
        text: &'a [u8],
    },
    /// A statement to prepare.
    Parse {
        /// Its name; empty is the unnamed one.
        name: &'a [u8],
        /// The text, without its end.
        text: &'a [u8],
    },
    /// Values for a statement.
    Bind {
        /// The portal to make.
        portal: &'a [u8],
        /// The statement.
        statement: &'a [u8],
        /// Formats and values, as far as they are here.
        rest: &'a [u8],
    },
    /// Runs a portal.
    Execute {
        /// Which.
        portal: &'a [u8],
    },
    /// Describes a statement (`S`) or a portal (`P`).
    Describe,
    /// Forgets a statement (`S`) or a portal (`P`).
    Close {
        /// Which kind.
        kind: u8,
        /// Which.
        name: &'a [u8],
    },
    /// The end of a batch.
    Sync,
    /// Wants what there is.
    Flush,
    /// Calls a function by its number.
    FunctionCall {
        /// Its OID.
        number: u32,
        /// Formats and arguments, as in a Bind.
        rest: &'a [u8],
    },
    /// Data of a COPY.
    CopyData,
    /// The end of a COPY's data.
    CopyDone,
    /// A COPY given up.
    CopyFail,
    /// Goodbye.
    Terminate,
}

/// How much of a client's message must be there before it is read: texts are read whole, values and data only from their
/// beginning.
///
/// # Errors
/// No client sends a message of this type to a server that is ready, or it is longer than `statement` (texts, function calls)
/// or than a name can be.
pub fn needed(head: Head, statement: usize) -> Result<usize, Malformed> {
    let most = match head.kind {
        b'Q' | b'P' | b'F' => statement,
        b'B' | b'd' => LONGEST,
        b'E' | b'D' | b'C' if head.body > NAME + 8 => return Err(Malformed::Name),
        b'E' | b'D' | b'C' => NAME + 8,
        b'f' => NAMES,
        b'S' | b'H' | b'c' | b'X' => 0,
        _ => return Err(Malformed::Kind),
    };
    if head.body > most {
        return Err(Malformed::TooLong);
    }
    Ok(match head.kind {
        b'B' => head.body.min(NAMES),
        b'd' => 0,
        _ => head.body,
    })
}

/// The most bytes of a Bind that are looked at.
pub const NAMES: usize = 64 * 1024;

/// The longest name of a statement or portal: PostgreSQL compares so many bytes (`NAMEDATALEN` less one), so that two longer ones
/// that we told apart could be one to it. Drivers number theirs.
pub const NAME: usize = 63;

impl<'a> Front<'a> {
    /// Reads a message of which [`needed`] bytes are there.
    ///
    /// # Errors
    /// It is not what its type says.
    pub fn read(head: Head, body: &'a [u8]) -> Result<Self, Malformed> {
        let mut fields = Fields(body);
        let read = Self::fields(head, &mut fields)?;
        let open = matches!(
            read,
            Self::Parse { .. }
                | Self::Bind { .. }
                | Self::FunctionCall { .. }
                | Self::CopyData
                | Self::Execute { .. }
        );
        // PostgreSQL refuses what is left over too (`pq_getmsgend`), but a statement must not hide behind another.
        if open || fields.0.is_empty() {
            Ok(read)
        } else {
            Err(Malformed::Body)
        }
    }

    fn fields(head: Head, fields: &mut Fields<'a>) -> Result<Self, Malformed> {
        Ok(match head.kind {
            b'Q' => Self::Query {
                text: fields.text().ok_or(Malformed::Body)?,
            },
            b'P' => Self::Parse {
                name: fields.name()?,
                text: fields.text().ok_or(Malformed::Body)?,
            },
            b'B' => Self::Bind {
                portal: fields.name()?,
                statement: fields.name()?,
                rest: fields.0,
            },
            b'E' => Self::Execute {
                portal: fields.name()?,
            },
            b'D' => {
                described(fields)?;
                Self::Describe
            }
            b'C' => {
                let (kind, name) = described(fields)?;
                Self::Close { kind, name }
            }
            b'S' => Self::Sync,
            b'H' => Self::Flush,
            b'F' => Self::FunctionCall {
                number: fields.int32().ok_or(Malformed::Body)?.cast_unsigned(),
                rest: fields.0,
            },
            b'd' => Self::CopyData,
            b'c' => Self::CopyDone,
            b'f' => {
                fields.text().ok_or(Malformed::Body)?;
                Self::CopyFail
            }
            b'X' => Self::Terminate,
            _ => return Err(Malformed::Body),
        })
    }
}

/// Its kind, and how much there is of it: texts and values are not for logs.
impl fmt::Debug for Front<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, bytes) = match self {
            Self::Query { text } => ("Query", text.len()),
            Self::Parse { text, .. } => ("Parse", text.len()),
            Self::Bind { rest, .. } => ("Bind", rest.len()),
            Self::Execute { .. } => ("Execute", 0),
            Self::Describe => ("Describe", 0),
            Self::Close { .. } => ("Close", 0),
            Self::Sync => ("Sync", 0),
            Self::Flush => ("Flush", 0),
            Self::FunctionCall { rest, .. } => ("FunctionCall", rest.len()),
            Self::CopyData => ("CopyData", 0),
            Self::CopyDone => ("CopyDone", 0),
            Self::CopyFail => ("CopyFail", 0),
            Self::Terminate => ("Terminate", 0),
        };
        write!(f, "{kind}({bytes} bytes)")
    }
}

fn described<'a>(fields: &mut Fields<'a>) -> Result<(u8, &'a [u8]), Malformed> {
    let kind = fields.byte().ok_or(Malformed::Body)?;
    let name = fields.name()?;
    if matches!(kind, b'S' | b'P') {
        Ok((kind, name))
    } else {
        Err(Malformed::Body)
    }
}

/// One value bound to a statement, as far as it was looked at.
#[derive(Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// NULL.
    Null,
    /// As text or in PostgreSQL's binary form.
    Bytes {
        /// Its beginning.
        bytes: &'a [u8],
        /// Whether that is all of it.
        whole: bool,
        /// In binary form.
        binary: bool,
    },
}

/// How long it is.
impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Bytes { bytes, .. } => write!(f, "Value({} bytes)", bytes.len()),
        }
    }
}

/// The values of a Bind or the arguments of a function call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Values<'a> {
    /// As many as are there; one that is cut off is not whole.
    pub here: Vec<Value<'a>>,
    /// How many were said to come besides.
    pub missing: usize,
}

/// Reads formats and values, `most` of them.
#[must_use]
pub fn values(rest: &[u8], most: usize) -> Values<'_> {
    let mut fields = Fields(rest);
    read_values(&mut fields, most).unwrap_or_default()
}

fn read_values<'a>(fields: &mut Fields<'a>, most: usize) -> Option<Values<'a>> {
    // Unsigned numbers since PostgreSQL 14: up to 65,535 values.
    let unsigned = |number: i16| usize::from(number.cast_unsigned());
    let count = unsigned(fields.int16()?);
    let formats: Vec<i16> = (0..count).map_while(|_| fields.int16()).collect();
    let Some(count) = fields.int16().map(unsigned) else {
        // The formats alone are more than is looked at: the values are all left out, and as many as there are formats at least.
        return Some(Values {
            here: Vec::new(),
            missing: count.max(1),
        });
    };
    let mut values = Vec::new();
    for index in 0..count.min(most) {
        let Some(length) = fields.int32() else { break };
        let Ok(length) = usize::try_from(length) else {
            values.push(Value::Null);
            continue;
        };
        let format = match formats.as_slice() {
            [all] => Some(all),
            each => each.get(index),
        };
        let binary = format == Some(&1);
        let here = length.min(fields.0.len());
        let bytes = fields.take(here)?;
        let whole = here == length;
        values.push(Value::Bytes { bytes, whole, binary });
        if !whole {
            break;
        }
    }
    let missing = count - values.len();
    Some(Values {
        here: values,
        missing,
    })
}

/// Splits what a target sent into whole frames, and says what to do with the beginning of one.
#[derive(Debug, Default)]
pub struct Splitter {
    /// Bytes of a frame that is passed on in pieces which are still to come.
    rest: usize,
}

/// A look at the next bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// The rest of a frame that is passed on in pieces: so many bytes of the buffer.
    Rest(usize),
    /// A frame: its head, and how many bytes of the buffer are of it.
    Frame {
        /// Its head.
        head: Head,
        /// Its body in the buffer: all of it, or what was needed.
        body: Range<usize>,
        /// How many bytes of the buffer are its.
        end: usize,
    },
    /// Come back with at least so many bytes in the buffer.
    More(usize),
}

impl Splitter {
    /// Whether the last byte that was passed on ended a frame.
    #[must_use]
    pub const fn is_between_frames(&self) -> bool {
        self.rest == 0
    }

    /// Looks at `bytes`. `need` says of a head how much of the body must be there to look at it; a frame of which more than
    /// `hold` bytes are still to come is passed on in pieces.
    ///
    /// # Errors
    /// The length is impossible, or `need` refuses.
    pub fn next(
        &mut self,
        bytes: &[u8],
        hold: usize,
        need: impl FnOnce(Head) -> Result<usize, Malformed>,
    ) -> Result<Piece, Malformed> {
        if self.rest > 0 {
            let here = self.rest.min(bytes.len());
            if here == 0 {
                return Ok(Piece::More(1));
            }
            self.rest -= here;
            return Ok(Piece::Rest(here));
        }
        let Some(head) = Head::read(bytes)? else {
            return Ok(Piece::More(HEAD));
        };
        let need = HEAD + need(head)?.min(head.body);
        // Small frames are kept whole, so that an error can be put between two of them at any moment.
        let wanted = need.max(head.total().min(hold));
        if bytes.len() < wanted {
            return Ok(Piece::More(wanted));
        }
        let end = head.total().min(bytes.len());
        self.rest = head.total() - end;
        Ok(Piece::Frame {
            head,
            body: HEAD..end,
            end,
        })
    }
}

#[cfg(test)]
mod tests;
