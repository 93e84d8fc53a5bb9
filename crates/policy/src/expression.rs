//! Conditions in CEL, the Common Expression Language: compiled when a policy is loaded, within hard limits.
//!
//! The language has no bound of its own on what an expression costs. Here it has no loops (the macros `all`, `exists`, `map` and
//! `filter`), is short, and nests little; so that its cost is bounded by its length and that of the texts it is about. Those are
//! names, and a ticket of at most 128 bytes; what a pattern may cost for each of their bytes is bounded in `ticket`. It is
//! checked against the types of the variables when it is loaded. What goes wrong in an evaluation counts as not met.

mod clock;
mod types;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use cel::extractors::This;
use cel::{Context, Env, ExecutionError, IdedExpr, Value};
use daypass_core::name::Item;
use daypass_core::person::{Kind, Person};
use daypass_core::time::{Span, Timestamp};

use self::clock::Clocks;
use self::types::Named;
use crate::addition::Addition;
use crate::diagnostic::At;
use crate::document::Resource;
use crate::ticket::{Pattern, Patterns};

/// The longest expression, in bytes.
const MAX_BYTES: usize = 1_000;
/// The stack on which it is parsed, in bytes; only what is used of it is real memory.
const STACK: usize = 64 << 20;
/// How deep the parser may go into brackets.
const MAX_RECURSION: u16 = 24;
/// The most that is told of what a library says.
const MAX_TOLD: usize = 160;

/// The functions of the language, made once: they are the same for every expression.
static LANGUAGE: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib().with_optional_support(false)));

/// A compiled expression that says true or false.
#[derive(Debug, Clone)]
pub(crate) struct Expression {
    pub(crate) text: String,
    pub(crate) at: At,
    tree: Arc<IdedExpr>,
    /// The patterns that it matches against, compiled within bounds.
    patterns: Arc<BTreeMap<String, Pattern>>,
    /// The clocks that it looks at.
    clocks: Clocks,
    /// What of a request it looks at that may still be added: before that nobody knows whether it will hold.
    pub(crate) additions: BTreeSet<Addition>,
    /// Whether it asks if one of them is there.
    asks_whether: bool,
}

/// What is wrong with an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// Where in the expression, in characters from its beginning.
    pub(crate) offset: usize,
    pub(crate) what: String,
}

/// Why it cannot be told whether an expression holds.
#[derive(Debug)]
struct Wrong {
    told: String,
    /// The name that something does not have, where that is why.
    lacks: Option<String>,
}

impl Wrong {
    fn told(told: impl Into<String>) -> Self {
        Self {
            told: told.into(),
            lacks: None,
        }
    }
}

/// What an expression may be about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) person: &'a Person,
    pub(crate) resource: &'a Resource,
    pub(crate) item: &'a Item,
    /// For how long it is asked, or how long the rule gives by itself.
    pub(crate) duration: Span,
    /// The ticket, as it was given.
    pub(crate) ticket: Option<&'a str>,
    pub(crate) extends: bool,
    pub(crate) break_glass: bool,
    /// From when on it is asked for: now, or later.
    pub(crate) start: Timestamp,
    pub(crate) now: Timestamp,
}

impl Expression {
    /// Parses and checks an expression.
    ///
    /// # Errors
    /// The first mistake in it.
    pub(crate) fn compile(text: &str, at: At, patterns: &mut Patterns) -> Result<Self, Mistake> {
        if text.len() > MAX_BYTES {
            let what = format!(
                "the expression has {} bytes; at most {MAX_BYTES} are taken",
                text.len()
            );
            return Err(Mistake { offset: 0, what });
        }
        // The parser descends as deep as a text nests, before anything can be said about its parts: on a stack that is known
        // to be enough for the longest text.
        let parsed = std::thread::scope(|scope| {
            let roomy = std::thread::Builder::new().stack_size(STACK);
            let parsing = roomy.spawn_scoped(scope, || parse(text, patterns)).ok()?;
            parsing.join().ok()
        });
        let failed = || Mistake {
            offset: 0,
            what: String::from("the parser fails on this expression"),
        };
        let (mut tree, named) = parsed.ok_or_else(failed)??;
        let clocks = Clocks::of(&mut tree, named.zones);
        Ok(Self {
            text: text.to_owned(),
            at,
            tree: Arc::new(tree),
            patterns: Arc::new(named.patterns),
            clocks,
            additions: named.additions,
            asks_whether: named.asks_whether,
        })
    }

    /// Whether it holds.
    ///
    /// # Errors
    /// Why that cannot be told.
    pub(crate) fn holds(&self, facts: &Facts<'_>) -> Result<bool, String> {
        self.evaluate(facts.variables(&BTreeSet::new()))
            .map_err(|wrong| wrong.told)
    }

    /// Whether it depends on what a request may still add: without that it cannot be told, as the rest does not decide alone.
    ///
    /// Where something else is wrong besides, it may be said to depend and not hold whatever is added; whoever asks is told.
    pub(crate) fn is_open(&self, facts: &Facts<'_>) -> bool {
        if self.additions.is_empty() || self.asks_whether {
            return !self.additions.is_empty();
        }
        let lacks = |wrong: Wrong| {
            wrong
                .lacks
                .is_some_and(|field| Addition::of_field(&field).is_some())
        };
        self.evaluate(facts.variables(&self.additions)).is_err_and(lacks)
    }

    fn evaluate(&self, variables: Option<[(&'static str, Value); 4]>) -> Result<bool, Wrong> {
        let mut context = Context::with_env(Arc::clone(&LANGUAGE));
        let patterns = Arc::clone(&self.patterns);
        let matches =
            move |This(text): This<Arc<String>>, pattern: Arc<String>| -> Result<bool, ExecutionError> {
                let pattern = patterns.get(pattern.as_str());
                let pattern =
                    pattern.ok_or_else(|| ExecutionError::function_error("matches", "an unknown pattern"))?;
                Ok(pattern.is_match(&text))
            };
        context
            .add_function("matches", matches)
            .and_then(|()| self.clocks.add_to(&mut context))
            .map_err(|error| Wrong::told(short(&error)))?;
        for (name, value) in variables.ok_or_else(|| Wrong::told("a time is out of range"))? {
            context.add_variable_from_value(name, value);
        }
        // A fault of the library is no reason to end more than this evaluation.
        let resolved = catch_unwind(AssertUnwindSafe(|| context.resolve(&self.tree)));
        match resolved {
            Ok(Ok(Value::Bool(holds))) => Ok(holds),
            Ok(Ok(_)) => Err(Wrong::told("it says neither true nor false")),
            Ok(Err(error)) => Err(Wrong {
                told: short(&error),
                lacks: match error {
                    ExecutionError::NoSuchKey(key) => Some(key.as_ref().clone()),
                    _ => None,
                },
            }),
            Err(_) => Err(Wrong::told("the evaluation failed")),
        }
    }
}

impl Facts<'_> {
    /// The variables, as `types` describes them, but for these fields of the request.
    fn variables(&self, without: &BTreeSet<Addition>) -> Option<[(&'static str, Value); 4]> {
        let kind = match self.person.kind {
            Kind::Person => "person",
            Kind::Service => "service",
        };
        let subject = record([("login", text(self.person.login.text())), ("kind", text(kind))]);
        let labels: HashMap<String, Value> = self
            .resource
            .labels
            .iter()
            .map(|(label, value)| (label.to_string(), text(value.as_str())))
            .collect();
        let resource = record([
            ("name", text(self.resource.name.as_str())),
            ("kind", text(self.resource.kind.as_str())),
            ("role", text(self.item.role.as_str())),
            ("labels", labels.into()),
        ]);
        let length = i64::try_from(self.duration.micros()).ok()?;
        let request = [
            (
                "duration",
                Value::Duration(chrono::Duration::microseconds(length)),
            ),
            ("ticket", text(self.ticket.unwrap_or_default())),
            ("extends", Value::Bool(self.extends)),
            ("emergency", Value::Bool(self.break_glass)),
            ("start", instant(self.start)?),
        ];
        let is_known =
            |(field, _): &(&str, Value)| Addition::of_field(field).is_none_or(|one| !without.contains(&one));
        let request = record(request.into_iter().filter(is_known));
        Some([
            ("subject", subject),
            ("resource", resource),
            ("request", request),
            ("now", instant(self.now)?),
        ])
    }
}

fn parse(text: &str, patterns: &mut Patterns) -> Result<(IdedExpr, Named), Mistake> {
    let parser = LANGUAGE.parser().max_recursion_depth(MAX_RECURSION);
    let parsed = parser.error_recovery_limit(1).parse_with_source_info(text);
    let (tree, places) = parsed.map_err(|errors| syntax(text, &errors))?;
    let named = types::check(&tree, &places, &LANGUAGE, patterns)?;
    Ok((tree, named))
}

fn record<'a>(fields: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let fields: HashMap<String, Value> = fields
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    fields.into()
}

fn text(text: &str) -> Value {
    Value::String(Arc::new(text.to_owned()))
}

fn instant(at: Timestamp) -> Option<Value> {
    let at = chrono::DateTime::from_timestamp_micros(at.micros())?;
    Some(Value::Timestamp(at.fixed_offset()))
}

/// The first thing that the parser stumbles over, in one line.
fn syntax(text: &str, errors: &cel::ParseErrors) -> Mistake {
    let Some(first) = errors.errors.first() else {
        let what = String::from("this is no expression");
        return Mistake { offset: 0, what };
    };
    let (line, column) = (first.pos.0.max(1), first.pos.1.max(1));
    let before: usize = text
        .lines()
        .take(usize::try_from(line - 1).unwrap_or(0))
        .map(|line| line.chars().count() + 1)
        .sum();
    Mistake {
        offset: before + usize::try_from(column - 1).unwrap_or(0),
        what: short(&first.msg),
    }
}

/// What a library says, in one line that is not too long.
fn short(error: &impl std::fmt::Display) -> String {
    let said = error.to_string();
    let line = said.lines().next().unwrap_or_default();
    let line: String = line.chars().filter(|c| !c.is_control()).take(MAX_TOLD).collect();
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {

    use daypass_core::id::PersonId;

    use daypass_core::text::Prose;

    use super::*;

    pub(super) fn compile(text: &str) -> Result<Expression, Mistake> {
        Expression::compile(text, At::default(), &mut Patterns::default())
    }

    /// Whether an expression holds for them.
    pub(super) fn holds(text: &str) -> Result<bool, String> {
        let expression = compile(text).map_err(|mistake| mistake.what)?;
        with_facts(|facts| expression.holds(&facts))
    }

    /// Of ana, who asks for an hour of orders/write at a quarter past ten in the night.
    pub(super) fn with_facts<T>(run: impl FnOnce(Facts<'_>) -> T) -> T {
        let person = Person::new(
            PersonId::from_bytes([1; 10]),
            Kind::Person,
            Prose::new([0; 16], "ana"),
            Prose::new([0; 16], "Ana"),
        );
        let policy = crate::Policy::load(&[crate::Source {
            name: String::from("p"),
            text: String::from(
                "{version: 1, connectors: [{name: pg, kind: postgres}], resources: [{name: orders, kind: postgres, \
                 connector: pg, labels: {env: production, tier: 1}, roles: {write: {}}}]}",
            ),
        }])
        .unwrap();
        let now = "2026-03-07T22:15:00+01:00".parse().unwrap();
        let facts = Facts {
            person: &person,
            resource: policy.resource("orders").unwrap(),
            item: &"orders/write".parse().unwrap(),
            duration: Span::hours(1),
            ticket: Some("PAY-7"),
            extends: false,
            break_glass: false,
            start: now,
            now,
        };
        run(facts)
    }

    #[test]
    fn expressions_are_about_the_documented_variables() {
        for (text, expect) in [
            ("true", true),
            ("subject.login == 'ana' && subject.kind == 'person'", true),
            ("subject.login in ['bo', 'cy']", false),
            (
                "resource.name == 'orders' && resource.kind == \"postgres\" && resource.role == 'write'",
                true,
            ),
            ("resource.labels.env == 'production'", true),
            ("resource.labels['tier'] == '1'", true),
            (
                "has(resource.labels.team) && resource.labels.team == 'payments'",
                false,
            ),
            ("'team' in resource.labels || resource.labels.size() == 2", true),
            ("request.duration <= duration('1h')", true),
            ("request.duration + duration('1m') > duration('1h')", true),
            (
                "request.ticket.startsWith('PAY-') && !request.extends && !request.emergency",
                true,
            ),
            ("request.ticket.matches('^[A-Z]+-[0-9]+$')", true),
            ("request.ticket.matches('AY')", true),
            (
                "request.ticket.contains('PAY') ? size(request.ticket) == 5 : false",
                true,
            ),
            (
                "duration('1h30m') == duration('1.5h') && duration('-90m') + duration('90m') == duration('0')",
                true,
            ),
            (
                "duration('1ms1us1ns') > duration('1.001ms') && request.duration == duration('3600s')",
                true,
            ),
            ("now.getHours('Europe/Madrid') >= 22", true),
            ("now.getHours() == 21 && now.getDayOfWeek() == 6", true),
            ("now < timestamp('2027-01-01T00:00:00Z')", true),
            ("request.start - now == duration('0s')", true),
            ("1 + 2 * 3 - 4 % 3 == 6 && -1 < 0 && 1.5 / 0.5 == 3.0", true),
        ] {
            assert_eq!(holds(text), Ok(expect), "{text}");
        }
    }

    #[test]
    fn what_goes_wrong_is_an_error_and_never_true() {
        for text in [
            "resource.labels.team == 'payments'",
            "resource.labels['team'] != 'payments'",
            "1 / (size(request.ticket) - 5) == 1",
            "9223372036854775807 + size(request.ticket) > 0",
            "-(-9223372036854775807 - 1) > 0",
            "['a'][size(request.ticket)] == 'a'",
            "now + duration('9000000000s') + duration('9000000000s') + duration('9000000000s') > now - duration('1s') && 1/(5-size(request.ticket)) == 1",
        ] {
            assert!(holds(text).is_err(), "{text}: {:?}", holds(text));
        }
    }

    /// An expression, where it is wrong, and part of what is told.
    const MISTAKES: &[(&str, usize, &str)] = &[
        ("subject.login == ", 17, "Syntax error"),
        (
            "subjct.login == 'ana'",
            0,
            "there is no variable \"subjct\"; did you mean \"subject\"?",
        ),
        (
            "subject.logn == 'ana'",
            7,
            "a subject has no \"logn\"; did you mean \"login\"?",
        ),
        (
            "'x' in subject.groups",
            14,
            "a subject has no \"groups\"; it has login, kind",
        ),
        (
            "subject.login",
            7,
            "an expression says true or false; this is text",
        ),
        (
            "true && 'x' == 1",
            12,
            "text and a whole number cannot be compared",
        ),
        (
            "subject == resource",
            8,
            "a subject and a resource cannot be compared",
        ),
        ("now > 5", 4, "an instant and a whole number cannot be compared"),
        ("1 == 1.0", 2, "cannot be compared"),
        ("!request.ticket", 0, "\"!\" is for true or false; this is text"),
        (
            "request.duration == '1h'",
            17,
            "a length of time and text cannot be compared",
        ),
        ("duration('an hour') > request.duration", 8, "no length of time"),
        ("duration('6months') > request.duration", 8, "no length of time"),
        (
            "duration('1h garbage') > request.duration",
            8,
            "no length of time",
        ),
        ("duration('1h 30m') > request.duration", 8, "no length of time"),
        ("duration('1e3h') > request.duration", 8, "no length of time"),
        ("duration('1h-30m') > request.duration", 8, "no length of time"),
        ("duration('+1h') > request.duration", 8, "no length of time"),
        ("duration('infh') > request.duration", 8, "no length of time"),
        ("duration('1.h') > request.duration", 8, "no length of time"),
        ("duration('90') > request.duration", 8, "no length of time"),
        ("duration('-') > request.duration", 8, "no length of time"),
        ("duration('') > request.duration", 8, "no length of time"),
        (
            "duration('9999999999999999h') > request.duration",
            8,
            "range error",
        ),
        ("timestamp('soon') > now", 9, "timestamp"),
        ("timestamp('2026-03-07T22:00:00Z garbage') > now", 9, "trailing"),
        ("timestamp('2026-03-07T22:00:00') > now", 9, "premature"),
        ("timestamp('2016-12-31T23:59:60Z') > now", 9, "leap second"),
        (
            "duration(request.ticket) > request.duration",
            8,
            "must be written out",
        ),
        ("request.ticket.matches(subject.login)", 22, "must be written out"),
        ("request.ticket.matches('(')", 22, "unclosed group"),
        ("request.ticket.matches('(?:\\\\w{100}){100}')", 22, "too large"),
        ("now.getHours('Europe/Madird') > 1", 12, "there is no time zone"),
        ("now.getHour() > 1", 11, "there is no function \"getHour\""),
        ("['a', 1].size() == 2", 0, "a list is of one kind"),
        ("[].size() == 0", 0, "an empty list"),
        ("null == null", 0, "null is not taken"),
        ("b'x' == b'x'", 0, "bytes are not taken"),
        ("1u == 1u", 0, "unsigned numbers are not taken"),
        ("{'a': 1}.a == 1", 0, "maps are not taken"),
        ("[1].all(x, x > 0)", 7, "may not loop"),
        ("[1].exists(x, x > 0)", 10, "may not loop"),
        ("[1].map(x, x) == [1]", 7, "may not loop"),
        ("google.protobuf.Int64Value{value: 1} == 1", 26, "not taken"),
        ("resource.?labels == 1", 0, ""),
        ("dyn(1) == 1", 3, "there is no function \"dyn\""),
        ("type(1) == int", 4, "there is no function \"type\""),
        ("", 0, ""),
    ];

    #[test]
    fn mistakes_are_found_when_it_is_loaded() {
        for (text, offset, expect) in MISTAKES {
            let (text, offset, expect) = (*text, *offset, *expect);
            let mistake = compile(text).unwrap_err();
            assert!(mistake.what.contains(expect), "{text}: {mistake:?}");
            assert_eq!(mistake.what.lines().count(), 1, "{text}: {mistake:?}");
            if !expect.is_empty() {
                assert_eq!(mistake.offset, offset, "{text}: {mistake:?}");
            }
        }
    }

    /// The parser of the library ends the process on some of these where it has an ordinary stack.
    #[test]
    fn hostile_expressions_are_refused() {
        let sum = vec!["1"; 490].join("+") + " == 1";
        let ors = vec!["now==now"; 90].join("||");
        let members = format!("subject{} == 1", ".a".repeat(480));
        let questions = format!("{}true{}", "true?".repeat(120), ":true".repeat(120));
        let words = format!("{} == 'a'", vec!["'aaaaaaaaaa'"; 70].join("+"));
        let hostile = [
            "(".repeat(900),
            format!("{}true{}", "(".repeat(400), ")".repeat(400)),
            format!("{}true", "!".repeat(900)),
            format!("{}1 == 1", "-".repeat(900)),
            format!("{}1{} == 1", "[".repeat(400), "]".repeat(400)),
            format!("{}1", "[".repeat(900)),
            format!("{}1", "{1:".repeat(300)),
            sum,
            ors,
            members,
            questions,
            words,
            "f(".repeat(450),
            "a.b(".repeat(240),
            "\"".repeat(900),
            "'\\".repeat(450),
            "[1,2,3].map(x,[1,2,3].map(y,[1,2,3].map(z,x+y+z)))==[]".to_owned(),
            "x".repeat(1_001),
            "\0\u{1b}[2J".to_owned(),
            "\u{202e}true".to_owned(),
            "99999999999999999999999999 == 1".to_owned(),
            "'\\U99999999' == ''".to_owned(),
        ];
        for text in hostile {
            let told: String = text.chars().take(40).collect();
            let Err(mistake) = compile(&text) else {
                // The parser counts a row of these, and keeps none or one.
                assert!(text.starts_with(['!', '-']), "{told} is taken");
                continue;
            };
            assert!(mistake.what.len() < 300, "{told}: {} bytes", mistake.what.len());
            assert!(!mistake.what.chars().any(char::is_control), "{told}: {mistake:?}");
        }
    }

    /// As deep and as long as may be: it needs a small part of the stack that any thread has.
    #[test]
    fn what_is_taken_is_cheap() {
        let deep = format!("{}true{}", "(false || ".repeat(10), ")".repeat(10));
        let long = vec!["now == now"; 24].join(" && ");
        let sum = format!("{} == 20", vec!["1"; 20].join(" + "));
        let run = move || {
            for text in [&deep, &long, &sum] {
                assert_eq!(holds(text), Ok(true), "{text}");
            }
            let huge = holds("1e308 * 10.0 > 1e308");
            assert!(huge.is_ok(), "an infinite fraction is a fraction: {huge:?}");
        };
        let small = std::thread::Builder::new().stack_size(1 << 20);
        small.spawn(run).unwrap().join().unwrap();
    }
}
