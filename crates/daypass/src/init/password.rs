//! The first administrator's password: asked for, read from a script, or made up.

use std::io::{BufRead as _, IsTerminal as _};

use daypass_server::edge;
use secrecy::{ExposeSecret as _, SecretString};

use crate::failure::Failure;

/// Letters and digits without those that look alike (Crockford's base 32, in lower case).
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Characters of a password that is made up: 100 random bits.
const LENGTH: usize = 20;

/// The password, and whether whoever runs this knows it already.
pub(super) struct Chosen {
    pub(super) password: SecretString,
    pub(super) made_up: bool,
}

impl Chosen {
    /// The password, where it must be shown.
    pub(super) fn shown(&self) -> Option<&str> {
        self.made_up.then(|| self.password.expose_secret())
    }
}

/// Gets the password in the way that the command line says.
pub(super) fn choose(login: &str, from_stdin: bool, no_input: bool) -> Result<Chosen, Failure> {
    let (password, made_up) = if from_stdin {
        (first_line()?, false)
    } else if no_input {
        (made_up(), true)
    } else if std::io::stdin().is_terminal() {
        (asked(login)?, false)
    } else {
        return Err(
            Failure::usage("there is no terminal to ask for the administrator's password at")
                .hint("daypass init --no-input (makes one up and prints it), or --password-stdin"),
        );
    };
    Ok(Chosen { password, made_up })
}

fn first_line() -> Result<SecretString, Failure> {
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    read.map_err(|error| Failure::error(format!("standard input cannot be read: {error}")))?;
    Ok(SecretString::from(line.trim_end_matches(['\r', '\n']).to_owned()))
}

fn asked(login: &str) -> Result<SecretString, Failure> {
    let typed = dialoguer::Password::new()
        .with_prompt(format!("A password for the administrator {login}"))
        .with_confirmation("Once more", "The two differ; again")
        .interact();
    typed
        .map(SecretString::from)
        .map_err(|error| Failure::error(format!("no password was given: {error}")))
}

fn made_up() -> SecretString {
    let bytes: [u8; LENGTH] = edge::random();
    let mut text = String::new();
    for (place, byte) in bytes.iter().enumerate() {
        if place > 0 && place % 5 == 0 {
            text.push('-');
        }
        text.push(
            ALPHABET
                .get(usize::from(byte % 32))
                .map_or('0', |c| char::from(*c)),
        );
    }
    SecretString::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_up_password_is_long_plain_and_never_the_same() {
        let one = made_up();
        assert_eq!(one.expose_secret().len(), LENGTH + 3);
        assert_ne!(one.expose_secret(), made_up().expose_secret());
    }
}
