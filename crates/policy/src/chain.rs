//! Whether a chain of steps can be filled with different people: one person counts once in the whole chain.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

/// Fills every step with as many different people as it wants, nobody twice (bipartite matching by augmenting paths).
///
/// `Err` holds the first step that lacks somebody, counted from 0.
///
/// The cost is bounded by the sum of the counts, not by how many people there are: a step with at least as many candidates as
/// the whole chain wants is never the one that lacks somebody, so that no more candidates than that are looked at.
pub(crate) fn fill<P: Copy + Eq + Hash>(steps: &[(u32, Vec<P>)]) -> Result<(), usize> {
    let wanted: usize = steps
        .iter()
        .map(|(count, _)| usize::try_from(*count).unwrap_or(usize::MAX))
        .fold(0, usize::saturating_add);
    let mut filling = Filling {
        candidates: steps
            .iter()
            .map(|(_, people)| people.iter().copied().take(wanted).collect())
            .collect(),
        taken: HashMap::new(),
    };
    for (index, (count, _)) in steps.iter().enumerate() {
        for _ in 0..*count {
            if !filling.place(index, &mut HashSet::new()) {
                return Err(index);
            }
        }
    }
    Ok(())
}

struct Filling<P> {
    /// By step.
    candidates: Vec<Vec<P>>,
    /// Who fills which step.
    taken: HashMap<P, usize>,
}

impl<P: Copy + Eq + Hash> Filling<P> {
    /// Finds one more person for a step, moving others to other steps where that makes room.
    fn place(&mut self, step: usize, seen: &mut HashSet<P>) -> bool {
        for person in self.candidates.get(step).cloned().unwrap_or_default() {
            if !seen.insert(person) {
                continue;
            }
            let free = match self.taken.get(&person).copied() {
                None => true,
                // Somebody whom this step has already makes no room in it.
                Some(other) => other != step && self.place(other, seen),
            };
            if free {
                self.taken.insert(person, step);
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::fill;

    #[track_caller]
    fn check(steps: &[(u32, &[u32])], expect: Result<(), usize>) {
        let steps: Vec<(u32, Vec<u32>)> = steps
            .iter()
            .map(|(count, people)| (*count, people.to_vec()))
            .collect();
        assert_eq!(fill(&steps), expect, "{steps:?}");
    }

    #[test]
    fn different_people_fill_the_steps() {
        check(&[], Ok(()));
        check(&[(1, &[1])], Ok(()));
        check(&[(1, &[])], Err(0));
        check(&[(2, &[1])], Err(0));
        check(&[(1, &[1]), (1, &[1])], Err(1));
        check(&[(2, &[1, 2, 3]), (1, &[1])], Ok(()));
        check(&[(2, &[1, 2]), (1, &[1, 2])], Err(1));
    }

    #[test]
    fn people_move_where_that_makes_room() {
        check(&[(1, &[1, 2]), (1, &[1])], Ok(()));
        check(&[(1, &[1, 2]), (1, &[1, 3]), (1, &[1])], Ok(()));
        check(&[(1, &[1, 2]), (1, &[2, 3]), (1, &[1]), (1, &[2])], Err(3));
        check(
            &[(1, &[1, 2]), (1, &[2, 3]), (1, &[3, 4]), (1, &[1]), (1, &[2])],
            Err(4),
        );
        check(&[(1, &[1, 2]), (1, &[2, 3]), (1, &[3, 4]), (1, &[1])], Ok(()));
    }

    /// Compared with trying every assignment.
    #[test]
    fn it_agrees_with_trying_everything() {
        fn any(slots: &[&[u32]], used: u32) -> bool {
            let Some((first, rest)) = slots.split_first() else {
                return true;
            };
            first
                .iter()
                .any(|person| used & (1 << person) == 0 && any(rest, used | (1 << person)))
        }
        // Three steps over four people: every combination of candidates, with counts of one and two.
        for bits in 0..1u32 << 12 {
            let candidates: Vec<Vec<u32>> = (0..3)
                .map(|step| (0..4).filter(|p| bits >> (step * 4 + p) & 1 == 1).collect())
                .collect();
            for counts in [[1, 1, 1], [2, 1, 1], [1, 2, 1]] {
                let steps: Vec<(u32, Vec<u32>)> = counts.into_iter().zip(candidates.clone()).collect();
                let slots: Vec<&[u32]> = steps
                    .iter()
                    .flat_map(|(count, people)| {
                        std::iter::repeat_n(people.as_slice(), usize::try_from(*count).unwrap())
                    })
                    .collect();
                assert_eq!(fill(&steps).is_ok(), any(&slots, 0), "{steps:?}");
            }
        }
    }
}
