//! What shows that access is gone.

use serde::{Deserialize, Serialize};

use crate::id::GrantId;
use crate::name::Item;
use crate::time::Timestamp;

/// What shows that one item is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The item.
    pub item: Item,
    /// What shows it.
    #[serde(flatten)]
    pub proof: Proof,
}

/// How the end of an item is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "proof", rename_all = "snake_case")]
pub enum Proof {
    /// Something else than a look at the target shows that it is not usable.
    Shown {
        /// When that was known.
        at: Timestamp,
        /// What shows it: which hosts acknowledged which list, or what ran out when.
        by: String,
    },
    /// The target was read, and it is not usable there.
    TargetRead {
        /// When.
        at: Timestamp,
        /// What was left behind; no access.
        residue: Vec<String>,
    },
    /// Another grant holds the same opening; it goes with that one.
    HeldBy {
        /// Which.
        grant: GrantId,
    },
    /// No call to provision it was ever intended.
    NeverProvisioned,
}

/// The most that all evidence of one end may say in words, in bytes: an entry of the log has its bounds, and an end must never fail on
/// them.
const MOST_WORDS: usize = 16 * 1024;
/// The same for what one look at a target found.
const MOST_RESIDUE: usize = 8 * 1024;

/// What was left behind, cut to what can be recorded.
#[must_use]
pub fn recorded_residue(residue: Vec<String>) -> Vec<String> {
    cut(residue, MOST_RESIDUE)
}

/// What shows it, cut to what can be recorded.
#[must_use]
pub fn recorded_proof(by: &str) -> String {
    cut_text(by, MOST_RESIDUE)
}

/// The evidence of one end, cut to what can be recorded.
#[must_use]
pub fn recorded(evidence: Vec<Evidence>) -> Vec<Evidence> {
    let each = MOST_WORDS / evidence.len().max(1);
    let cut_one = |Evidence { item, proof }| {
        let proof = match proof {
            Proof::Shown { at, by } => Proof::Shown {
                at,
                by: cut_text(&by, each),
            },
            Proof::TargetRead { at, residue } => Proof::TargetRead {
                at,
                residue: cut(residue, each),
            },
            other => other,
        };
        Evidence { item, proof }
    };
    evidence.into_iter().map(cut_one).collect()
}

fn cut(lines: Vec<String>, most: usize) -> Vec<String> {
    let (all, mut left) = (lines.len(), most);
    let mut kept = Vec::new();
    for line in lines {
        // Each line costs its quotes and comma too.
        let Some(rest) = left.checked_sub(line.chars().map(written).sum::<usize>() + 3) else {
            kept.push(format!("… and more ({} of {all} told)", kept.len()));
            break;
        };
        left = rest;
        kept.push(line);
    }
    kept
}

fn cut_text(text: &str, most: usize) -> String {
    let mut left = most;
    let fits = |c: &char| match left.checked_sub(written(*c)) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    let kept: String = text.chars().take_while(fits).collect();
    if kept.len() == text.len() {
        kept
    } else {
        format!("{kept} …")
    }
}

/// The most bytes that a character takes in an entry, which is JSON: control characters are escaped (RFC 8785, section 3.2.2.2).
const fn written(c: char) -> usize {
    match c {
        '\0'..='\x1f' => 6,
        '"' | '\\' => 2,
        other => other.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_target_says_never_grows_beyond_an_entry() {
        let lines = vec!["é".repeat(100); 10_000];
        let kept = recorded_residue(lines.clone());
        assert!(kept.iter().map(String::len).sum::<usize>() <= MOST_RESIDUE + 64);
        assert_eq!(kept.last().unwrap(), "… and more (40 of 10000 told)");
        assert_eq!(recorded_residue(vec!["two tables".to_owned()]), ["two tables"]);
        assert!(recorded_proof(&"é".repeat(10_000)).len() <= MOST_RESIDUE + 8);
        let item: Item = serde_json::from_str(r#"{"role":"read","resource":"orders"}"#).unwrap();
        let one = Evidence {
            item,
            proof: Proof::TargetRead {
                at: Timestamp::EPOCH,
                residue: lines,
            },
        };
        let all = recorded(vec![one; 250]);
        assert!(serde_json::to_vec(&all).unwrap().len() < 60_000);
    }

    #[test]
    fn hostile_names_are_counted_as_they_are_written() {
        let item: Item = serde_json::from_str(r#"{"role":"read","resource":"orders"}"#).unwrap();
        let hostile = "\u{1}\"\\".repeat(21);
        let proofs = [
            Proof::TargetRead {
                at: Timestamp::EPOCH,
                residue: vec![hostile.clone(); 200],
            },
            Proof::Shown {
                at: Timestamp::EPOCH,
                by: hostile.repeat(200),
            },
        ];
        for proof in proofs {
            let item = item.clone();
            let all = recorded(vec![Evidence { item, proof }; 2]);
            let written = serde_json::to_vec(&all).unwrap().len();
            assert!(written < MOST_WORDS + 1_024, "{written}");
        }
    }
}
