//! The parser's dialect, PostgreSQL's, with a bound on what is read: the parser asks it at each step, and is stopped where it takes more
//! steps than a text of that length may. It goes back and reads again in places, in ways that multiply in a text made for that, and
//! nothing else would stop it: a thread cannot be ended from outside.

use std::any::TypeId;
use std::cell::Cell;
use std::panic::resume_unwind;

use sqlparser::ast::Expr;
use sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};

/// How many steps each byte may take, and each text. Those that are read in one go take up to five for each byte.
const STEPS: u64 = 16;
const LEAST: u64 = 20_000;

/// What a text that takes too many steps is left with: no panic's message is printed, and whoever judges catches it.
#[derive(Debug)]
pub(super) struct TooLong;

/// See the module.
#[derive(Debug)]
pub(super) struct Patience {
    dialect: PostgreSqlDialect,
    left: Cell<u64>,
}

impl Patience {
    /// For a text of so many bytes.
    pub(super) fn of(bytes: usize) -> Self {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        Self {
            dialect: PostgreSqlDialect {},
            left: Cell::new(bytes.saturating_mul(STEPS).saturating_add(LEAST)),
        }
    }

    fn step(&self) -> &PostgreSqlDialect {
        match self.left.get().checked_sub(1) {
            Some(left) => self.left.set(left),
            None => resume_unwind(Box::new(TooLong)),
        }
        &self.dialect
    }

    #[cfg(test)]
    pub(super) fn left(&self) -> u64 {
        self.left.get()
    }
}

/// Everything that PostgreSQL's dialect says otherwise than others do.
macro_rules! asks {
    ($($name:ident)*) => {
        $(fn $name(&self) -> bool {
            self.step().$name()
        })*
    };
}

impl Dialect for Patience {
    fn dialect(&self) -> TypeId {
        self.dialect.dialect()
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        self.step().identifier_quote_style(identifier)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        self.step().is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        self.step().is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        self.step().is_identifier_part(ch)
    }

    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        self.step().is_reserved_for_identifier(keyword)
    }

    fn is_table_alias(&self, keyword: &Keyword, parser: &mut Parser<'_>) -> bool {
        self.step().is_table_alias(keyword, parser)
    }

    fn is_custom_operator_part(&self, ch: char) -> bool {
        self.step().is_custom_operator_part(ch)
    }

    fn parse_prefix(&self, parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        self.step().parse_prefix(parser)
    }

    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        self.step().get_next_precedence(parser)
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        self.step().prec_value(precedence)
    }

    asks! {
        supports_unicode_string_literal
        supports_filter_during_aggregation
        supports_group_by_expr
        supports_alter_user_as_alter_role
        allow_extract_custom
        allow_extract_single_quotes
        supports_create_index_with_clause
        supports_explain_with_utility_options
        supports_listen_notify
        supports_exclude_constraint
        supports_factorial_operator
        supports_bitwise_shift_operators
        supports_comment_on
        supports_load_extension
        supports_named_fn_args_with_colon_operator
        supports_named_fn_args_with_expr_name
        supports_empty_projections
        supports_nested_comments
        supports_string_escape_constant
        supports_numeric_literal_underscores
        supports_array_typedef_with_brackets
        supports_geometric_types
        supports_order_by_using_operator
        supports_set_names
        supports_alter_column_type_using
        supports_left_associative_joins_without_parens
        supports_notnull_operator
        supports_interval_options
        supports_insert_table_alias
        supports_create_table_like_parenthesized
        supports_select_wildcard_with_alias
        supports_comma_separated_trim
        supports_xml_expressions
        supports_aliased_function_args
        supports_comment_optimizer_hint
    }
}

#[cfg(test)]
mod tests {
    use sqlparser::tokenizer::Tokenizer;

    use super::*;

    /// How many steps each byte of a text takes that is read in one go, and that it is read as without a bound.
    fn steps(text: &str) -> u64 {
        let patience = Patience::of(text.len());
        let all = patience.left();
        let bounded = Parser::parse_sql(&patience, text).unwrap();
        assert_eq!(bounded, Parser::parse_sql(&PostgreSqlDialect {}, text).unwrap());
        (all - patience.left()) / u64::try_from(text.len()).unwrap()
    }

    #[test]
    fn a_text_that_is_read_in_one_go_takes_few_steps() {
        // A tree of thousands of levels takes a deep stack.
        let builder = std::thread::Builder::new().stack_size(super::super::STACK);
        builder.spawn(take_few_steps).unwrap().join().unwrap();
    }

    fn take_few_steps() {
        for text in [
            format!("INSERT INTO t VALUES (1){}", ",(1)".repeat(20_000)),
            format!("SELECT 1{}", "+1".repeat(1_999)),
            format!("SELECT {}1", "a,".repeat(20_000)),
            "SELECT 1;".repeat(10_000),
            format!("SELECT * FROM t WHERE a IN (1{})", ",2".repeat(20_000)),
            "UPDATE t SET a = b || 'x'::text WHERE (a, b) = (SELECT c, d FROM u WHERE e @> f AND g IS NOT NULL);"
                .repeat(500),
            format!("SELECT {}1", "- ".repeat(40)),
            format!("SELECT a{}", "[1]".repeat(1_900)),
            format!("SELECT a{}", "::b".repeat(1_900)),
            format!("SELECT 1{}", "=1".repeat(1_900)),
            format!("SELECT{}", ",a b".repeat(10_000).replacen(',', " ", 1)),
            format!("SELECT 1 FROM a{}", ",a".repeat(10_000)),
            format!("SELECT CASE {} END", "WHEN 1 THEN 1 ".repeat(5_000)),
            format!("SELECT f({})", "g(x, y => 1), ".repeat(5_000) + "1"),
            format!("SELECT {}1{}", "(".repeat(40), ")".repeat(40)),
        ] {
            let each = steps(&text);
            assert!(each <= STEPS / 2, "{each} steps: {}", &text[..40]);
        }
    }

    /// What the tokenizer asks, in one text.
    #[test]
    fn it_sees_the_tokens_that_postgresql_sees() {
        let text = "SELECT U&'x', E'\\n', 1_000, a::int[], B'1', x'f', /* a /* b */ c */ \"q\"\"r\", $a$ $b$ $a$, a #>> b";
        let ours = Tokenizer::new(&Patience::of(1_000), text).tokenize().unwrap();
        assert_eq!(
            ours,
            Tokenizer::new(&PostgreSqlDialect {}, text).tokenize().unwrap()
        );
    }
}
