//! Waiting for something outside this process to happen: a condition and a deadline, never a fixed sleep.
#![expect(
    clippy::disallowed_methods,
    reason = "the one place of the testbed that reads the clock and sleeps"
)]

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::{Error, Result};

/// How long to pause between two looks. Short, because tests wait on it; each look is a file read or a `connect`.
const PAUSE: Duration = Duration::from_millis(5);

/// Looks again and again until `look` finds something, and fails with [`Error::TooLate`] after `within`.
///
/// # Errors
/// What `look` returns as an error ends the waiting at once.
///
/// ```
/// use std::time::Duration;
/// let mut looks = 0;
/// let found = daypass_testbed::wait::until("three looks", Duration::from_secs(5), || {
///     looks += 1;
///     Ok((looks == 3).then_some("here"))
/// });
/// assert_eq!(found.unwrap(), "here");
/// ```
pub fn until<T>(what: &str, within: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if begun.elapsed() >= within {
            return Err(Error::TooLate {
                what: what.to_owned(),
                within,
            });
        }
        sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_did_not_happen_and_looks_at_least_once() {
        let mut looks = 0;
        let error = until("a miracle", Duration::ZERO, || {
            looks += 1;
            Ok(None::<()>)
        })
        .unwrap_err();
        assert_eq!(looks, 1);
        assert!(
            error.to_string().starts_with("a miracle did not happen"),
            "{error}"
        );
    }

    #[test]
    fn an_error_ends_the_waiting_at_once() {
        let error = until("nothing", Duration::from_secs(60), || {
            Err::<Option<()>, _>(Error::NobodyToBecome)
        });
        assert!(matches!(error, Err(Error::NobodyToBecome)));
    }
}
