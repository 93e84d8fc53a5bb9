//! The types of an expression: what each part of it is, before it is ever evaluated.
//!
//! Only what is listed here is taken. A variable or a function that a later version of the library brings is none of the
//! language until it stands here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use cel::common::ast::{CallExpr, Expr, LiteralValue, SelectExpr, SourceInfo, operators};
use cel::{Context, Env, IdedExpr, Value};

use super::{Mistake, clock, short};
use crate::addition::Addition;
use crate::nearest::{did_you_mean, list, quote};
use crate::ticket::{Pattern, Patterns};
use crate::window::Zone;

/// How deep an expression may nest, and how many parts it may have: far beyond what a person reads.
const MAX_DEPTH: usize = 24;
const MAX_PARTS: usize = 200;

/// What a part of an expression is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Type {
    Bool,
    Int,
    Double,
    Text,
    Instant,
    Length,
    List(Box<Self>),
    /// Names to texts, with any names.
    Labels,
    Record(&'static Record),
}

/// Something with fields.
#[derive(Debug, PartialEq, Eq)]
struct Record {
    /// With its article.
    what: &'static str,
    fields: &'static [(&'static str, Type)],
}

static SUBJECT: Record = Record {
    what: "a subject",
    fields: &[("login", Type::Text), ("kind", Type::Text)],
};
static RESOURCE: Record = Record {
    what: "a resource",
    fields: &[
        ("name", Type::Text),
        ("kind", Type::Text),
        ("role", Type::Text),
        ("labels", Type::Labels),
    ],
};
static REQUEST: Record = Record {
    what: "a request",
    fields: &[
        ("duration", Type::Length),
        ("ticket", Type::Text),
        ("extends", Type::Bool),
        ("emergency", Type::Bool),
        ("start", Type::Instant),
    ],
};
static VARIABLES: &[(&str, Type)] = &[
    ("subject", Type::Record(&SUBJECT)),
    ("resource", Type::Record(&RESOURCE)),
    ("request", Type::Record(&REQUEST)),
    ("now", Type::Instant),
];

const OF_TEXTS: &[&str] = &["startsWith", "endsWith", "contains"];
const OTHERS: &[&str] = &["size", "matches", "duration", "timestamp", "has"];

/// Whether all of a text is a length of time, as the language writes them: `-1h30m`, `1.5s`, `0`.
fn is_length(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let mut rest = Some(unsigned);
    while let Some(text) = rest.filter(|text| !text.is_empty()) {
        rest = after_number(text).and_then(after_unit);
    }
    text == "0" || (rest.is_some() && !unsigned.is_empty())
}

/// What follows a number such as `1` or `1.5`.
fn after_number(text: &str) -> Option<&str> {
    let digits = |text: &'_ str| text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (whole, rest) = text.split_at_checked(digits(text))?;
    let rest = match rest.strip_prefix('.') {
        None => rest,
        Some(fraction) => {
            let (digits, rest) = fraction.split_at_checked(digits(fraction))?;
            (!digits.is_empty()).then_some(rest)?
        }
    };
    (!whole.is_empty()).then_some(rest)
}

/// What follows a unit of time.
fn after_unit(text: &str) -> Option<&str> {
    ["ms", "us", "ns", "h", "m", "s"]
        .iter()
        .find_map(|unit| text.strip_prefix(unit))
}

/// Whether a function tells one number of an instant.
fn is_of_instants(name: &str) -> bool {
    clock::names().any(|known| known == name)
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("true or false"),
            Self::Int => f.write_str("a whole number"),
            Self::Double => f.write_str("a fraction"),
            Self::Text => f.write_str("text"),
            Self::Instant => f.write_str("an instant"),
            Self::Length => f.write_str("a length of time"),
            Self::List(of) => write!(f, "a list of {of}"),
            Self::Labels => f.write_str("labels"),
            Self::Record(record) => f.write_str(record.what),
        }
    }
}

/// What an expression names that was looked up when it was checked.
#[derive(Debug, Default)]
pub(super) struct Named {
    /// The patterns that it matches against.
    pub(super) patterns: BTreeMap<String, Pattern>,
    /// The time zones in which it looks at clocks.
    pub(super) zones: BTreeMap<String, Zone>,
    /// What of a request it looks at that may still be added.
    pub(super) additions: BTreeSet<Addition>,
    /// It asks whether one of them is there: they always are, with some value.
    pub(super) asks_whether: bool,
}

/// Checks an expression.
pub(super) fn check(
    tree: &IdedExpr,
    places: &SourceInfo,
    language: &Arc<Env>,
    patterns: &mut Patterns,
) -> Result<Named, Mistake> {
    let mut checker = Checker {
        places,
        language,
        parts: 0,
        known: patterns,
        named: Named::default(),
    };
    let found = checker.part(tree, 0)?;
    if found != Type::Bool {
        let what = format!("an expression says true or false; this is {found}");
        return Err(checker.mistake(tree, what));
    }
    Ok(checker.named)
}

struct Checker<'a> {
    places: &'a SourceInfo,
    language: &'a Arc<Env>,
    /// Of the whole policy.
    known: &'a mut Patterns,
    parts: usize,
    named: Named,
}

impl Checker<'_> {
    fn mistake(&self, at: &IdedExpr, what: impl Into<String>) -> Mistake {
        let offset = self.places.offset_for(at.id).map_or(0, |(start, _)| start);
        Mistake {
            offset: usize::try_from(offset).unwrap_or(0),
            what: what.into(),
        }
    }

    fn part(&mut self, part: &IdedExpr, depth: usize) -> Result<Type, Mistake> {
        self.parts += 1;
        if depth > MAX_DEPTH || self.parts > MAX_PARTS {
            let what =
                format!("the expression has more than {MAX_PARTS} parts, or nests deeper than {MAX_DEPTH}");
            return Err(self.mistake(part, what));
        }
        let refuse = |what: &str| Err(self.mistake(part, format!("{what} not taken")));
        match &part.expr {
            Expr::Literal(literal) => match literal {
                LiteralValue::Boolean(_) => Ok(Type::Bool),
                LiteralValue::Int(_) => Ok(Type::Int),
                LiteralValue::Double(_) => Ok(Type::Double),
                LiteralValue::String(_) => Ok(Type::Text),
                LiteralValue::Bytes(_) => refuse("bytes are"),
                LiteralValue::UInt(_) => refuse("unsigned numbers are"),
                LiteralValue::Null => refuse("null is"),
            },
            Expr::Ident(name) => self.variable(part, name),
            Expr::Select(select) => self.field(part, select, depth),
            Expr::List(elements) => self.list(part, &elements.elements, depth),
            Expr::Call(call) => self.call(part, call, depth),
            Expr::Comprehension(_) => {
                let what =
                    "an expression may not loop: all, exists, map and filter are not taken; use \"in\"";
                Err(self.mistake(part, what))
            }
            Expr::Map(_) => refuse("maps are"),
            Expr::Struct(_) => refuse("messages are"),
            Expr::Unspecified => refuse("this is"),
        }
    }

    fn variable(&self, part: &IdedExpr, name: &str) -> Result<Type, Mistake> {
        if let Some((_, found)) = VARIABLES.iter().find(|(known, _)| *known == name) {
            return Ok(found.clone());
        }
        let known = || VARIABLES.iter().map(|(known, _)| *known);
        let otherwise = format!("there are {}", list(known()));
        let hint = did_you_mean(name, known(), otherwise);
        Err(self.mistake(part, format!("there is no variable {}; {hint}", quote(name))))
    }

    fn field(&mut self, part: &IdedExpr, select: &SelectExpr, depth: usize) -> Result<Type, Mistake> {
        let found = match self.part(&select.operand, depth + 1)? {
            Type::Labels => Type::Text,
            Type::Record(record) => {
                let field = record.fields.iter().find(|(field, _)| *field == select.field);
                let Some((_, found)) = field else {
                    let known = || record.fields.iter().map(|(field, _)| *field);
                    let otherwise = format!("it has {}", list(known()));
                    let hint = did_you_mean(&select.field, known(), otherwise);
                    let what = format!("{} has no {}; {hint}", record.what, quote(&select.field));
                    return Err(self.mistake(part, what));
                };
                if *record == REQUEST
                    && let Some(addition) = Addition::of_field(&select.field)
                {
                    self.named.additions.insert(addition);
                    self.named.asks_whether |= select.test;
                }
                found.clone()
            }
            other => {
                let what = format!("{other} has no {}", quote(&select.field));
                return Err(self.mistake(part, what));
            }
        };
        Ok(if select.test { Type::Bool } else { found })
    }

    fn list(&mut self, part: &IdedExpr, elements: &[IdedExpr], depth: usize) -> Result<Type, Mistake> {
        let mut of = None;
        for element in elements {
            let found = self.part(element, depth + 1)?;
            match &of {
                Some(first) if *first != found => {
                    let what = format!("a list is of one kind; this one has {first} and {found}");
                    return Err(self.mistake(part, what));
                }
                _ => of = Some(found),
            }
        }
        of.map(|of| Type::List(Box::new(of)))
            .ok_or_else(|| self.mistake(part, "an empty list has nothing in it"))
    }

    fn call(&mut self, part: &IdedExpr, call: &CallExpr, depth: usize) -> Result<Type, Mistake> {
        let mut given = Vec::new();
        for argument in call.target.as_deref().into_iter().chain(&call.args) {
            given.push(self.part(argument, depth + 1)?);
        }
        let name = call.func_name.as_str();
        match (call.target.is_some(), given.as_slice()) {
            (false, [one]) if name == operators::LOGICAL_NOT => match one {
                Type::Bool => Ok(Type::Bool),
                other => Err(self.mistake(part, format!("\"!\" is for true or false; this is {other}"))),
            },
            (false, [one @ (Type::Int | Type::Double)]) if name == operators::NEGATE => Ok(one.clone()),
            (_, [Type::Text | Type::Labels | Type::List(_)]) if name == "size" => Ok(Type::Int),
            (false, [Type::Text]) if name == "duration" => self.constant(part, call, Type::Length),
            (false, [Type::Text]) if name == "timestamp" => self.constant(part, call, Type::Instant),
            (false, [one, other]) => self.operator(part, name, one, other),
            (false, [Type::Bool, yes, no]) if name == operators::CONDITIONAL && yes == no => Ok(yes.clone()),
            (true, [Type::Text, Type::Text]) if OF_TEXTS.contains(&name) => Ok(Type::Bool),
            (true, [Type::Text, Type::Text]) if name == "matches" => self.pattern(part, call),
            (true, [Type::Instant]) if is_of_instants(name) => Ok(Type::Int),
            (true, [Type::Instant, Type::Text]) if is_of_instants(name) => self.zone(part, call),
            _ => Err(self.no_function(part, name, &given)),
        }
    }

    /// What is between two things.
    fn operator(&self, part: &IdedExpr, name: &str, one: &Type, other: &Type) -> Result<Type, Mistake> {
        use Type::{Bool, Double, Instant, Int, Labels, Length, List, Text};
        let between = |what: &str| Err(self.mistake(part, format!("{one} and {other} cannot be {what}")));
        match (name, one, other) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR, Bool, Bool) => Ok(Bool),
            (operators::LOGICAL_AND | operators::LOGICAL_OR, ..) => between("true or false"),
            (operators::EQUALS | operators::NOT_EQUALS, Type::Record(_), _) => between("compared"),
            (operators::EQUALS | operators::NOT_EQUALS, ..) if one == other => Ok(Bool),
            (
                operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS,
                Int | Double | Text | Instant | Length,
                _,
            ) if one == other => Ok(Bool),
            (
                operators::EQUALS
                | operators::NOT_EQUALS
                | operators::LESS
                | operators::LESS_EQUALS
                | operators::GREATER
                | operators::GREATER_EQUALS,
                ..,
            ) => between("compared"),
            (operators::ADD, Int | Double | Text | Length, _) if one == other => Ok(one.clone()),
            (operators::ADD, Instant, Length) | (operators::ADD, Length, Instant) => Ok(Instant),
            (operators::SUBSTRACT, Int | Double | Length, _) if one == other => Ok(one.clone()),
            (operators::SUBSTRACT, Instant, Length) => Ok(Instant),
            (operators::SUBSTRACT, Instant, Instant) => Ok(Length),
            (operators::MULTIPLY | operators::DIVIDE, Int | Double, _) if one == other => Ok(one.clone()),
            (operators::MODULO, Int, Int) => Ok(Int),
            (
                operators::ADD
                | operators::SUBSTRACT
                | operators::MULTIPLY
                | operators::DIVIDE
                | operators::MODULO,
                ..,
            ) => between("reckoned with"),
            (operators::IN, _, List(of)) if **of == *one => Ok(Bool),
            (operators::IN, Text, Labels) => Ok(Bool),
            (operators::IN, ..) => Err(self.mistake(part, format!("{one} cannot be in {other}"))),
            (operators::INDEX, List(of), Int) => Ok((**of).clone()),
            (operators::INDEX, Labels, Text) => Ok(Text),
            (operators::INDEX, ..) => {
                Err(self.mistake(part, format!("nothing of {other} is found in {one}")))
            }
            _ => Err(self.no_function(part, name, &[one.clone(), other.clone()])),
        }
    }

    fn no_function(&self, part: &IdedExpr, name: &str, given: &[Type]) -> Mistake {
        let known = || OF_TEXTS.iter().chain(OTHERS).copied().chain(clock::names());
        if known().any(|known| known == name) || !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            let given: Vec<String> = given.iter().map(ToString::to_string).collect();
            let name = name.trim_matches(|c| c == '_' || c == '@');
            return self.mistake(part, format!("\"{name}\" does not go with {}", given.join(", ")));
        }
        let hint = did_you_mean(name, known(), "docs/policy.md lists those there are");
        self.mistake(part, format!("there is no function {}; {hint}", quote(name)))
    }

    /// A length or an instant that is written out, evaluated now: `duration('1h')`.
    fn constant(&self, part: &IdedExpr, call: &CallExpr, found: Type) -> Result<Type, Mistake> {
        let text = self.written_out(part, call)?;
        // The library reads as far as it understands, and leaves out the rest: '6months' would be six minutes.
        if found == Type::Length && !is_length(text) {
            let what = format!(
                "{} is no length of time; write it as '1h30m', of h, m, s, ms, us and ns",
                quote(text)
            );
            return Err(self.mistake(part, what));
        }
        let context = Context::with_env(Arc::clone(self.language));
        match context.resolve(part) {
            // No clock here shows it.
            Ok(Value::Timestamp(at)) if at.timestamp_subsec_nanos() >= 1_000_000_000 => {
                let what = format!("{} is a leap second; write the one after it", quote(text));
                Err(self.mistake(part, what))
            }
            Ok(_) => Ok(found),
            Err(error) => Err(self.mistake(part, short(&error))),
        }
    }

    fn pattern(&mut self, part: &IdedExpr, call: &CallExpr) -> Result<Type, Mistake> {
        let text = self.written_out(part, call)?;
        let pattern = self
            .known
            .anywhere(text)
            .map_err(|what| self.mistake(part, what))?;
        self.named.patterns.insert(text.to_owned(), pattern);
        Ok(Type::Bool)
    }

    fn zone(&mut self, part: &IdedExpr, call: &CallExpr) -> Result<Type, Mistake> {
        let text = self.written_out(part, call)?;
        let Some(zone) = Zone::named(text) else {
            return Err(self.mistake(part, format!("there is no time zone {}", quote(text))));
        };
        self.named.zones.insert(text.to_owned(), zone);
        Ok(Type::Int)
    }

    /// The text that a function is given, which must stand there: what is computed cannot be checked now.
    fn written_out<'e>(&self, part: &IdedExpr, call: &'e CallExpr) -> Result<&'e str, Mistake> {
        match call.args.first().map(|argument| &argument.expr) {
            Some(Expr::Literal(LiteralValue::String(text))) => Ok(text.inner()),
            _ => {
                let what = format!(
                    "what {} is given must be written out, in quotes",
                    quote(&call.func_name)
                );
                Err(self.mistake(part, what))
            }
        }
    }
}
