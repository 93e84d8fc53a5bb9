//! What differs between two texts, line by line: what a reviewer of a policy reads.

/// Two parts that differ and are longer than this, multiplied, are told one after the other instead of side by side.
const MOST_COMPARED: usize = 4_000_000;

/// One line, and in which of the two it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// In both.
    Both(&'a str),
    /// In the earlier one only.
    Before(&'a str),
    /// In the later one only.
    After(&'a str),
}

impl Part<'_> {
    /// Whether it stands in one of them only.
    #[must_use]
    pub const fn is_changed(&self) -> bool {
        !matches!(self, Self::Both(_))
    }
}

/// Which of these lines are worth showing: what changed, and so many lines around it.
#[must_use]
pub fn worth_showing(parts: &[Part<'_>], around: usize) -> Vec<bool> {
    let mut shown = vec![false; parts.len()];
    for (at, _) in parts.iter().enumerate().filter(|(_, part)| part.is_changed()) {
        let near = shown
            .iter_mut()
            .skip(at.saturating_sub(around))
            .take(at.min(around) + around + 1);
        near.for_each(|one| *one = true);
    }
    shown
}

/// The lines of both texts in order, each named once where it stands in both.
#[must_use]
pub fn compare<'a>(before: &'a str, after: &'a str) -> Vec<Part<'a>> {
    let (old, new): (Vec<_>, Vec<_>) = (before.split('\n').collect(), after.split('\n').collect());
    let same = |(one, other): &(&&str, &&str)| one == other;
    let head = old.iter().zip(&new).take_while(same).count();
    let rest = old.len().min(new.len()) - head;
    let tail = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take(rest)
        .take_while(same)
        .count();
    let inner = |lines: &[&'a str]| -> Vec<&'a str> {
        let count = lines.len() - head - tail;
        lines.iter().skip(head).take(count).copied().collect()
    };
    let (from, to) = (inner(&old), inner(&new));
    let mut parts: Vec<Part<'a>> = old.iter().take(head).map(|line| Part::Both(line)).collect();
    if from.len().saturating_mul(to.len()) > MOST_COMPARED {
        parts.extend(from.iter().map(|line| Part::Before(line)));
        parts.extend(to.iter().map(|line| Part::After(line)));
    } else {
        parts.extend(longest_common(&from, &to));
    }
    let ends = old.len() - tail;
    parts.extend(old.iter().skip(ends).map(|line| Part::Both(line)));
    parts
}

/// By the longest common subsequence.
fn longest_common<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Part<'a>> {
    // `left[i][j]`: how many lines the rests from i and from j have in common, in order.
    let mut left = vec![vec![0u32; new.len() + 1]; old.len() + 1];
    let at =
        |left: &[Vec<u32>], i: usize, j: usize| left.get(i).and_then(|row| row.get(j)).copied().unwrap_or(0);
    for (i, one) in old.iter().enumerate().rev() {
        for (j, other) in new.iter().enumerate().rev() {
            let most = if one == other {
                at(&left, i + 1, j + 1) + 1
            } else {
                at(&left, i + 1, j).max(at(&left, i, j + 1))
            };
            if let Some(cell) = left.get_mut(i).and_then(|row| row.get_mut(j)) {
                *cell = most;
            }
        }
    }
    let (mut i, mut j, mut parts) = (0, 0, Vec::new());
    loop {
        match (old.get(i), new.get(j)) {
            (Some(one), Some(other)) if one == other => {
                parts.push(Part::Both(one));
                (i, j) = (i + 1, j + 1);
            }
            (Some(one), other) if other.is_none() || at(&left, i + 1, j) >= at(&left, i, j + 1) => {
                parts.push(Part::Before(one));
                i += 1;
            }
            (_, Some(other)) => {
                parts.push(Part::After(other));
                j += 1;
            }
            (_, None) => return parts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(before: &str, after: &str) -> Vec<String> {
        let parts = compare(before, after);
        let line = |part: &Part<'_>| match part {
            Part::Both(text) => format!(" {text}"),
            Part::Before(text) => format!("-{text}"),
            Part::After(text) => format!("+{text}"),
        };
        parts.iter().map(line).collect()
    }

    #[test]
    fn what_changed_is_told_and_nothing_else() {
        assert_eq!(told("a\nb\nc", "a\nb\nc"), [" a", " b", " c"]);
        assert_eq!(told("a\nb\nc", "a\nx\nc"), [" a", "-b", "+x", " c"]);
        assert_eq!(told("a\nb", "a\nb\nc"), [" a", " b", "+c"]);
        assert_eq!(told("a\na", "a"), [" a", "-a"]);
        assert_eq!(told("a\nb\nc\nd", "b\nx\nd"), ["-a", " b", "-c", "+x", " d"]);
    }

    /// Whoever reads the lines of either side has all of it.
    #[test]
    fn nothing_is_left_out() {
        let texts = [
            "",
            "a",
            "a\nb\na\nc",
            "c\nb\nb\na",
            "a\nb\nc\nd\ne",
            "e\nd\nc\nb\na",
        ];
        for before in texts {
            for after in texts {
                let parts = compare(before, after);
                let old: Vec<_> = parts
                    .iter()
                    .filter_map(|part| match part {
                        Part::Both(text) | Part::Before(text) => Some(*text),
                        Part::After(_) => None,
                    })
                    .collect();
                let new: Vec<_> = parts
                    .iter()
                    .filter_map(|part| match part {
                        Part::Both(text) | Part::After(text) => Some(*text),
                        Part::Before(_) => None,
                    })
                    .collect();
                assert_eq!(
                    (old.join("\n"), new.join("\n")),
                    (before.to_owned(), after.to_owned())
                );
            }
        }
    }

    #[test]
    fn a_little_around_what_changed_is_shown() {
        let parts = compare("a\nb\nc\nd\ne\nf", "a\nb\nc\nX\ne\nf");
        let shown = worth_showing(&parts, 1);
        assert_eq!(shown, [false, false, true, true, true, true, false]);
        assert!(!worth_showing(&compare("a", "a"), 3).contains(&true));
    }
}
