//! The policies that were in force before the present one: as it was at the beginning, and how it became what it is.

use daypass_policy::Source;

/// From the present rules back to each of the former: what was written otherwise then.
const THEN: [&[(&str, &str)]; 3] = [
    &[
        (
            "to: {env: production}, max: 2h}",
            "to: {env: production}, max: 4h}",
        ),
        (
            "    approval: none\n    max: 8h",
            "    approval: none\n    max: 24h",
        ),
    ],
    &[(
        "    approval: none\n    max: 8h",
        "    approval: none\n    max: 24h",
    )],
    &[],
];

/// The policy of this number, from 0 on.
pub(super) fn at(number: usize) -> Vec<Source> {
    let mut rules = include_str!("../rules.yaml").to_owned();
    for (now, then) in THEN.get(number).copied().unwrap_or_default() {
        rules = rules.replace(now, then);
    }
    let source = |name: &str, text: String| Source {
        name: name.to_owned(),
        text,
    };
    vec![
        source("rules.yaml", rules),
        source("estate.yaml", include_str!("../estate.yaml").to_owned()),
        source(
            "environments.yaml",
            include_str!("../environments.yaml").replace("@KINDS@", "memory: write"),
        ),
        source("targets.yaml", super::super::target::before().to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use daypass_policy::Policy;

    use super::*;

    #[test]
    fn each_loads_passes_its_tests_and_differs_from_the_next() {
        let policies: Vec<Policy> = (0..THEN.len())
            .map(|number| Policy::load(&at(number)).unwrap_or_else(|found| panic!("{found}")))
            .collect();
        for policy in &policies {
            let failed: Vec<_> = policy
                .run_tests()
                .into_iter()
                .filter(|test| !test.passed)
                .collect();
            assert!(failed.is_empty(), "{failed:?}");
        }
        for pair in policies.windows(2) {
            assert!(!Policy::diff(Some(&pair[0]), &pair[1]).is_empty());
        }
    }
}
