//! axe-core, which finds what people cannot use who do not see, hear or point as others do. It is fetched where it is not there yet.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use serde_json::Value;

use crate::person::Person;

/// Its text; installed by npm, pinned and with the hash of its file, below the target directory, where a second run finds it.
static AXE: LazyLock<String> = LazyLock::new(|| {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pages/axe");
    let files = ["package.json", "package-lock.json"];
    let made_of: String = files
        .map(|name| std::fs::read_to_string(here.join(name)).unwrap())
        .concat();
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("axe");
    let mark = place.join("made-of");
    if std::fs::read_to_string(&mark).ok().as_ref() != Some(&made_of) {
        std::fs::create_dir_all(&place).unwrap();
        for name in files {
            std::fs::copy(here.join(name), place.join(name)).unwrap();
        }
        let mut npm = Command::new("npm");
        npm.args([
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ]);
        let done = npm.current_dir(&place).stdin(Stdio::null()).output();
        let done = done.unwrap_or_else(|error| {
            panic!("this machine has no npm ({error}): cargo xtask setup installs it, or says how")
        });
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        std::fs::write(mark, made_of).unwrap();
    }
    std::fs::read_to_string(place.join("node_modules/axe-core/axe.min.js")).unwrap()
});

/// What it finds on the page that is shown, in both themes, and that somebody could not use: serious or critical. The themes differ in
/// colours alone, so that is all that is looked at twice.
#[track_caller]
pub(crate) fn finds_nothing(person: &Person) {
    let place = person.place();
    for (scheme, rules) in [("light", "{}"), ("dark", "{runOnly: ['color-contrast']}")] {
        person.prefers(scheme);
        let script = format!(
            "{}; const done = arguments[arguments.length - 1];
             axe.run(document, {{resultTypes: ['violations'], ...{rules}}}).then(
                 (found) => done(found.violations.filter((one) => ['serious', 'critical'].includes(one.impact)).map(
                     (one) => ({{rule: one.id, help: one.help, at: one.nodes.map((node) => [node.html, node.failureSummary])}}))),
                 (error) => done(String(error)));",
            *AXE
        );
        let found = person.long_script(&script);
        assert_eq!(
            found,
            Value::Array(Vec::new()),
            "{place}, {scheme}: {}",
            serde_json::to_string_pretty(&found).unwrap()
        );
    }
    person.prefers("light");
}
