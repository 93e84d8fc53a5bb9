//! Files that are meant to hurt: each is refused with a place and a sentence, soon, and nothing panics.

use crate::office::load;

/// What the file is refused with; the length keeps a hostile text out of the failure's message.
#[track_caller]
fn refused(text: &str, expect: &str) {
    let found = match load(text) {
        Ok(_) => String::from("nothing is wrong"),
        Err(found) => found.to_string(),
    };
    assert!(found.len() < 20_000, "{} bytes are told", found.len());
    let told: String = found.chars().take(2_000).collect();
    assert!(found.contains(expect), "{expect:?} is not in: {told}");
    assert!(
        !found.chars().any(|c| c.is_control() && c != '\n'),
        "what is told could drive a terminal: {told:?}"
    );
}

#[test]
fn deep_nesting() {
    refused(&"[".repeat(100_000), "policy.yaml:1:");
    refused(&"{a: ".repeat(100_000), "policy.yaml:1:");
    refused(
        &format!("version: 1\nrules: {}{}", "[".repeat(60), "]".repeat(60)),
        "deeper or larger",
    );
    let mut block = String::from("version: 1\n");
    for depth in 0..200 {
        block.push_str(&format!("{}a:\n", " ".repeat(depth)));
    }
    refused(&block, "deeper or larger");
    refused(&"- ".repeat(50_000), "policy.yaml:1:");
    refused(&"? ".repeat(50_000), "policy.yaml:1:");
}

#[test]
fn an_alias_bomb() {
    let mut bomb = String::from("version: 1\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let before = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{before}]\n"));
    }
    refused(&bomb, "deeper or larger");
    refused("version: 1\nrules: &a [*a]\n", "policy.yaml:2:");
    refused("version: 1\nrules: &a {b: *a}\n", "policy.yaml:2:");
}

/// An anchor may be used where it helps: the same chain in two rules.
#[test]
fn aliases_within_reason_are_read() {
    let text = "
version: 1
people: {all: {group: all}}
connectors: [{name: pg, kind: postgres}]
resources: [{name: db, kind: postgres, connector: pg, roles: {read: {}, write: {}}}]
rules:
  - {name: a, allow: all, to: {resource: db}, roles: read, approval: &chain [{from: manager, within: 1h}]}
  - {name: b, allow: all, to: {resource: db}, roles: write, approval: *chain}
";
    assert!(load(text).is_ok());
    // What is wrong in what an alias stands for is told once, at the place where it is written.
    let found = load(&text.replace("within: 1h", "within: 1x")).unwrap_err();
    assert_eq!(found.all().len(), 1, "{found}");
    assert!(
        found.to_string().starts_with("policy.yaml:7:102: within: \"1x\""),
        "{found}"
    );
}

#[test]
fn huge_scalars_and_files() {
    refused(
        &format!("version: 1\nrules: {}", "x".repeat(5 << 20)),
        "split it into several files",
    );
    refused(
        &format!("version: 1\nrules: \"{}\"", "x".repeat(100_000)),
        "bytes; at most",
    );
    refused(
        &format!("version: 1\n\"{}\": x", "x".repeat(1_000)),
        "unknown key",
    );
    refused(&format!("version: {}", "9".repeat(400)), "policy.yaml:1:10");
    refused("version: 1e400", "policy.yaml:1:10");
    refused("version: 18446744073709551616", "policy.yaml:1:10");
    let many = (0..50_000).fold(String::from("version: 1\n"), |mut text, key| {
        text.push_str(&format!("k{key}: 1\n"));
        text
    });
    refused(&many, "… and 49900 more");
    refused(
        &format!("version: 1\nrules: [{}]", "a,".repeat(500_000)),
        "deeper or larger",
    );
}

#[test]
fn invisible_and_deceptive_characters() {
    refused(
        "version: 1\nrules: \0\n",
        "policy.yaml:2:8: the invisible character U+0000",
    );
    refused("version: 1\nrules: \"a\\0b\"\n", "invisible character U+0000");
    refused(
        "version: 1 # \u{202e}none\n",
        "policy.yaml:1:14: the invisible character U+202E",
    );
    refused(
        "version: 1\npeople: {\"\\u202Eanimda\": {group: x}}\n",
        "invisible character U+202E",
    );
    refused(
        "version: 1\npeople: {admin\u{200b}: {group: x}}\n",
        "invisible character U+200B",
    );
    refused("version: 1\n\u{7f}: 1\n", "U+007F");
    refused("version: 1\npeople: {\u{430}na: {group: x}}\n", "is not a name");
    refused("version: 1\n\u{1b}[2J: 1\n", "U+001B");
}

#[test]
fn keys_that_are_no_names() {
    refused("version: 1\n? [a, b]\n: c\n", "policy.yaml:2:");
    refused("version: 1\n~: c\n", "policy.yaml:2:");
    refused("version: 1\n? {a: b}\n: c\n", "policy.yaml:2:");
    refused("version: 1\n5: c\n", "unknown key \"5\"");
    refused("version: 1\nversion: 1\n", "the key \"version\" is there twice");
    refused(
        "version: 1\n\"version\": 1\n",
        "the key \"version\" is there twice",
    );
}

#[test]
fn tabs_tags_directives_and_binary() {
    refused("version: 1\nrules:\n\t- {}\n", "never by tabs");
    refused(
        "version: 1\nrules: !!python/object/apply:os.system [ls]\n",
        "policy.yaml:2:",
    );
    refused("version: 1\nrules: !include /etc/shadow\n", "policy.yaml:2:");
    refused(
        "%TAG ! tag:evil,2000:\n---\nversion: 1\nrules: !x []\n",
        "policy.yaml:",
    );
    refused("version: !!binary MQ==\nrules: !!binary x\n", "policy.yaml:");
    refused("\u{fffd}\u{fffe}", "policy.yaml:1:1");
}

/// Words that older YAML reads as booleans stay words: a country, a name, an answer.
#[test]
fn words_stay_words() {
    let text = "
version: 1
people: {no: {group: off}, 'yes': {logins: [y, n, 007]}}
connectors: [{name: pg, kind: postgres}]
resources: [{name: db, kind: postgres, connector: pg, labels: {country: no, tier: 1}, roles: {on: {}}}]
rules: [{name: a, allow: [no, yes], to: {country: no, tier: 1}, roles: on, approval: none}]
tests:
  - {as: 007, ask: db/on, expect: {rule: a}}
  - {as: x, in: off, ask: db/on, expect: {rule: a}}
  - {as: 7, ask: db/on, expect: {refused: not-eligible}}
";
    let policy = load(text).unwrap_or_else(|found| panic!("{found}"));
    for outcome in policy.run_tests() {
        assert!(outcome.passed, "{outcome:?}");
    }
}

/// What is only counted is not looked up among all zones, names and labels: that would take minutes.
#[test]
fn misspelt_words_by_the_thousand() {
    let windows = (0..20_000).fold(String::from("version: 1\nwindows:\n"), |mut text, number| {
        text.push_str(&format!(
            "  w{number}: {{from: \"01:00\", to: \"02:00\", tz: America/Argentina/ComodRivadaviaa}}\n"
        ));
        text
    });
    refused(&windows, "… and 19900 more");
    let mut rules = String::from(
        "version: 1\nconnectors: [{name: pg, kind: postgres}]\nresources: [{name: db, kind: postgres, connector: pg, roles: {read: {}}}]\npeople:\n",
    );
    for number in 0..300 {
        rules.push_str(&format!("  people-of-the-department-{number}: {{group: g}}\n"));
    }
    rules.push_str("rules:\n");
    for number in 0..5_000 {
        rules.push_str(&format!(
            "  - {{name: r{number}, allow: peple-of-the-departmnt-{number}, to: {{resource: db}}, approval: none}}\n"
        ));
    }
    refused(&rules, "… and 4900 more");
}

#[test]
fn patterns_by_the_thousand() {
    let formats = (0..1_000).fold(String::from("version: 1\ntickets:\n"), |mut text, number| {
        text.push_str(&format!("  t{number}: \"T{number}-\\\\w{{100}}\"\n"));
        text
    });
    refused(&formats, "the policy has more than 200 different patterns");
    // The same one in many places is one.
    let rules = |pattern: fn(usize) -> usize| {
        let base = "version: 1\npeople: {all: {group: all}}\nconnectors: [{name: pg, kind: postgres}]\nresources: [{name: db, kind: \
                    postgres, connector: pg, roles: {read: {}}}]\nrules:\n";
        (0..300).fold(String::from(base), |mut text, number| {
            text.push_str(&format!(
                "  - {{name: r{number}, allow: all, to: {{resource: db}}, approval: none, when: {{if: \"request.ticket.matches('^A{}')\"}}}}\n",
                pattern(number)
            ));
            text
        })
    };
    assert!(load(&rules(|_| 7)).is_ok());
    refused(
        &rules(|number| number),
        "if: the policy has more than 200 different patterns",
    );
}
