//! Answers find what they are about.

use super::*;
use crate::edge;
use crate::record::Recorder;

struct Script {
    statements: Statements,
    recorder: Recorder,
    seen: Vec<String>,
}

impl Script {
    fn new() -> Self {
        Self {
            statements: Statements::new(true),
            recorder: Recorder::default(),
            seen: Vec::new(),
        }
    }

    fn now() -> Now {
        Now {
            at: edge::now(),
            instant: edge::instant(),
        }
    }

    fn send(&mut self, front: &Front<'_>) -> Result<(), Malformed> {
        let cost = self.statements.cost(front);
        let room = cost.map(|cost| self.recorder.room_now(cost).ok_or(Malformed::TooLong));
        let room = room.transpose()?;
        self.statements
            .front(front, Judged::default(), room, Self::now())
            .map(drop)
    }

    fn sends(&mut self, fronts: &[Front<'_>]) {
        for front in fronts {
            self.send(front).unwrap();
        }
    }

    /// One message after the other: a type, and for `C` the tag, for `E` the code, for `Z` the state.
    fn answer(&mut self, message: &str) -> Result<(), Malformed> {
        let (kind, rest) = message.split_at(1);
        let body = match kind {
            "E" => format!("VERROR\0C{rest}\0Mx\0\0"),
            "C" => format!("{rest}\0"),
            _ => rest.to_owned(),
        };
        let head = Head {
            kind: kind.as_bytes()[0],
            body: body.len(),
        };
        if head.kind == b'D' {
            self.statements.rows(1);
        }
        let answered = self.statements.back(head, body.as_bytes(), Self::now())?;
        for ended in answered.ended {
            self.note(ended);
        }
        Ok(())
    }

    fn note(&mut self, ended: Ended) {
        self.recorder.unused(&ended.room);
        if let Some((_, statement)) = ended.record {
            let outcome = match statement.outcome {
                Outcome::Done(tags) => tags.join("+"),
                Outcome::Failed(code) => format!("!{code}"),
                Outcome::Refused(_) => "refused".to_owned(),
                Outcome::Suspended => "suspended".to_owned(),
                Outcome::Bound => "bound".to_owned(),
                Outcome::Cut | Outcome::MayWork => "cut".to_owned(),
            };
            let perhaps = if statement.perhaps { "(perhaps) " } else { "" };
            let perhaps = if statement.goes_on { "(goes on) " } else { perhaps };
            let before: String = statement.before.iter().map(|tag| format!("{tag}, ")).collect();
            self.seen.push(format!(
                "{perhaps}{}: {before}{outcome} ({})",
                &*statement.text, statement.rows
            ));
        }
    }

    fn answers(&mut self, messages: &[&str]) {
        for message in messages {
            self.answer(message)
                .unwrap_or_else(|error| panic!("{message}: {error}"));
        }
    }

    #[track_caller]
    fn check(&mut self, expected: &[&str]) {
        assert_eq!(std::mem::take(&mut self.seen), expected);
    }
}

const fn q(text: &'static str) -> Front<'static> {
    Front::Query {
        text: text.as_bytes(),
    }
}

fn parse(name: &'static str, text: &'static str) -> Front<'static> {
    let (name, text) = (name.as_bytes(), text.as_bytes());
    Front::Parse { name, text }
}

fn bind(statement: &'static str) -> Front<'static> {
    Front::Bind {
        portal: b"",
        statement: statement.as_bytes(),
        rest: &[],
    }
}

const RUN: Front<'static> = Front::Execute { portal: b"" };

#[test]
fn strings_batches_and_pipelines() {
    let mut script = Script::new();
    script.sends(&[q("SELECT 1; SELECT 2"), q("X")]);
    script.answers(&["T", "D", "CSELECT 1", "T", "D", "CSELECT 1", "ZI", "E42601", "ZI"]);
    script.check(&["SELECT 1; SELECT 2: SELECT 1+SELECT 1 (2)", "X: !42601 (0)"]);
    script.sends(&[
        parse("", "A"),
        bind(""),
        Front::Describe,
        RUN,
        Front::Sync,
        parse("s", "B"),
        bind("s"),
        RUN,
        RUN,
        Front::Sync,
    ]);
    script.answers(&[
        "1",
        "2",
        "T",
        "D",
        "D",
        "CSELECT 2",
        "ZI",
        "1",
        "2",
        "D",
        "s",
        "D",
        "CSELECT 1",
        "ZI",
    ]);
    script.check(&["A: SELECT 2 (2)", "B: suspended (1)", "(goes on) B: SELECT 1 (1)"]);
    assert!(!script.statements.is_busy());
}

#[test]
fn an_error_skips_to_the_sync_whatever_was_pipelined() {
    let mut script = Script::new();
    script.sends(&[
        parse("", "A"),
        bind(""),
        RUN,
        parse("", "B"),
        bind(""),
        RUN,
        Front::Sync,
        q("C"),
    ]);
    script.answers(&["1", "2", "E22012"]);
    script.check(&["A: !22012 (0)"]);
    script.answers(&["ZI", "CX", "ZI"]);
    script.check(&["C: X (0)"]);
    // Sent after the error was seen, and before the Sync.
    script.sends(&[parse("", "D")]);
    script.answers(&["E42601"]);
    script.sends(&[bind(""), RUN, q("ignored"), Front::Sync]);
    script.answers(&["ZI"]);
    script.check(&["D: !42601 (0)"]);
    assert!(!script.statements.is_busy());
}

#[test]
fn what_ran_is_what_was_prepared_when_it_ran() {
    let mut script = Script::new();
    script.sends(&[parse("s", "OLD"), Front::Sync]);
    script.answers(&["1", "ZI"]);
    // The name is taken: the old one stays.
    script.sends(&[parse("s", "NEW"), Front::Sync, bind("s"), RUN, Front::Sync]);
    script.answers(&["E42P05", "ZI", "2", "CSELECT 0", "ZI"]);
    script.check(&["NEW: !42P05 (0)", "OLD: SELECT 0 (0)"]);
    script.sends(&[
        Front::Close {
            kind: b'S',
            name: b"s",
        },
        parse("s", "NEW"),
        bind("s"),
        RUN,
        Front::Sync,
    ]);
    script.answers(&["3", "1", "2", "CSELECT 0", "ZI"]);
    script.check(&["NEW: SELECT 0 (0)"]);
    let kept = script.statements.names.kept();
    script.sends(&[q("DEALLOCATE \"s\";")]);
    script.answers(&["CDEALLOCATE", "ZI"]);
    assert!(script.statements.names.kept() < kept);
    script.sends(&[q("DISCARD ALL")]);
    script.answers(&["CDISCARD ALL", "ZI"]);
    assert_eq!(script.statements.names.kept(), 0);
}

#[test]
fn a_sync_that_a_copy_ignores_has_no_answer() {
    let mut script = Script::new();
    // libpq sends the Sync before it knows that it is a COPY, and another after the data.
    script.sends(&[parse("", "COPY"), bind(""), RUN, Front::Sync]);
    script.answers(&["1", "2", "G"]);
    script.sends(&[
        Front::CopyData,
        Front::Sync,
        Front::CopyDone,
        Front::Sync,
        q("NEXT"),
    ]);
    script.answers(&["CCOPY 7", "ZI", "CX", "ZI"]);
    script.check(&["COPY: COPY 7 (7)", "NEXT: X (0)"]);
    // One that fails while its data comes.
    script.sends(&[parse("", "COPY"), bind(""), RUN, Front::Sync]);
    script.answers(&["1", "2", "G"]);
    script.sends(&[Front::CopyData]);
    script.answers(&["E22P02"]);
    script.sends(&[Front::CopyData, Front::CopyDone, Front::Sync, q("NEXT")]);
    script.answers(&["ZI", "CX", "ZI"]);
    script.check(&["COPY: !22P02 (0)", "NEXT: X (0)"]);
    // One that fails before its first byte: there the Sync counts.
    script.sends(&[parse("", "COPY"), bind(""), RUN, Front::Sync]);
    script.answers(&["1", "2", "G", "E22P02", "ZI"]);
    script.sends(&[q("NEXT")]);
    script.answers(&["CX", "ZI"]);
    script.check(&["COPY: !22P02 (0)", "NEXT: X (0)"]);
}

#[test]
fn data_that_comes_before_it_was_asked_for_and_what_does_not_belong_there() {
    let mut script = Script::new();
    script.sends(&[q("COPY"), Front::CopyData, Front::CopyDone, q("NEXT")]);
    script.answers(&["G", "CCOPY 1", "ZI", "CX", "ZI"]);
    script.check(&["COPY: COPY 1 (1)", "NEXT: X (0)"]);
    script.sends(&[q("COPY")]);
    script.answers(&["G"]);
    assert_eq!(script.send(&q("SELECT 1")), Err(Malformed::Kind));
}

/// A COPY of the extended protocol whose data is asked for; a Sync is sent that it may pass over.
fn copying(behind: &[Front<'_>]) -> Script {
    let mut script = Script::new();
    script.sends(&[parse("", "COPY"), bind(""), RUN, Front::Sync]);
    script.sends(behind);
    script.answers(&["1", "2", "G"]);
    script
}

#[test]
fn a_sync_that_a_failed_copy_may_have_passed_over_may_count() {
    // It counts, or not: the answers are right either way.
    for counts in [false, true] {
        let mut script = copying(&[]);
        script.sends(&[Front::CopyData, Front::Sync]);
        script.answers(&["E22P02"]);
        script.sends(&[Front::CopyDone, Front::Sync, q("NEXT")]);
        if counts {
            script.answers(&["ZI"]);
        }
        script.answers(&["ZI", "T", "CX", "ZI"]);
        script.check(&["COPY: !22P02 (0)", "NEXT: X (0)"]);
        assert!(script.answer("ZI").is_err(), "there is no more to spare");
    }
    // It counts for sure, once it was answered.
    let mut script = copying(&[]);
    script.answers(&["EP0001", "ZI"]);
    script.sends(&[Front::CopyDone, q("NEXT")]);
    script.answers(&["T", "CX", "ZI"]);
    script.check(&["COPY: !P0001 (0)", "NEXT: X (0)"]);
    // By the simple protocol nothing is skipped.
    let mut script = Script::new();
    script.sends(&[q("COPY")]);
    script.answers(&["G"]);
    script.sends(&[Front::Sync, Front::CopyDone, q("NEXT")]);
    script.answers(&["E22P02", "ZI", "ZI", "CX", "ZI"]);
    script.check(&["COPY: !22P02 (0)", "NEXT: X (0)"]);
}

#[test]
fn what_runs_or_does_not_behind_a_failed_copy_ends_the_session_and_is_recorded() {
    let hidden = [Front::CopyDone, parse("", "HIDDEN"), bind(""), RUN, q("TOO")];
    let cut = |script: &mut Script| {
        for ended in script.statements.cut(Script::now()) {
            script.note(ended);
        }
        script.check(&["COPY: !P0001 (0)", "HIDDEN: cut (0)", "TOO: cut (0)"]);
    };
    // Sent before the target asked for data, or after.
    let mut script = copying(&hidden);
    assert_eq!(script.answer("EP0001"), Err(Malformed::Untold));
    cut(&mut script);
    let mut script = copying(&[]);
    script.sends(&hidden);
    assert_eq!(script.answer("EP0001"), Err(Malformed::Untold));
    cut(&mut script);
    // Sent after it failed, before anybody can know: it is not passed on.
    let mut script = copying(&[]);
    script.answers(&["EP0001"]);
    assert_eq!(script.send(&q("HIDDEN")), Err(Malformed::Untold));
}

#[test]
fn a_name_that_may_stand_for_something_else_is_marked() {
    let mut script = Script::new();
    script.sends(&[parse("a", "A"), parse("b", "B"), Front::Sync]);
    script.answers(&["1", "1", "ZI"]);
    script.sends(&[q("DEALLOCATE a"), bind("a"), RUN, bind("b"), RUN, Front::Sync]);
    script.answers(&["CDEALLOCATE", "ZI", "2", "CX", "2", "CX", "ZI"]);
    script.check(&["DEALLOCATE a: DEALLOCATE (0)", "(prepared: a): X (0)", "B: X (0)"]);
    script.sends(&[q("DEALLOCATE b; PREPARE b AS C"), bind("b"), RUN, Front::Sync]);
    script.answers(&["CDEALLOCATE", "CPREPARE", "ZI", "2", "CX", "ZI"]);
    script.check(&[
        "DEALLOCATE b; PREPARE b AS C: DEALLOCATE+PREPARE (0)",
        "(perhaps) B: X (0)",
    ]);
    // A portal, in a transaction.
    let portal = |statement: &'static str| Front::Bind {
        portal: b"p",
        statement: statement.as_bytes(),
        rest: &[],
    };
    script.sends(&[parse("", "D"), portal(""), Front::Sync]);
    script.answers(&["1", "2", "ZT"]);
    script.sends(&[
        q("CLOSE p; DECLARE p CURSOR FOR E"),
        Front::Execute { portal: b"p" },
        Front::Sync,
    ]);
    script.answers(&["CCLOSE CURSOR", "CDECLARE CURSOR", "ZT", "CX", "ZT"]);
    let seen = std::mem::take(&mut script.seen);
    assert_eq!(seen.last().unwrap(), "(perhaps) D: X (0)");
}

#[test]
fn data_of_a_copy_are_counted_with_the_statement_that_they_are_of() {
    let mut script = Script::new();
    script.sends(&[q("COPY"), Front::CopyData]);
    script.statements.copied_in(7);
    script.answers(&["G", "CCOPY 1"]);
    script.statements.copied_out(5);
    let answered = script
        .statements
        .back(Head { kind: b'Z', body: 1 }, b"I", Script::now());
    let ended = answered.unwrap().ended.remove(0);
    assert_eq!(ended.record.unwrap().1.copied, 12);
}

#[test]
fn values_that_are_left_out_are_counted() {
    let mut rest = vec![0, 0];
    rest.extend_from_slice(&1_500_u16.to_be_bytes());
    rest.extend_from_slice(&[0xff; 4 * 1_500]);
    let values = recorded(&rest);
    assert_eq!(
        (values.len(), values.last()),
        (1_001, Some(&crate::record::Value::LeftOut(500)))
    );
}

#[test]
fn an_answer_to_nothing_is_an_error() {
    for message in [
        "1", "2", "3", "T", "n", "CX", "ZI", "s", "G", "V", "E42601", "R", "K", "?",
    ] {
        assert!(Script::new().answer(message).is_err(), "{message}");
    }
    for message in ["N", "A", "S"] {
        assert!(Script::new().answer(message).is_ok(), "{message}");
    }
    let mut script = Script::new();
    script.sends(&[q("A")]);
    assert!(script.answer("1").is_err());
}

#[test]
fn room_comes_back_however_it_ends() {
    let mut script = Script::new();
    for _ in 0..20_000 {
        script.sends(&[parse("s", "A"), bind("s"), RUN, Front::Sync]);
        let answered = script
            .statements
            .back(Head { kind: b'E', body: 0 }, b"C42601\0\0", Script::now())
            .unwrap();
        for ended in answered.ended {
            script.recorder.unused(&ended.room);
        }
        script.answers(&["ZI"]);
    }
    assert!(
        script.recorder.room_now(1 << 20).is_some(),
        "all of it is there again"
    );
}

proptest::proptest! {
    /// Whatever comes in whatever order: an error perhaps, and no panic.
    #[test]
    fn any_order_is_stood(steps in proptest::collection::vec((0..24_usize, 0..3_u8), 0..60)) {
        let mut script = Script::new();
        for (step, name) in steps {
            let name: &[u8] = match name { 0 => b"", 1 => b"a", _ => b"b" };
            let fronts = [
                Front::Query { text: b"Q" }, Front::Parse { name, text: b"P" }, Front::Bind { portal: name, statement: b"a", rest: &[0, 0, 0, 1] },
                Front::Execute { portal: name }, Front::Describe, Front::Close { kind: b'S', name }, Front::Sync, Front::Flush,
                Front::FunctionCall { number: 1, rest: &[] }, Front::CopyData, Front::CopyDone, Front::CopyFail,
            ];
            let ok = match fronts.get(step) {
                Some(front) => script.send(front).is_ok(),
                None => {
                    let answers = ["1", "2", "3", "t", "T", "n", "G", "CSELECT 1", "E42601", "ZI", "s", "D"];
                    script.answer(answers[step - 12]).is_ok()
                }
            };
            if !ok { break; }
        }
        let cut = script.statements.cut(Script::now());
        proptest::prop_assert!(!script.statements.is_busy() || script.statements.copying);
        drop(cut);
    }
}

#[test]
fn an_execute_costs_the_text_that_it_will_be_recorded_with() {
    let mut script = Script::new();
    script.sends(&[parse("a", "SELECT 12345"), bind("a")]);
    // What was bound has room for the first of them, and nothing of it is answered yet.
    assert_eq!(script.statements.cost(&bind("a")), Some(12));
    assert_eq!(script.statements.cost(&RUN), Some(0));
    script.sends(&[RUN]);
    assert_eq!(script.statements.cost(&RUN), Some(12), "the second");
    script.sends(&[Front::Sync]);
    assert!(script.statements.is_alone());
    script.answers(&["1", "2", "CSELECT 1", "ZI"]);
    assert_eq!(script.statements.cost(&bind("a")), Some(12), "by its name");
    script.sends(&[bind("a")]);
    script.answers(&["2"]);
    assert_eq!(script.statements.cost(&RUN), Some(0), "by its portal");
    script.sends(&[RUN]);
    assert_eq!(script.statements.cost(&RUN), Some(12), "by its portal");
    script.sends(&[RUN]);
    assert!(!script.statements.is_alone());
    script.answers(&["s"]);
    assert_eq!(script.statements.cost(&RUN), Some(12));
}

mod ends;
mod portals;
