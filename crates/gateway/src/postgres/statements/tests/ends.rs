//! How strings and batches end that do not do all of what they say.

use super::*;

#[test]
fn what_a_string_did_before_it_failed_is_recorded() {
    let mut script = Script::new();
    script.sends(&[q("A; COMMIT; B"), q("NEXT")]);
    script.answers(&["CINSERT 0 3", "CCOMMIT", "E22012", "ZI", "CX"]);
    script.check(&["A; COMMIT; B: INSERT 0 3, COMMIT, !22012 (3)"]);
    // And before it was cut.
    for ended in script.statements.cut(Script::now()) {
        script.note(ended);
    }
    script.check(&["NEXT: X, cut (0)"]);
}

#[test]
fn a_batch_that_fails_at_its_end_says_so() {
    let mut script = Script::new();
    script.sends(&[parse("", "A"), bind(""), RUN, Front::Sync, q("NEXT")]);
    script.answers(&["1", "2", "CINSERT 0 1", "E23503", "ZI", "CX", "ZI"]);
    script.check(&[
        "A: INSERT 0 1 (1)",
        "(the end of a batch: what it did and had not committed is undone): !23503 (0)",
        "NEXT: X (0)",
    ]);
}
