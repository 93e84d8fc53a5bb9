//! From a program's output and exit code to an answer or a fault. What cannot be understood is a bug, and may have had an
//! effect; only what was said in so many words is believed.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use daypass_core::entitlement::Fault;

use super::message::Answer;
use super::redact::Redactor;
use super::run::Ended;
use crate::Error;

/// How much of standard error is shown, in characters.
const SHOWN: usize = 220;

/// What a program answered.
///
/// # Errors
/// What it reported, or what is wrong with how it ended.
pub(super) fn of(ended: &Ended, redactor: &Redactor) -> Result<Answer, Error> {
    let complaint = |fault: Fault, what: &str| {
        let what = redactor.clean(what.as_bytes());
        let said = last(&redactor.clean(ended.stderr.whole_lines()));
        match said.as_str() {
            "" => Error::new(fault, what),
            said => Error::new(fault, format!("{what}; it said: {said}")),
        }
    };
    let status = match &ended.status {
        Ok(status) => *status,
        Err(error) => return Err(complaint(error.fault, &error.detail)),
    };
    match (Answer::read(&ended.stdout), status.success()) {
        // An error that is told counts, whatever the exit code.
        (Ok(Answer::Error { error, detail }), _) => match detail.trim() {
            "" => Err(complaint(error, "it gives no details")),
            detail => Err(Error::new(error, redactor.clean(detail.as_bytes()))),
        },
        (Ok(answer), true) => Ok(answer),
        (Ok(answer), false) => {
            let what = format!("it answered {:?} and {}", answer.name(), how(status));
            Err(complaint(Fault::Bug, &what))
        }
        (Err(wrong), true) => Err(complaint(Fault::Bug, &wrong)),
        (Err(_), false) => Err(complaint(fault(status), &how(status))),
    }
}

/// What an exit code means where nothing was answered: the conventional ones of sysexits(3), and a bug for all others.
fn fault(status: ExitStatus) -> Fault {
    match status.code() {
        // EX_UNAVAILABLE, EX_TEMPFAIL
        Some(69 | 75) => Fault::Unavailable,
        // EX_NOPERM
        Some(77) => Fault::Denied,
        // EX_CONFIG
        Some(78) => Fault::Misconfigured,
        _ => Fault::Bug,
    }
}

fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended in an unknown way".to_owned(),
    }
}

/// The last characters of a text, from the beginning of a word.
fn last(text: &str) -> String {
    let text = text.trim();
    let length = text.chars().count();
    if length <= SHOWN {
        return text.to_owned();
    }
    let end: String = text.chars().skip(length - SHOWN).collect();
    match end.split_once(char::is_whitespace) {
        Some((_, rest)) => format!("… {rest}"),
        None => format!("…{end}"),
    }
}
