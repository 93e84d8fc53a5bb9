//! `witnesses` of `server.yaml`: who cosigns the log's checkpoints.

use std::path::PathBuf;

use daypass_tlog::key::{NoKey, Use, Verifier};
use reqwest::Url;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::check::{InFile, Result, shown};

/// A server asks each witness every second; more are of no use.
const MOST: usize = 16;

/// Who cosigns the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WitnessesConfig {
    /// The witnesses.
    pub all: Vec<WitnessAt>,
    /// How many of them must have signed a checkpoint for it to count as witnessed.
    pub quorum: usize,
}

/// A witness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessAt {
    /// Its address, without `/add-checkpoint`.
    pub url: Url,
    /// Its public key.
    pub key: Verifier,
    /// Certificates that are trusted beside the system's own, in PEM.
    pub ca: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWitness {
    url: Spanned<String>,
    key: Spanned<String>,
    ca: Option<Spanned<String>>,
}

pub(super) fn check(
    file: &InFile<'_>,
    raw: &[RawWitness],
    quorum: Option<&Spanned<usize>>,
    signs: bool,
) -> Result<WitnessesConfig> {
    let mut all: Vec<WitnessAt> = Vec::new();
    for raw in raw {
        if !signs {
            return Err(file
                .wrong(&raw.url, "there is nothing to cosign: the log is not signed")
                .hint("signing_key: {file: secrets/log-key}"));
        }
        if all.len() >= MOST {
            return Err(file.wrong(&raw.url, format!("there are more than {MOST} witnesses")));
        }
        let witness = WitnessAt {
            url: url(file, &raw.url)?,
            key: key(file, &raw.key)?,
            ca: raw.ca.as_ref().map(|ca| file.path(ca)),
        };
        // Two of one name would be one in the log's store, and one vote too many here; so would one key under two names.
        let one = |other: &&WitnessAt| {
            other.key.name() == witness.key.name() || other.key.is_same_pair(&witness.key)
        };
        if let Some(other) = all.iter().find(one) {
            let what = if other.key.name() == witness.key.name() {
                format!("there are two witnesses {}", witness.key.name())
            } else {
                format!("it is the key of {} under another name", other.key.name())
            };
            return Err(file.wrong(&raw.key, what));
        }
        all.push(witness);
    }
    let quorum = match quorum {
        None => all.len(),
        Some(said) if (1..=all.len()).contains(&said.value) => said.value,
        Some(said) => {
            let what = format!(
                "witness_quorum is from 1 to the number of witnesses, which is {}",
                all.len()
            );
            return Err(file.wrong(said, what));
        }
    };
    Ok(WitnessesConfig { all, quorum })
}

/// An address. Plain HTTP is let be: what a witness signs cannot be forged, and nothing is secret. Its refusals are not signed.
fn url(file: &InFile<'_>, text: &Spanned<String>) -> Result<Url> {
    let bad = |why: &str| {
        file.wrong(text, format!("\"{}\" {why}", shown(&text.value)))
            .hint("https://witness.example.com:7400")
    };
    let url = Url::parse(text.value.trim_end_matches('/')).map_err(|_| bad("is no address"))?;
    if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
        return Err(bad("is no address of HTTP"));
    }
    if !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return Err(bad("has more than a host and a path"));
    }
    Ok(url)
}

fn key(file: &InFile<'_>, text: &Spanned<String>) -> Result<Verifier> {
    let key: Verifier = text.value.trim().parse().map_err(|error: NoKey| {
        file.wrong(text, format!("{error}"))
            .hint("the line that daypass witness prints, and writes to key.pub in its folder")
    })?;
    if key.what() == Use::Cosignature {
        Ok(key)
    } else {
        Err(file.wrong(text, "this is the key of a log, and no witness's"))
    }
}

#[cfg(test)]
mod tests {
    use daypass_tlog::key::Signer;

    use super::*;
    use crate::config::trial::{parse, refused};

    fn line(name: &str, what: Use) -> String {
        of_seed(name, what, 7)
    }

    fn of_seed(name: &str, what: Use, seed: u8) -> String {
        let key = Signer::new(name.parse().unwrap(), what, [seed; 32].into()).unwrap();
        key.verifier().to_string()
    }

    #[test]
    fn witnesses_are_read_and_all_of_them_count() {
        let (one, two) = (line("w/1", Use::Cosignature), of_seed("w/2", Use::Cosignature, 8));
        let text = format!(
            "signing_key: {{file: k}}\nwitnesses:\n  - {{url: \"http://10.0.0.7:7400/\", key: \"{one}\"}}\n  - {{url: \"https://w.example\", key: \"{two}\", ca: ca.pem}}\n"
        );
        let config = parse(&text).unwrap().witnesses;
        assert_eq!((config.all.len(), config.quorum), (2, 2));
        assert_eq!(config.all[1].ca, Some("/etc/daypass/ca.pem".into()));
        assert_eq!(
            parse(&format!("{text}witness_quorum: 1\n"))
                .unwrap()
                .witnesses
                .quorum,
            1
        );
        refused(&format!("{text}witness_quorum: 3\n"), "5:17", "from 1 to");
        refused(
            &text.replace("signing_key: {file: k}", "{}").replace("{}\n", ""),
            "2:11",
            "not signed",
        );
    }

    #[test]
    fn what_is_no_witness_is_refused() {
        let one = line("w/1", Use::Cosignature);
        let with = |url: &str, key: &str| {
            format!("signing_key: {{file: k}}\nwitnesses: [{{url: \"{url}\", key: \"{key}\"}}]\n")
        };
        refused(&with("w.example", &one), "2:19", "no address");
        refused(&with("https://a:b@w.example", &one), "2:19", "more than a host");
        refused(&with("http://w", &line("log", Use::Note)), "2:36", "key of a log");
        refused(&with("http://w", "w/1+00000000+AAAA"), "2:36", "");
        let twice = format!(
            "signing_key: {{file: k}}\nwitnesses:\n  - {{url: \"http://a\", key: \"{one}\"}}\n  - {{url: \"http://b\", key: \"{one}\"}}\n"
        );
        refused(&twice, "4:28", "two witnesses");
        let renamed = twice.replacen(&one, &line("w/2", Use::Cosignature), 1);
        refused(&renamed, "4:28", "the key of w/2 under another name");
    }
}
