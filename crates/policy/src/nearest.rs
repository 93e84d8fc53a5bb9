//! What was probably meant: the known word nearest to a misspelt one.

/// The nearest of the known words, where one is near enough to be a likely slip.
pub(crate) fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Longer than any name: not a slip, and the distance costs the product of the lengths.
    if given.len() > 128 {
        return None;
    }
    let lower = given.to_lowercase();
    let most = (given.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(&lower, &word.to_lowercase()), word))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, word)| word)
}

/// `did you mean "approval"?`, or what else to say where nothing is near.
pub(crate) fn did_you_mean<'a>(
    given: &str,
    known: impl IntoIterator<Item = &'a str>,
    otherwise: impl Into<String>,
) -> String {
    nearest(given, known).map_or_else(|| otherwise.into(), |word| format!("did you mean \"{word}\"?"))
}

/// Words as `a, b, c and 4 more`.
pub(crate) fn list<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 8;
    let words: Vec<&str> = words.into_iter().collect();
    let shown = words.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    match words.len().checked_sub(SHOWN) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}

/// A piece of the input, quoted and cut short, with nothing in it that a terminal would act on.
pub(crate) fn quote(text: &str) -> String {
    const SHOWN: usize = 60;
    let cut: String = text.chars().take(SHOWN).collect();
    let more = if text.chars().nth(SHOWN).is_some() {
        "…"
    } else {
        ""
    };
    format!("{:?}{more}", cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let keys = ["allow", "approval", "duration", "max"];
        for (given, meant) in [
            ("approvel", Some("approval")),
            ("Approval", Some("approval")),
            ("aprroval", Some("approval")),
            ("mx", Some("max")),
            ("duratoin", Some("duration")),
            ("colour", None),
            ("", None),
            (&*"a".repeat(10_000), None),
        ] {
            assert_eq!(nearest(given, keys), meant, "{given}");
        }
    }

    #[test]
    fn what_is_quoted_cannot_drive_a_terminal() {
        assert_eq!(quote("a\u{1b}[2J\u{202e}b\0"), r#""a\u{1b}[2J\u{202e}b\0""#);
        assert!(quote(&"x".repeat(1000)).chars().count() < 70);
    }
}
