//! Portals that are bound, executed in parts, or never.

use super::*;
use crate::record::Value;

#[test]
fn what_is_bound_and_never_executed_is_recorded() {
    let named = |portal: &'static str| Front::Bind {
        portal: portal.as_bytes(),
        statement: b"s",
        rest: &[],
    };
    let run = |portal: &'static str| Front::Execute {
        portal: portal.as_bytes(),
    };
    let mut script = Script::new();
    // At the end of its transaction, when it is bound anew, when it is closed.
    script.sends(&[parse("s", "SELECT f()"), bind("s"), Front::Sync]);
    script.answers(&["1", "2", "ZI"]);
    script.check(&["SELECT f(): bound (0)"]);
    script.sends(&[
        bind("s"),
        bind("s"),
        RUN,
        named("p"),
        Front::Close {
            kind: b'P',
            name: b"p",
        },
        Front::Sync,
    ]);
    script.answers(&["2", "2", "CSELECT 0", "2", "3", "ZI"]);
    script.check(&[
        "SELECT f(): bound (0)",
        "SELECT f(): SELECT 0 (0)",
        "SELECT f(): bound (0)",
    ]);
    // In a transaction it may still be executed, in another batch.
    script.sends(&[named("p"), named("q"), Front::Sync]);
    script.answers(&["2", "2", "ZT"]);
    script.sends(&[run("p"), run("p"), Front::Sync]);
    script.answers(&["s", "CSELECT 1", "ZT"]);
    assert_eq!(std::mem::take(&mut script.seen).len(), 2);
    script.sends(&[q("COMMIT")]);
    script.answers(&["CCOMMIT", "ZI"]);
    script.check(&["SELECT f(): bound (0)", "COMMIT: COMMIT (0)"]);
    // What fails behind it does not hide it.
    script.sends(&[bind("s"), parse("t", "X"), RUN, Front::Sync]);
    script.answers(&["2", "E42601", "ZI"]);
    script.check(&["X: !42601 (0)", "SELECT f(): bound (0)"]);
    // When the session ends: what was answered, and what was not.
    script.sends(&[named("p"), named("q")]);
    script.answers(&["2"]);
    for ended in script.statements.cut(Script::now()) {
        script.note(ended);
    }
    script.check(&["SELECT f(): bound (0)", "SELECT f(): cut (0)"]);
}

#[test]
fn what_is_bound_keeps_no_room_that_others_wait_for() {
    let text: &'static str = "x".repeat(2 << 20).leak();
    let mut script = Script::new();
    script.sends(&[parse("s", text)]);
    script.answers(&["1"]);
    let portal = |name: &'static str| Front::Bind {
        portal: name.as_bytes(),
        statement: b"s",
        rest: &[],
    };
    script.sends(&[portal("p"), portal("q")]);
    script.answers(&["2"]);
    assert!(script.recorder.room_now(600_000).is_none());
    // What is there already, and what comes while somebody waits.
    let there = script.statements.hurry(true);
    assert_eq!(there.len(), 1);
    let comes = script
        .statements
        .back(Head { kind: b'2', body: 0 }, b"", Script::now())
        .unwrap();
    assert_eq!(comes.ended.len(), 1);
    assert!(script.statements.hurry(false).is_empty());
    // It is executed all the same, and takes its own room.
    let run = Front::Execute { portal: b"p" };
    assert!(script.statements.cost(&run) > Some(1 << 20));
}

#[test]
fn values_are_counted_by_each_execute_and_kept_once() {
    let mut script = Script::new();
    let rest = [&[0, 0, 0, 1, 0, 0, 0x10, 0][..], &[b'x'; 4096]].concat();
    let bind = Front::Bind {
        portal: b"",
        statement: b"s",
        rest: &rest,
    };
    script.sends(&[parse("s", "SELECT $1"), bind, RUN]);
    let cost = 9 + 2 * rest.len();
    assert_eq!(script.statements.cost(&RUN), Some(cost), "what is bound is known");
    script.sends(&[RUN, Front::Sync]);
    script.answers(&["1", "2"]);
    let mut values = Vec::new();
    for answer in [b's', b's'] {
        let answered = script.statements.back(
            Head {
                kind: answer,
                body: 0,
            },
            b"",
            Script::now(),
        );
        assert_eq!(script.statements.cost(&RUN), Some(cost));
        let record = answered.unwrap().ended.into_iter().find_map(|ended| ended.record);
        values.push(record.unwrap().1.values.unwrap());
    }
    assert!(std::sync::Arc::ptr_eq(&values[0], &values[1]));
}

#[test]
fn a_portal_that_is_fetched_in_parts_stands_as_suspended_until_its_end() {
    let mut script = Script::new();
    script.sends(&[parse("", "A"), bind(""), RUN, Front::Sync]);
    script.answers(&["1", "2", "D", "D", "s", "ZT"]);
    script.check(&["A: suspended (2)"]);
    script.sends(&[RUN, RUN, Front::Sync]);
    script.answers(&["D", "s", "D", "CSELECT 1", "ZT"]);
    script.check(&["(goes on) A: suspended (1)", "(goes on) A: SELECT 1 (1)"]);
    // Bound anew it begins anew; what fails or is cut goes on too.
    script.sends(&[bind(""), RUN, RUN, Front::Sync]);
    script.answers(&["2", "s", "E57014", "ZE"]);
    script.check(&["A: suspended (0)", "(goes on) A: !57014 (0)"]);
}

#[test]
fn values_of_what_is_about_a_password_are_hidden() {
    let mut script = Script::new();
    let rest = [&[0, 0, 0, 2, 0, 0, 0, 3][..], b"ada", &[0xff; 4], &[0, 0]].concat();
    let mut values = |text: &'static str| {
        script.sends(&[parse("s", text), bind_of(&rest), RUN, Front::Sync]);
        script.answers(&["1", "2"]);
        let head = Head { kind: b'C', body: 2 };
        let answered = script.statements.back(head, b"X\0", Script::now()).unwrap();
        script.answers(&["ZI"]);
        let record = answered.ended.into_iter().find_map(|ended| ended.record);
        record.unwrap().1.values.unwrap().to_vec()
    };
    assert_eq!(values("SELECT $1"), [Value::Text("ada".to_owned()), Value::Null]);
    assert_eq!(values("SELECT crypt($1, $2)"), [Value::Hidden, Value::Null]);
    // What SQL has prepared is not known.
    script.sends(&[
        Front::Bind {
            portal: b"",
            statement: b"other",
            rest: &rest,
        },
        RUN,
    ]);
    script.answers(&["2"]);
    let cut = script.statements.cut(Script::now());
    let all = cut.into_iter().filter_map(|ended| ended.record).next().unwrap();
    assert_eq!(all.1.values.unwrap()[0], Value::Hidden);
}

fn bind_of(rest: &[u8]) -> Front<'_> {
    Front::Bind {
        portal: b"",
        statement: b"s",
        rest,
    }
}

#[test]
fn what_surely_changes_no_settings_leaves_nothing_to_be_told() {
    let mut script = Script::new();
    let prepare = |script: &mut Script, name: &'static str, keeps| {
        let front = parse(name, "A");
        let room = script.recorder.room_now(1);
        let judged = Judged { refused: None, keeps };
        script
            .statements
            .front(&front, judged, room, Script::now())
            .unwrap();
        script.answers(&["1"]);
    };
    prepare(&mut script, "keeps", true);
    prepare(&mut script, "may", false);
    let run = |script: &mut Script, name: &'static str| {
        script.sends(&[bind(name), RUN]);
        script.answers(&["2", "CX"]);
        script.statements.is_unreported()
    };
    assert!(!run(&mut script, "keeps"));
    assert!(run(&mut script, "may"));
    assert!(run(&mut script, "keeps"), "it stays so");
    script.sends(&[Front::Sync]);
    script.answers(&["ZI"]);
    assert!(!script.statements.is_unreported());
    // To plan it may run something, too; and a name that may stand for something else is not known.
    script.sends(&[bind("may")]);
    script.answers(&["2"]);
    assert!(script.statements.is_unreported());
    script.sends(&[Front::Sync, q("DO")]);
    script.answers(&["ZI", "CDO", "ZI"]);
    assert!(run(&mut script, "keeps"));
}
