//! Whether what a text does can change the session's settings, and with them how texts behind it are read. Only what surely does not
//! is listed: rows are read or changed, by functions of PostgreSQL's own that do nothing else.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, ObjectName, Statement, TableFactor, Visit as _, Visitor};

/// Functions that set nothing. PostgreSQL looks into its own before those of others.
const HARMLESS: [&str; 84] = [
    "abs",
    "array_agg",
    "array_length",
    "avg",
    "bool_and",
    "bool_or",
    "btrim",
    "cardinality",
    "ceil",
    "char_length",
    "clock_timestamp",
    "coalesce",
    "concat",
    "concat_ws",
    "count",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "currval",
    "date_part",
    "date_trunc",
    "dense_rank",
    "exp",
    "first_value",
    "floor",
    "gen_random_uuid",
    "generate_series",
    "greatest",
    "json_agg",
    "json_array_elements",
    "json_build_object",
    "json_each",
    "jsonb_agg",
    "jsonb_array_elements",
    "jsonb_build_array",
    "jsonb_build_object",
    "jsonb_each",
    "jsonb_set",
    "lag",
    "last_value",
    "lastval",
    "lead",
    "least",
    "left",
    "length",
    "ln",
    "localtime",
    "localtimestamp",
    "lower",
    "lpad",
    "ltrim",
    "max",
    "md5",
    "min",
    "mod",
    "nextval",
    "now",
    "nullif",
    "octet_length",
    "power",
    "random",
    "rank",
    "regexp_matches",
    "regexp_replace",
    "replace",
    "right",
    "round",
    "row_number",
    "rpad",
    "rtrim",
    "session_user",
    "split_part",
    "string_agg",
    "strpos",
    "substr",
    "sum",
    "to_char",
    "to_jsonb",
    "trunc",
    "unnest",
    "upper",
];

/// Whether none of these statements can.
pub(super) fn are_kept(statements: &[Statement]) -> bool {
    statements
        .iter()
        .all(|statement| is_plain(statement) && statement.visit(&mut Looking).is_continue())
}

/// What only reads or changes rows, or begins what may be taken back. The end of a transaction is not among it: settings may end with it.
const fn is_plain(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::Query(_)
            | Statement::Insert(_)
            | Statement::Update(_)
            | Statement::Delete(_)
            | Statement::Merge(_)
            | Statement::Explain { .. }
            | Statement::StartTransaction { .. }
            | Statement::Savepoint { .. }
            | Statement::ReleaseSavepoint { .. }
    )
}

fn is_harmless(function: &ObjectName) -> bool {
    let [name] = function.0.as_slice() else {
        return false;
    };
    let name = name.as_ident().filter(|name| name.quote_style.is_none());
    name.is_some_and(|name| {
        let name = name.value.to_ascii_lowercase();
        HARMLESS.binary_search(&&*name).is_ok()
    })
}

/// Looks for what may set something.
struct Looking;

impl Looking {
    const fn go_on(harmless: bool) -> ControlFlow<()> {
        if harmless {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    }
}

impl Visitor for Looking {
    type Break = ();

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<()> {
        Self::go_on(is_plain(statement))
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        match expression {
            Expr::Function(function) => Self::go_on(is_harmless(&function.name)),
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<()> {
        match table {
            TableFactor::Table { args: None, .. }
            | TableFactor::Derived { .. }
            | TableFactor::NestedJoin { .. }
            | TableFactor::UNNEST { .. } => ControlFlow::Continue(()),
            TableFactor::Table { name, .. } | TableFactor::Function { name, .. } => {
                Self::go_on(is_harmless(name))
            }
            _ => ControlFlow::Break(()),
        }
    }

    /// An UPDATE of `pg_settings` sets them.
    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let last = relation.0.last().and_then(|part| part.as_ident());
        Self::go_on(last.is_some_and(|name| !name.value.eq_ignore_ascii_case("pg_settings")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_their_order() {
        assert!(HARMLESS.is_sorted());
    }
}
