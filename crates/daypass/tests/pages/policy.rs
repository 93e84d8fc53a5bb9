//! A policy is written, is wrong, is mended, fails its own test, answers a question, and is put in force; what it changed is there to be read.

use crate::house::{House, Settings, Store};
use crate::person::Person;

/// Has the editor's text be another, as typing would.
#[track_caller]
fn rewrites(person: &Person, from: &str, to: &str) {
    let script = "const area = document.getElementById('file-0');
        const text = area.value.replace(arguments[0], arguments[1]);
        const differs = text !== area.value;
        area.value = text;
        area.dispatchEvent(new Event('input', { bubbles: true }));
        return differs";
    assert_eq!(
        person.script(script, &[from, to]),
        true,
        "no {from:?} in the policy"
    );
}

#[test]
fn a_policy_is_written_tried_and_put_in_force() {
    let house = House::open(&Settings::on(Store::Sqlite));
    let mut admin = Person::enters(&house, "admin");
    admin.goes("/policy");
    admin.sees("#findings .chip", "Sound");

    // What is wrong is found while one types, and shown at its line.
    rewrites(&admin, "steps: [leads, security]", "steps: [leads, security");
    admin.sees("#findings .chip", "fault");
    admin.sees(".faults li code", "daypass.yaml:");
    admin.holds("document.querySelector('.gutter .bad') !== null");
    rewrites(&admin, "steps: [leads, security", "steps: [leads, security]");
    admin.sees("#findings .chip", "Sound");

    // Its own test says what it would break, and it is not put in force.
    rewrites(&admin, "steps: [leads, security]", "steps: [security]");
    admin.sees("#findings", "1 of 1 tests fail");
    admin.means("status of 400");
    admin.clicks("button[formaction='/policy/plan']");
    admin.sees("#failure", "nothing was changed");
    rewrites(&admin, "steps: [security]", "steps: [leads, security]");
    admin.sees("#findings", "its test passes");

    // A question is answered by the draft, which is in force nowhere yet.
    rewrites(&admin, "max: 2h", "max: 45m");
    admin.sees("#findings .means", "45m");
    admin.types("#draft-who", "ana");
    admin.types("#draft-what", "orders-prod/write");
    admin.types("#draft-for", "1h");
    admin.clicks(".side .question + .actions button");
    admin.sees("#outcome", "over-max");

    admin.clicks("button[formaction='/policy/plan']");
    admin.sees("form.confirm h2", "Put it in force?");
    admin.sees(".diff .new code", "45m");
    admin.clicks("form.confirm button.primary");
    admin.arrives("/policy/revisions?from=");
    admin.sees("#compared .diff .new code", "45m");
    admin.sees("#compared .diff .gone code", "2h");
    let refused = house.fails(
        "ana",
        &["request", "orders-prod/write", "--for", "1h", "--reason", "now"],
        3,
    );
    assert!(refused.contains("45m"), "{refused}");
}
