//! The programs of `server.yaml`: what connectors of kind `command` may run, and all that is said of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use daypass_core::name::Name;
use daypass_core::time::Span;
use daypass_providers::Program;
use serde_saphyr::Spanned;

use super::check::{InFile, Result, shown};
use super::raw::RawProgram;
use super::{ProgramConfig, SecretSource};

/// Enough for a call to another machine and back.
const DEFAULT_TIMEOUT: Span = Span::seconds(30);

impl InFile<'_> {
    pub(super) fn program(
        &self,
        name: &str,
        raw: &Spanned<RawProgram>,
        secrets: &BTreeMap<String, SecretSource>,
    ) -> Result<ProgramConfig> {
        if let Err(bad) = name.parse::<Name>() {
            return Err(self.wrong(raw, bad.to_string()));
        }
        let program = &raw.value;
        for given in program.given() {
            if !secrets.contains_key(&given.value) {
                let what = format!("there is no secret \"{}\"", shown(&given.value));
                let hint = format!("secrets: {{{}: {{file: …}}}}", shown(&given.value));
                return Err(self.wrong(given, what).hint(hint));
            }
        }
        let values = program.env.iter().chain(&program.env_secrets);
        for (variable, at) in values.chain(program.inherit.iter().map(|at| (&at.value, at))) {
            self.variable(program, variable, at)?;
        }
        let texts = |values: &[Spanned<String>]| values.iter().map(|text| text.value.clone()).collect();
        let pairs = |values: &BTreeMap<String, Spanned<String>>| {
            let pairs = values.iter();
            pairs
                .map(|(name, text)| (name.clone(), text.value.clone()))
                .collect()
        };
        let span = |text: &Option<Spanned<String>>, default, least, most| match text {
            Some(text) => self.span(text, least, most),
            None => Ok(default),
        };
        let directory = match &program.directory {
            Some(directory) => self.absolute(directory)?,
            None => PathBuf::from("/"),
        };
        Ok(ProgramConfig {
            program: Program {
                path: self.absolute(&program.path)?,
                args: texts(&program.args),
                env: pairs(&program.env),
                secrets: program.secrets.iter().map(|name| name.value.clone()).collect(),
                env_secrets: pairs(&program.env_secrets),
                directory,
                timeout: span(
                    &program.timeout,
                    DEFAULT_TIMEOUT,
                    Span::seconds(1),
                    Span::minutes(2),
                )?,
                propagation: span(&program.propagation, Span::ZERO, Span::ZERO, Span::minutes(10))?,
                own_expiry: program.own_expiry.unwrap_or(false),
            },
            inherit: texts(&program.inherit),
        })
    }

    /// A path that no working directory and no search changes.
    fn absolute(&self, text: &Spanned<String>) -> Result<PathBuf> {
        let path = PathBuf::from(&text.value);
        if path.is_absolute() {
            return Ok(path);
        }
        let what = format!("\"{}\" is no absolute path", shown(&text.value));
        Err(self
            .wrong(text, what)
            .hint("the file itself, such as /opt/daypass/badges; nothing is looked for in PATH"))
    }

    fn variable(&self, program: &RawProgram, variable: &str, at: &Spanned<String>) -> Result<()> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if variable.is_empty()
            || variable.starts_with(|c: char| c.is_ascii_digit())
            || !variable.chars().all(plain)
        {
            let what = format!("\"{}\" is no name of a variable", shown(variable));
            return Err(self.wrong(at, what).hint("letters, digits and _, no digit first"));
        }
        let places = [
            program.env.contains_key(variable),
            program.env_secrets.contains_key(variable),
            program.inherit.iter().any(|one| one.value == variable),
        ];
        if places.into_iter().filter(|said| *said).count() > 1 {
            let what = format!("{variable} is said twice: it is one of env, env_secrets and inherit");
            return Err(self.wrong(at, what));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::trial::{parse, refused};

    #[test]
    fn a_whole_program_is_read() {
        let config = parse(concat!(
            "secrets: {token: {file: secrets/token}, other: {env: OTHER}}\n",
            "programs:\n  badges:\n    path: /opt/badges\n    args: [--site, madrid]\n    secrets: [token]\n",
            "    env: {LANG: C.UTF-8}\n    env_secrets: {API_KEY: other}\n    inherit: [HTTPS_PROXY]\n",
            "    directory: /var/lib/badges\n    timeout: 1m\n    propagation: 5s\n    own_expiry: true\n",
            "  lists: {path: /opt/lists}\n",
        ))
        .unwrap();
        let ProgramConfig { program, inherit } = &config.programs["badges"];
        assert_eq!(program.args, ["--site", "madrid"]);
        assert_eq!(program.env_secrets["API_KEY"], "other");
        assert_eq!(inherit, &["HTTPS_PROXY"]);
        assert!(program.own_expiry && program.propagation == Span::seconds(5));
        assert!(config.secrets["token"].hosts.is_empty(), "it goes to no host");
        let lists = &config.programs["lists"].program;
        assert_eq!(
            (lists.timeout, lists.directory.as_path()),
            (DEFAULT_TIMEOUT, Path::new("/"))
        );
    }

    #[test]
    fn the_users_page_is_true() {
        let page = include_str!("../../../../docs/providers/command.md");
        let (_, after) = page.split_once("says of a program\n\n```yaml\n").unwrap();
        let config = parse(after.split_once("```").unwrap().0).unwrap();
        let ProgramConfig { program, inherit } = &config.programs["badges"];
        assert_eq!(program.timeout, DEFAULT_TIMEOUT);
        assert_eq!(
            (program.env_secrets.len(), program.args.len(), inherit.len()),
            (1, 2, 1)
        );
    }

    #[test]
    fn what_cannot_be_is_refused_where_it_stands() {
        refused("programs: {a: {path: bin/a}}\n", "1:22", "no absolute path");
        refused(
            "programs: {a: {path: a, shell: true}}\n",
            "1:25",
            "no key \"shell\"",
        );
        refused("programs: {\"a b\": {path: /a}}\n", "1:19", "not a name");
        refused(
            "programs: {a: {path: /a, directory: x}}\n",
            "1:37",
            "no absolute path",
        );
        refused(
            "programs: {a: {path: /a, secrets: [token]}}\n",
            "1:36",
            "no secret \"token\"",
        );
        refused("programs: {a: {path: /a, timeout: 10m}}\n", "1:35", "outside");
        refused(
            "programs: {a: {path: /a, env: {A-B: x}}}\n",
            "1:37",
            "no name of a variable",
        );
        refused(
            "programs: {a: {path: /a, env: {A: x}, inherit: [A]}}\n",
            "1:35",
            "said twice",
        );
        refused("secrets: {token: {file: x}}\n", "1:18", "names no hosts");
    }
}
