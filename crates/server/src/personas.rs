//! Who one can be in a demo without typing a password. Only a program that starts a demo's server has this to give; no configuration does.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use secrecy::{ExposeSecret as _, SecretString};

use crate::edge;

/// Somebody in a demo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Persona {
    /// What they log in with.
    pub login: String,
    /// What they are called.
    pub name: String,
    /// What they are in the demo for.
    pub about: String,
}

/// Everybody whom one can be, and what opens that door: others on the same machine reach the demo's port too.
pub struct Personas {
    cast: Vec<Persona>,
    password: SecretString,
    key: SecretString,
}

/// The way in: whoever has it may be everybody in the demo.
#[derive(Clone)]
pub struct Entrance(SecretString);

impl Personas {
    /// These, who all have this password.
    #[must_use]
    pub fn new(password: SecretString, cast: Vec<Persona>) -> Self {
        Self {
            cast,
            password,
            key: hex::encode(edge::random::<24>()).into(),
        }
    }

    /// The way in.
    #[must_use]
    pub fn entrance(&self) -> Entrance {
        Entrance(self.key.clone())
    }

    /// Everybody.
    pub(crate) fn cast(&self) -> &[Persona] {
        &self.cast
    }

    /// Their password, where it is one of them.
    pub(crate) fn password_of(&self, login: &str) -> Option<&SecretString> {
        let known = self.cast.iter().any(|one| one.login == login);
        known.then_some(&self.password)
    }

    /// Whether this opens the door.
    pub(crate) fn is_key(&self, typed: &SecretString) -> bool {
        let (typed, key) = (typed.expose_secret(), self.key.expose_secret());
        verify_slices_are_equal(typed.as_bytes(), key.as_bytes()).is_ok()
    }
}

impl Entrance {
    /// Its address, at the server of this one. It is a secret.
    #[must_use]
    pub fn at(&self, server: &str) -> String {
        format!("{server}/demo/enter/{}", self.0.expose_secret())
    }

    /// A page that leads there, for a file that only one's own browser reads: what a program is started with, all users of a machine see.
    #[must_use]
    pub fn page(&self, server: &str) -> Option<String> {
        crate::web::leading_to(&self.at(server))
    }
}

impl fmt::Debug for Personas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Personas")
            .field("cast", &self.cast)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Entrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entrance(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_opens_and_nothing_shows_it() {
        let cast = vec![Persona {
            login: "ana".into(),
            name: "Ana".into(),
            about: "asks".into(),
        }];
        let personas = Personas::new("a quiet river".into(), cast);
        let address = personas.entrance().at("http://127.0.0.1:1");
        let key = address.rsplit('/').next().unwrap().to_owned();
        assert!(personas.is_key(&key.clone().into()));
        for other in ["", "x", &key[1..], &format!("{key}0")] {
            assert!(!personas.is_key(&other.to_owned().into()), "{other}");
        }
        assert!(personas.password_of("root").is_none(), "nobody of the cast");
        let shown = format!("{personas:?} {:?}", personas.entrance());
        assert!(!shown.contains(&key) && !shown.contains("river"), "{shown}");
    }
}
