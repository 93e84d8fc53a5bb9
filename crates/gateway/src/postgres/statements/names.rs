//! What the names of prepared statements and portals stand for, as far as that is known. SQL can change it too (DEALLOCATE, CLOSE,
//! DECLARE), in texts that are not read like PostgreSQL reads them: what may have changed is marked.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use daypass_core::time::Timestamp;

use super::entry::{Ended, Now, Running};
use crate::postgres::frame;
use crate::postgres::lexer::{Lexer, Token};
use crate::record::{Outcome, Room, Statement, Text, Value};

/// How many bytes of texts and values of prepared statements and portals are kept for one session.
const KEPT: usize = 32 << 20;

struct Prepared {
    text: Text,
    /// What is bound to it may be a password.
    secret: bool,
    /// It surely changes no settings.
    keeps: bool,
    /// How often its name was in doubt before it was prepared.
    doubts: u64,
}

struct Portal {
    text: Text,
    values: Option<Arc<[Value]>>,
    /// What it is counted as here.
    cost: usize,
    /// What values are counted as in a record.
    size: usize,
    /// Its text was what its statement stood for.
    certain: bool,
    /// It surely changes no settings.
    keeps: bool,
    /// How often its name was in doubt before it was bound.
    doubts: u64,
    /// It was not executed yet.
    bound: Option<Bound>,
    /// It was executed, and there is more of it.
    suspended: bool,
}

/// What was bound and not executed: planning it may have run something.
struct Bound {
    at: Timestamp,
    took: Duration,
    room: Room,
}

impl Portal {
    /// Whether it runs its text, where its name was in doubt so often.
    const fn is_certain(&self, name: &[u8], doubts: u64) -> bool {
        self.certain && (name.is_empty() || self.doubts == doubts)
    }

    /// It was never executed: what is recorded then.
    fn bound_only(&mut self, certain: bool) -> Option<Ended> {
        let Bound { at, took, room } = self.bound.take()?;
        let statement = Statement {
            text: self.text.clone(),
            perhaps: !certain,
            goes_on: false,
            values: self.values.take(),
            took,
            rows: 0,
            copied: 0,
            outcome: Outcome::Bound,
            before: Vec::new(),
        };
        Some(Ended {
            record: Some((at, statement)),
            room,
        })
    }
}

/// What a prepared statement is counted as.
const fn prepared_cost(name: &[u8], text: &str) -> usize {
    128 + name.len() + text.len()
}

/// What a portal is counted as: its values may be written as digits.
const fn portal_cost(name: &[u8], values: usize) -> usize {
    128 + name.len() + 2 * values
}

/// See the module.
#[derive(Default)]
pub(super) struct Names {
    prepared: HashMap<Vec<u8>, Prepared>,
    portals: HashMap<Vec<u8>, Portal>,
    /// Names and texts of prepared statements.
    kept: usize,
    /// What portals hold: their names and values.
    portal_bytes: usize,
    /// How often SQL was seen that may have changed what any name of a prepared statement stands for, or of a portal: counted, so that
    /// thousands of such statements do not each look at thousands of names.
    prepared_doubts: u64,
    portal_doubts: u64,
    /// The portals that were not executed yet.
    bound_only: HashSet<Vec<u8>>,
    /// Of portals that are gone and were never executed: what is recorded.
    gone: Vec<Ended>,
}

impl Names {
    pub(super) fn has_room_to_prepare(&self, text: &[u8]) -> bool {
        self.kept.saturating_add(text.len()) <= KEPT
    }

    pub(super) fn has_room_to_bind(&self, portal: &[u8], rest: &[u8]) -> bool {
        self.portal_bytes.saturating_add(portal_cost(portal, rest.len())) <= KEPT / 4
    }

    /// A Parse was done.
    pub(super) fn prepare(&mut self, name: Vec<u8>, text: Text, (secret, keeps): (bool, bool)) {
        self.forget(&name);
        self.kept += prepared_cost(&name, &text);
        let made = Prepared {
            text,
            secret,
            keeps,
            doubts: self.prepared_doubts,
        };
        self.prepared.insert(name, made);
    }

    /// A Bind was done.
    pub(super) fn bind(&mut self, portal: Vec<u8>, statement: &[u8], running: Running, now: Now) {
        let Running {
            values, size, room, ..
        } = running;
        let (text, certain) = self.text_of(statement);
        let values = values.map(|values| self.shown(statement, values));
        let cost = portal_cost(&portal, size);
        self.close(&portal);
        self.portal_bytes += cost;
        let bound = Bound {
            at: running.now.at,
            took: now.instant.saturating_duration_since(running.now.instant),
            room,
        };
        let made = Portal {
            text,
            values,
            cost,
            size,
            certain,
            keeps: self.keeps(statement),
            doubts: self.portal_doubts,
            bound: Some(bound),
            suspended: false,
        };
        self.bound_only.insert(portal.clone());
        self.portals.insert(portal, made);
    }

    /// It is executed; the answer is the room that its Bind had.
    pub(super) fn executed(&mut self, portal: &[u8]) -> Option<Room> {
        self.bound_only.remove(portal);
        let portal = self.portals.get_mut(portal)?;
        portal.bound.take().map(|bound| bound.room)
    }

    /// Whether it has the room of its Bind still.
    pub(super) fn is_bound_only(&self, portal: &[u8]) -> bool {
        self.bound_only.contains(portal)
    }

    /// What is recorded of portals that were never executed, and are gone.
    pub(super) fn gone(&mut self) -> Vec<Ended> {
        std::mem::take(&mut self.gone)
    }

    /// What ended otherwise, to be told with them.
    pub(super) fn keep(&mut self, ended: Vec<Ended>) {
        self.gone.extend(ended);
    }

    /// Those that nothing executes are recorded now: others wait for their room.
    pub(super) fn hurry(&mut self, executes: impl Fn(&[u8]) -> bool) {
        let Self {
            bound_only,
            portals,
            portal_doubts,
            gone,
            ..
        } = self;
        bound_only.retain(|name| {
            let executed = executes(name);
            if let (false, Some(portal)) = (executed, portals.get_mut(name)) {
                gone.extend(portal.bound_only(portal.is_certain(name, *portal_doubts)));
            }
            executed
        });
    }

    /// As [`Names::hurry`], of one that was bound just now.
    pub(super) fn hurry_one(&mut self, name: &[u8]) {
        self.bound_only.remove(name);
        if let Some(portal) = self.portals.get_mut(name) {
            let certain = portal.is_certain(name, self.portal_doubts);
            self.gone.extend(portal.bound_only(certain));
        }
    }

    /// A prepared statement is gone.
    pub(super) fn forget(&mut self, name: &[u8]) {
        if let Some(before) = self.prepared.remove(name) {
            self.kept = self.kept.saturating_sub(prepared_cost(name, &before.text));
        }
    }

    /// A portal is gone.
    pub(super) fn close(&mut self, portal: &[u8]) {
        if let Some(mut before) = self.portals.remove(portal) {
            self.portal_bytes = self.portal_bytes.saturating_sub(before.cost);
            self.bound_only.remove(portal);
            let certain = before.is_certain(portal, self.portal_doubts);
            self.gone.extend(before.bound_only(certain));
        }
    }

    /// Portals do not outlive their transaction.
    pub(super) fn transaction_ended(&mut self) {
        self.hurry(|_| false);
        // What is empty and has room for thousands is looked through as if they were there.
        self.portals = HashMap::new();
        self.bound_only = HashSet::new();
        self.portal_bytes = 0;
    }

    /// The text of a prepared statement, and whether that is certain.
    pub(super) fn text_of(&self, statement: &[u8]) -> (Text, bool) {
        match self.prepared.get(statement) {
            Some(known) => {
                let certain = statement.is_empty() || known.doubts == self.prepared_doubts;
                (known.text.clone(), certain)
            }
            None => (format!("(prepared: {})", statement.escape_ascii()).into(), true),
        }
    }

    /// Values that are bound to it: none of them where one may be a password, or nobody knows what it says.
    pub(super) fn shown(&self, statement: &[u8], values: Arc<[Value]>) -> Arc<[Value]> {
        if self.prepared.get(statement).is_some_and(|known| !known.secret) {
            return values;
        }
        let hide = |value: &Value| match value {
            Value::Null => Value::Null,
            Value::LeftOut(count) => Value::LeftOut(*count),
            _ => Value::Hidden,
        };
        values.iter().map(hide).collect()
    }

    /// Whether what it stands for surely changes no settings.
    pub(super) fn keeps(&self, statement: &[u8]) -> bool {
        let known = self.prepared.get(statement);
        known.is_some_and(|known| known.keeps) && self.text_of(statement).1
    }

    /// As [`Names::keeps`], of a portal.
    pub(super) fn portal_keeps(&self, portal: &[u8]) -> bool {
        let known = self.portals.get(portal);
        known.is_some_and(|known| known.keeps && known.is_certain(portal, self.portal_doubts))
    }

    /// How long it is.
    pub(super) fn text_len(&self, statement: &[u8]) -> usize {
        self.prepared.get(statement).map_or(0, |known| known.text.len())
    }

    /// How many bytes the text and the values of a portal have.
    pub(super) fn portal_len(&self, portal: &[u8]) -> usize {
        let known = self.portals.get(portal);
        known.map_or(0, |known| known.text.len().saturating_add(known.size))
    }

    /// What a portal runs, as it is recorded.
    pub(super) fn portal(&mut self, portal: &[u8], running: &mut Running) {
        if let Some(known) = self.portals.get_mut(portal) {
            running.goes_on = std::mem::replace(&mut known.suspended, running.suspended);
            running.text = Some(known.text.clone());
            running.perhaps = !known.is_certain(portal, self.portal_doubts);
            running.values = known.values.clone();
        } else {
            running.text = Some(format!("(portal: {})", portal.escape_ascii()).into());
        }
    }

    /// A statement of this text did what this tag says. The unnamed statement and portal are no matter of SQL.
    pub(super) fn tagged(&mut self, tag: &str, text: &str) {
        match tag {
            "DISCARD ALL" => {
                self.forget_named();
                self.doubt_portals();
            }
            "DEALLOCATE ALL" => self.forget_named(),
            // What a name stands for that SQL has prepared is in its own record.
            "DEALLOCATE" | "PREPARE" => match named(text, tag) {
                Some(name) => self.forget(&name),
                None => self.doubt_prepared(),
            },
            "CLOSE CURSOR" => match named(text, "CLOSE") {
                Some(name) => self.close(&name),
                None => self.doubt_portals(),
            },
            // A savepoint's portals are gone too, and what is declared has a name that was free.
            "CLOSE CURSOR ALL" | "DECLARE CURSOR" | "ROLLBACK" => self.doubt_portals(),
            // Code may do all of this.
            "DO" | "CALL" => {
                self.doubt_prepared();
                self.doubt_portals();
            }
            _ => {}
        }
    }

    /// The unnamed statement stays: PostgreSQL keeps it apart from those that have names.
    fn forget_named(&mut self) {
        let unnamed = self.prepared.remove(&b""[..]);
        self.kept = unnamed.as_ref().map_or(0, |one| prepared_cost(b"", &one.text));
        self.prepared = unnamed.map(|one| (Vec::new(), one)).into_iter().collect();
    }

    const fn doubt_prepared(&mut self) {
        self.prepared_doubts = self.prepared_doubts.wrapping_add(1);
    }

    const fn doubt_portals(&mut self) {
        self.portal_doubts = self.portal_doubts.wrapping_add(1);
    }

    #[cfg(test)]
    pub(super) const fn kept(&self) -> usize {
        self.kept
    }
}

/// A longer text is not looked through for a name: it may be executed often.
const LONGEST_NAMED: usize = 4 * 1024;

/// The name in `DEALLOCATE [PREPARE] name`, `CLOSE name` or `PREPARE name …`, where the text is this one statement and the name is
/// written so that there is no doubt about it.
fn named(text: &str, verb: &str) -> Option<Vec<u8>> {
    if text.len() > LONGEST_NAMED {
        return None;
    }
    let mut tokens = Lexer::new(text)
        .filter(|token| !matches!(token, Token::Space(_) | Token::Comment(_)))
        .peekable();
    let is = |token: &Token<'_>, wanted: &str| matches!(token, Token::Word(word) if word.eq_ignore_ascii_case(wanted));
    if !is(&tokens.next()?, verb) {
        return None;
    }
    let mut name = tokens.next()?;
    if verb == "DEALLOCATE"
        && is(&name, "prepare")
        && matches!(tokens.peek(), Some(Token::Word(_) | Token::Name(_)))
    {
        name = tokens.next()?;
    }
    let name = match name {
        Token::Word(word) => word.to_ascii_lowercase(),
        Token::Name(quoted) => quoted.strip_prefix('"')?.strip_suffix('"')?.replace("\"\"", "\""),
        _ => return None,
    };
    let mut ended = false;
    for token in tokens {
        if ended || (verb != "PREPARE" && token != Token::Other(';')) {
            return None;
        }
        ended = token == Token::Other(';');
    }
    // What is longer is cut, and letters beyond ASCII may be folded by the target's own rules.
    (name.is_ascii() && name.len() <= frame::NAME).then(|| name.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge;
    use crate::record::Recorder;

    #[test]
    fn a_name_is_taken_only_from_a_text_that_is_one_statement() {
        for (text, verb, expected) in [
            ("DEALLOCATE a", "DEALLOCATE", Some("a")),
            ("/* x */ deallocate\n Prepare \"A\"\"b\" ;; ", "DEALLOCATE", None),
            (
                "/* x */ deallocate\n Prepare \"A\"\"b\" ; -- x",
                "DEALLOCATE",
                Some("A\"b"),
            ),
            ("DEALLOCATE PREPARE", "DEALLOCATE", Some("prepare")),
            ("DEALLOCATE a; PREPARE a AS SELECT 1", "DEALLOCATE", None),
            ("SELECT 1; DEALLOCATE a", "DEALLOCATE", None),
            ("DEALLOCATE U&\"a\"", "DEALLOCATE", None),
            ("DEALLOCATE \u{c4}", "DEALLOCATE", None),
            ("CLOSE C_1;", "CLOSE", Some("c_1")),
            ("PREPARE a (int) AS SELECT ';', $1;", "PREPARE", Some("a")),
            ("PREPARE a AS SELECT 1; DEALLOCATE b", "PREPARE", None),
        ] {
            let name = named(text, verb).map(|name| String::from_utf8(name).unwrap());
            assert_eq!(name.as_deref(), expected, "{text}");
        }
        assert_eq!(named(&format!("CLOSE {}", "x".repeat(64)), "CLOSE"), None);
        assert_eq!(named(&format!("CLOSE a{}", " ".repeat(1 << 20)), "CLOSE"), None);
    }

    #[test]
    fn the_unnamed_statement_outlives_those_that_have_names() {
        for tag in ["DEALLOCATE ALL", "DISCARD ALL"] {
            let mut names = Names::default();
            names.prepare(Vec::new(), "DELETE FROM secrets".into(), (false, false));
            names.prepare(b"a".to_vec(), "SELECT 1".into(), (false, false));
            names.tagged(tag, tag);
            assert_eq!(&*names.text_of(b"").0, "DELETE FROM secrets", "{tag}");
            assert_eq!(&*names.text_of(b"a").0, "(prepared: a)", "{tag}");
            names.forget(b"");
            assert_eq!(names.kept(), 0);
        }
    }

    #[test]
    fn a_hundred_thousand_doubts_about_as_many_names_take_no_time() {
        let mut names = Names::default();
        for number in 0..100_000_u32 {
            names.prepare(number.to_be_bytes().to_vec(), "SELECT 1".into(), (false, false));
        }
        let begun = edge::instant();
        for _ in 0..100_000 {
            names.tagged("PREPARE", "PREPARE a AS SELECT 1; PREPARE b AS SELECT 2");
            names.tagged("DO", "");
        }
        assert!(!names.text_of(&[0; 4]).1);
        for _ in 0..100_000 {
            names.tagged("DEALLOCATE ALL", "");
            names.transaction_ended();
        }
        assert_eq!(names.kept(), 0);
        // Each looking at all would take minutes.
        let took = edge::instant().saturating_duration_since(begun);
        assert!(took < Duration::from_secs(20), "{took:?}");
    }

    #[test]
    fn a_portal_of_an_uncertain_statement_holds_no_copy_of_its_text() {
        let mut names = Names::default();
        let text: Text = "SELECT 1".into();
        names.prepare(b"a".to_vec(), text.clone(), (false, false));
        names.tagged("DO", "DO $$BEGIN END$$");
        let now = Now {
            at: edge::now(),
            instant: edge::instant(),
        };
        let room = Recorder::default().room_now(0).unwrap();
        names.bind(b"p".to_vec(), b"a", Running::new(now, room), now);
        assert!(
            names
                .portals
                .values()
                .all(|portal| portal.text.is(&text) && !portal.is_certain(b"p", names.portal_doubts))
        );
        let room = Recorder::default().room_now(0).unwrap();
        let mut running = Running::new(now, room);
        names.portal(b"p", &mut running);
        assert!(running.perhaps && running.text.unwrap().is(&text));
    }
}
