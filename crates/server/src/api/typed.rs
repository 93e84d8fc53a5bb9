//! From the first characters of an id, as a member types them, to the one thing that has it among those which they may see.
//!
//! What they may not see does not exist here: it makes nothing ambiguous, and no answer names it or counts it.

use daypass_core::refusal::Code;

use crate::http::problem::{Answer, Failure};

/// How many things whose ids begin alike are looked at. Behind so many, more has to be typed.
pub(super) const MOST_ALIKE: usize = 50;
/// How many ids an ambiguous prefix is answered with.
const SHOWN: usize = 5;

/// The one of these, whose ids begin as was typed, that the caller sees.
///
/// # Errors
/// Where they see none of them, or several.
pub(super) async fn only_seen<I: Copy + std::fmt::Display, F: Future<Output = bool>>(
    kind: &str,
    typed: &str,
    alike: &[I],
    sees: impl Fn(I) -> F,
) -> Answer<I> {
    let mut seen = Vec::new();
    for id in alike {
        if sees(*id).await {
            seen.push(*id);
        }
    }
    only(kind, typed, &seen, alike.len())
}

/// The one that the caller sees, of those that they see among so many that were looked at.
///
/// # Errors
/// Where they see none of them, or several.
fn only<I: Copy + std::fmt::Display>(kind: &str, typed: &str, seen: &[I], looked_at: usize) -> Answer<I> {
    let shown: String = typed.chars().take(40).collect();
    let more = looked_at >= MOST_ALIKE;
    match seen {
        [] => Err(Failure::new(
            Code::NotFound,
            format!("there is no {kind} {shown:?}"),
        )),
        [only] if !more => Ok(*only),
        several => {
            let ids: Vec<_> = several.iter().take(SHOWN).map(ToString::to_string).collect();
            let what = format!("{shown:?} could be {} and others", ids.join(", "));
            Err(Failure::new(Code::Invalid, what).hint("type more of it"))
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;

    use super::*;

    fn of(seen: &[u32], looked_at: usize) -> Result<u32, u16> {
        let found = only("request", "R7", seen, looked_at);
        found.map_err(|failure| failure.into_response().status().as_u16())
    }

    #[test]
    fn what_is_not_seen_makes_nothing_ambiguous() {
        assert_eq!(of(&[2], 3), Ok(2));
        assert_eq!(of(&[], 2), Err(404));
        assert_eq!(of(&[], 0), Err(404));
        assert_eq!(of(&[2, 4], 3), Err(400));
        assert_eq!(
            of(&[2], MOST_ALIKE),
            Err(400),
            "there may be another behind these"
        );
    }
}
