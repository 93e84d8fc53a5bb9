//! What kind of statement it is, by `sqlparser`. What a guardrail lets through is listed; everything else is refused.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use sqlparser::ast::{CopySource, CopyTarget, Query, Set, SetExpr, Statement, Visit as _, Visitor};
use sqlparser::dialect::Dialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use super::condition::{deletes_some, merges_some, updates_some};
use super::patience::{Patience, TooLong};
use super::{Why, settings};
use crate::postgres::lexer::{self, Lexer};
use crate::postgres::target::Guardrails;

/// What a statement does, itself: what is inside of it is looked at by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Reads, or changes nothing but this session.
    Reads,
    /// Changes rows.
    Writes,
    /// Changes all rows of a table.
    WritesAll,
    /// Makes, changes or drops what rows are in, or anything else.
    Defines,
    /// Does what is not seen, or reaches out of the database.
    Hides,
}

/// Judges a text of so many statements; whether it surely changes no settings.
pub(super) fn judge(text: &str, rails: Guardrails, count: usize) -> Result<bool, Why> {
    let statements = read(text)?;
    if statements.len() != count {
        return Err("it reads as another number of statements than it seems to have".to_owned());
    }
    for statement in &statements {
        let mut judge = Judge { rails };
        if let ControlFlow::Break(why) = statement.visit(&mut judge) {
            return Err(why);
        }
    }
    Ok(settings::are_kept(&statements))
}

/// Reads a text, where the parser's tokens are the same as PostgreSQL's: it is somebody else's, for many databases.
fn read(text: &str) -> Result<Vec<Statement>, Why> {
    let dialect = Patience::of(text.len());
    // The parser may be stopped at any step, and nothing of it is used after that.
    let read = catch_unwind(AssertUnwindSafe(|| read_as(text, &dialect)));
    read.unwrap_or_else(|stopped| match stopped.downcast::<TooLong>() {
        Ok(_) => Err("it takes too long to judge".to_owned()),
        Err(failed) => resume_unwind(failed),
    })
}

fn read_as(text: &str, dialect: &dyn Dialect) -> Result<Vec<Statement>, Why> {
    let tokens = Tokenizer::new(dialect, text).tokenize_with_location();
    let tokens = tokens.map_err(|error| unread(error.location))?;
    if !theirs(&tokens).eq(ours(text)) {
        return Err("it reads as other words than it seems to have".to_owned());
    }
    let mut parser = Parser::new(dialect).with_tokens_with_locations(tokens);
    let statements = parser.parse_statements();
    let rest = parser.peek_token_ref();
    // The parser's own words quote the text, and with it what must not be recorded.
    let statements = statements.map_err(|_| unread(rest.span.start))?;
    // It takes END for the end of a block, and reads no further; PostgreSQL takes it for a column's name.
    if rest.token == Token::EOF {
        Ok(statements)
    } else {
        Err(unread(rest.span.start))
    }
}

fn unread(at: Location) -> Why {
    format!("it cannot be read{at}")
}

/// Where a token begins and ends.
type Place = (Location, Location);

/// Words and strings as the parser sees them. What is between them is the same where these are.
fn theirs(tokens: &[TokenWithSpan]) -> impl Iterator<Item = Place> {
    let is_one = |token: &Token| {
        !matches!(token, Token::Number(..) | Token::Placeholder(_))
            && (matches!(token, Token::Word(_) | Token::DollarQuotedString(_))
                || token.to_string().contains('\''))
    };
    let whole = tokens
        .iter()
        .filter(move |token| !matches!(token.token, Token::Whitespace(_)) && is_one(&token.token));
    whole.map(|token| (token.span.start, token.span.end))
}

/// Words and strings as PostgreSQL sees them.
fn ours(text: &str) -> impl Iterator<Item = Place> {
    let mut at = Location { line: 1, column: 1 };
    let places = Lexer::new(text).map(move |token| {
        let begin = at;
        for c in token.chars() {
            if c == '\n' {
                at = Location {
                    line: at.line + 1,
                    column: 1,
                };
            } else {
                at.column += 1;
            }
        }
        (token, (begin, at))
    });
    places.filter_map(|(token, place)| match token {
        lexer::Token::Word(word) if word.starts_with(|c: char| c.is_ascii_digit()) => None,
        lexer::Token::Space(_) | lexer::Token::Comment(_) | lexer::Token::Other(_) => None,
        _ => Some(place),
    })
}

struct Judge {
    rails: Guardrails,
}

impl Visitor for Judge {
    type Break = Why;

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<Why> {
        match self.check(statement) {
            Ok(()) => ControlFlow::Continue(()),
            Err(why) => ControlFlow::Break(why),
        }
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Why> {
        let why = if makes_a_table(&query.body) && (self.rails.read_only || self.rails.no_ddl) {
            "SELECT INTO makes a table"
        } else if !query.locks.is_empty() && self.rails.read_only {
            "read-only: it locks rows"
        } else {
            return ControlFlow::Continue(());
        };
        ControlFlow::Break(why.to_owned())
    }
}

impl Judge {
    fn check(&self, statement: &Statement) -> Result<(), Why> {
        let class = class(statement)?;
        let Guardrails {
            read_only,
            no_ddl,
            qualified,
        } = self.rails;
        match class {
            Class::Reads => Ok(()),
            Class::Hides => Err("what it does cannot be seen".to_owned()),
            Class::Writes | Class::WritesAll | Class::Defines if read_only => {
                Err(format!("read-only: {}", first_word(statement)))
            }
            Class::WritesAll if qualified => Err(format!(
                "{} without a condition on the rows",
                first_word(statement)
            )),
            Class::Defines if no_ddl => Err(format!("no DDL: {}", first_word(statement))),
            Class::Writes | Class::WritesAll | Class::Defines => Ok(()),
        }
    }
}

/// The keyword that a statement begins with.
fn first_word(statement: &Statement) -> String {
    let text = statement.to_string();
    text.split_whitespace().next().unwrap_or_default().to_owned()
}

fn class(statement: &Statement) -> Result<Class, Why> {
    Ok(match statement {
        // What is in it is looked at by itself: changing parts of WITH, and what is prepared or explained.
        Statement::Query(_)
        | Statement::Prepare { .. }
        | Statement::Declare { .. }
        | Statement::Explain { .. }
        | Statement::ExplainTable { .. } => Class::Reads,
        // What was prepared was looked at then.
        Statement::Execute { .. } | Statement::Deallocate { .. } => Class::Reads,
        Statement::Fetch { .. }
        | Statement::Close { .. }
        | Statement::Discard { .. }
        | Statement::ShowVariable { .. }
        | Statement::StartTransaction { .. }
        | Statement::Commit { .. }
        | Statement::Rollback { .. }
        | Statement::Savepoint { .. }
        | Statement::ReleaseSavepoint { .. }
        | Statement::Reset(_)
        | Statement::LISTEN { .. }
        | Statement::UNLISTEN { .. }
        | Statement::NOTIFY { .. } => Class::Reads,
        Statement::Set(set) => {
            check_set(set)?;
            Class::Reads
        }
        Statement::Copy {
            source, to, target, ..
        } => match (target, to, source) {
            (CopyTarget::File { .. } | CopyTarget::Program { .. }, _, _) => Class::Hides,
            (_, true, CopySource::Query(_) | CopySource::Table { .. }) => Class::Reads,
            (_, false, _) => Class::Writes,
        },
        Statement::Insert(_) => Class::Writes,
        Statement::Update(update) => writes(updates_some(update)),
        Statement::Delete(delete) => writes(deletes_some(delete)),
        Statement::Merge(merge) => writes(merges_some(merge)),
        Statement::Truncate(_) => Class::WritesAll,
        Statement::Lock(_) => Class::Writes,
        // `DO` is not read at all; a procedure is code.
        Statement::Call(_) => Class::Hides,
        _ => Class::Defines,
    })
}

/// A change of some rows, or of all.
const fn writes(some: bool) -> Class {
    if some { Class::Writes } else { Class::WritesAll }
}

fn makes_a_table(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => select.into.is_some(),
        SetExpr::SetOperation { left, right, .. } => makes_a_table(left) || makes_a_table(right),
        _ => false,
    }
}

/// SET of what decides how a text is read, to anything but what we read it as.
fn check_set(set: &Set) -> Result<(), Why> {
    let text = set.to_string().to_ascii_lowercase();
    let is_plain = match set {
        Set::SetNames { charset_name, .. } => charset_name.value.eq_ignore_ascii_case("utf8"),
        Set::SetNamesDefault {} => false,
        _ => match super::READING.iter().find(|name| text.contains(*name)) {
            None => true,
            Some(&"client_encoding") => ["'utf8'", "utf8", "'utf-8'", "'unicode'"].iter().any(|value| {
                let rest = text.trim_end().strip_suffix(value);
                rest.is_some_and(|rest| rest.ends_with(['=', ' ']))
            }),
            Some(&"standard_conforming_strings") => text.trim_end().ends_with(" on"),
            Some(_) => false,
        },
    };
    if is_plain {
        Ok(())
    } else {
        Err("it changes how texts are read".to_owned())
    }
}
