//! What somebody at the keyboard is asked. Nobody is asked under `--no-input`, or where no terminal is there.

use std::io::Read as _;

use dialoguer::{Confirm, Input, Password};
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

use crate::clean::clean;
use crate::context::Context;
use crate::failure::Failure;

/// The longest password that is read from stdin, in bytes.
const MAX_PASSWORD: u64 = 4096;

/// A line of text; `None` where nobody can be asked or nothing was entered.
pub(crate) fn line(context: &Context, prompt: &str) -> Result<Option<String>, Failure> {
    if !context.may_ask() {
        return Ok(None);
    }
    let input: String = Input::new()
        .with_prompt(clean(prompt))
        .allow_empty(true)
        .report(false)
        .interact_text()
        .map_err(gone)?;
    let input = input.trim();
    Ok((!input.is_empty()).then(|| input.to_owned()))
}

/// A line of text, with one to take where nothing is entered.
pub(crate) fn line_or(
    context: &Context,
    prompt: &str,
    otherwise: Option<&str>,
) -> Result<Option<String>, Failure> {
    let shown = otherwise.map_or_else(
        || prompt.to_owned(),
        |otherwise| format!("{prompt} [{otherwise}]"),
    );
    if !context.may_ask() {
        return Ok(None);
    }
    Ok(line(context, &shown)?.or_else(|| otherwise.map(str::to_owned)))
}

/// Yes or no; yes where nobody can be asked, for the command itself said so.
pub(crate) fn confirm(context: &Context, prompt: &str) -> Result<bool, Failure> {
    if !context.may_ask() {
        return Ok(true);
    }
    Confirm::new()
        .with_prompt(clean(prompt))
        .default(false)
        .interact()
        .map_err(gone)
}

/// A password: the first line of stdin, or typed unseen.
pub(crate) fn password(
    context: &Context,
    from_stdin: bool,
    prompt: &str,
    twice: bool,
) -> Result<SecretString, Failure> {
    if from_stdin {
        return password_from_stdin();
    }
    if !context.may_ask() {
        return Err(
            Failure::usage("a password is needed, and nobody can be asked for it")
                .hint("pipe it in with --password-stdin"),
        );
    }
    let mut ask = Password::new().with_prompt(clean(prompt)).report(false);
    if twice {
        ask = ask.with_confirmation("Again", "The two differ");
    }
    ask.interact().map(SecretString::from).map_err(gone)
}

fn password_from_stdin() -> Result<SecretString, Failure> {
    let text = stdin()?;
    secret_line(&text, 0).ok_or_else(|| Failure::usage("there is no password on stdin"))
}

/// A new password from the first line of stdin, and the present one from the second where it is needed.
pub(crate) fn two_passwords_from_stdin(both: bool) -> Result<(SecretString, Option<SecretString>), Failure> {
    let text = stdin()?;
    let first = secret_line(&text, 0).ok_or_else(|| Failure::usage("there is no password on stdin"))?;
    let second = secret_line(&text, 1);
    if both && second.is_none() {
        return Err(
            Failure::usage("your present password is needed as the second line on stdin")
                .hint("printf '%s\\n' \"$NEW\" \"$PRESENT\" | daypass user password --password-stdin"),
        );
    }
    Ok((first, second.filter(|_| both)))
}

fn secret_line(text: &str, number: usize) -> Option<SecretString> {
    text.lines()
        .nth(number)
        .filter(|line| !line.is_empty())
        .map(|line| SecretString::from(line.to_owned()))
}

fn stdin() -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::new());
    std::io::stdin()
        .take(MAX_PASSWORD)
        .read_to_string(&mut text)
        .map_err(|error| Failure::error(format!("stdin cannot be read: {error}")))?;
    Ok(text)
}

fn gone(error: dialoguer::Error) -> Failure {
    Failure::error(format!("nothing was entered: {error}"))
}
