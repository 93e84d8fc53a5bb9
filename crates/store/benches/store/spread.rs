//! Ratios of several rounds: the median with the least and the most.

use std::fmt;

use serde_json::{Value, json};

/// A round counts if the peer, measured before and after, was the same within this part of itself.
const STEADY: f64 = 0.15;

pub(crate) struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    pub(crate) fn of(mut all: Vec<f64>) -> Self {
        assert!(
            !all.is_empty(),
            "no round in which the peer was steady: the machine is too busy"
        );
        all.sort_by(f64::total_cmp);
        Self {
            median: all[all.len() / 2],
            least: all[0],
            most: all[all.len() - 1],
        }
    }

    pub(crate) fn json(&self) -> Value {
        json!({"median": self.median, "least": self.least, "most": self.most})
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} ({:.2} to {:.2})", self.median, self.least, self.most)
    }
}

/// The peer's rate from before and after something else was measured; nothing where it was not the same machine any more.
pub(crate) fn steady(before: f64, after: f64) -> Option<f64> {
    let mean = f64::midpoint(before, after);
    let same = (before - after).abs() <= mean * STEADY;
    println!("{}", if same { "" } else { "  void: the peer varied" });
    same.then_some(mean)
}
