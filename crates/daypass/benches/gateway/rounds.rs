//! Rounds: the peer is measured before and after what is compared with it, and a round counts if the peer was the same.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// So much may the peer vary within a round, as a part of itself.
const STEADY: f64 = 0.15;

/// Tries for each round that is wanted.
const TRIES: usize = 3;

/// Numbers of one round, or of all rounds: by what they are.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    figures: BTreeMap<String, Vec<f64>>,
    wanted: usize,
    counted: usize,
    tries: usize,
}

impl Rounds {
    /// None yet; so many are wanted.
    pub(crate) fn new(wanted: usize) -> Self {
        Self {
            wanted,
            ..Self::default()
        }
    }

    /// Whether there is another one to do.
    pub(crate) fn go_on(&mut self) -> bool {
        if self.counted >= self.wanted || self.tries >= self.wanted * TRIES {
            return false;
        }
        self.tries += 1;
        true
    }

    /// The peer's number from before and after; nothing, and the round is void, where it was not the same machine any more.
    pub(crate) fn steady(&mut self, before: f64, after: f64) -> Option<f64> {
        let mean = f64::midpoint(before, after);
        if mean <= 0.0 || (before - after).abs() > mean * STEADY {
            println!("  void: the peer varied, {before:.3} and {after:.3}");
            return None;
        }
        self.counted += 1;
        Some(mean)
    }

    /// Notes a number of a round that counts. Where nothing at all was done in the time there is none.
    pub(crate) fn note(&mut self, what: &str, number: f64) {
        if number.is_finite() {
            self.figures.entry(what.to_owned()).or_default().push(number);
        }
    }

    /// One line for each thing that was noted: of these, the ones with a target have it beside them.
    pub(crate) fn lines(self, about: &str, targets: &[(&str, &str)]) -> Vec<Value> {
        if self.counted == 0 {
            println!("  no round in which the peer was steady: the machine is too busy");
            return vec![json!({"what": about, "rounds": 0, "tries": self.tries})];
        }
        let target = |what: &str| {
            targets
                .iter()
                .find(|(of, _)| *of == what)
                .map(|(_, target)| *target)
        };
        let line = |(what, all): (&String, &Vec<f64>)| {
            let mut sorted = all.clone();
            sorted.sort_by(f64::total_cmp);
            json!({
                "what": format!("{about}: {what}"),
                "median": sorted[sorted.len() / 2],
                "least": sorted[0],
                "most": sorted[sorted.len() - 1],
                "all": all,
                "rounds": self.counted,
                "tries": self.tries,
                "target": target(what),
            })
        };
        self.figures.iter().map(line).collect()
    }
}

/// The number below which this part of them lies.
pub(crate) fn percentile(sorted: &[f64], part: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a place among a thousand"
    )]
    let at = (sorted.len() as f64 * part).ceil() as usize;
    sorted[at.clamp(1, sorted.len()) - 1]
}
