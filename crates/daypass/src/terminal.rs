//! Lines for people, on standard error.

use std::fmt::Display;
use std::io::Write as _;

/// Says a line. Whoever reads may have gone (`| head`): that is no failure of the command.
pub(crate) fn say(line: impl Display) {
    let _gone = writeln!(std::io::stderr().lock(), "{line}");
}
