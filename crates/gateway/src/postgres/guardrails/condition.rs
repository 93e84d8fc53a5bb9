//! Whether a condition selects among the rows of a table that is changed, as far as that is seen: it names a column of it. What is
//! always true of a column (`n = n`) is not found out.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Delete, Expr, FromTable, Ident, Merge, MergeAction, MergeClauseKind, Query, TableAlias, TableFactor,
    TableWithJoins, Update, UpdateTableFromKind, Visit as _, Visitor,
};

/// What PostgreSQL takes for a value and the parser for a column, without quotes (its documentation, 9.9 and 9.27).
const VALUES: [&str; 14] = [
    "current_catalog",
    "current_database",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "default",
    "localtime",
    "localtimestamp",
    "session_user",
    "system_user",
    "user",
];

/// What stands for the table that is changed, and for others.
#[derive(Default)]
struct Tables {
    changed: Vec<String>,
    others: Vec<String>,
}

/// Whether an UPDATE changes the rows that a condition selects, and no others.
pub(super) fn updates_some(update: &Update) -> bool {
    let mut tables = Tables::default();
    names(&update.table.relation, &mut tables.changed);
    if let Some(UpdateTableFromKind::BeforeSet(others) | UpdateTableFromKind::AfterSet(others)) = &update.from
    {
        all_names(others, &mut tables.others);
    }
    tables.are_selected(update.selection.as_ref())
}

/// As [`updates_some`].
pub(super) fn deletes_some(delete: &Delete) -> bool {
    let mut tables = Tables::default();
    let (FromTable::WithFromKeyword(changed) | FromTable::WithoutKeyword(changed)) = &delete.from;
    all_names(changed, &mut tables.changed);
    all_names(delete.using.as_deref().unwrap_or_default(), &mut tables.others);
    tables.are_selected(delete.selection.as_ref())
}

/// As [`updates_some`]. What no row of the source matches is all the rest.
pub(super) fn merges_some(merge: &Merge) -> bool {
    let mut tables = Tables::default();
    names(&merge.table, &mut tables.changed);
    names(&merge.source, &mut tables.others);
    tables.are_selected(Some(&merge.on))
        && merge.clauses.iter().all(|clause| {
            clause.clause_kind != MergeClauseKind::NotMatchedBySource
                || matches!(clause.action, MergeAction::Insert(_))
                || tables.are_selected(clause.predicate.as_ref())
        })
}

fn written(name: &Ident) -> String {
    if name.quote_style.is_some() {
        name.value.clone()
    } else {
        name.value.to_ascii_lowercase()
    }
}

fn all_names(tables: &[TableWithJoins], into: &mut Vec<String>) {
    for table in tables {
        names(&table.relation, into);
        for join in &table.joins {
            names(&join.relation, into);
        }
    }
}

fn names(table: &TableFactor, into: &mut Vec<String>) {
    let alias = |alias: &Option<TableAlias>| alias.as_ref().map(|alias| written(&alias.name));
    match table {
        TableFactor::Table {
            name, alias: other, ..
        } => {
            let last = name.0.last().and_then(|part| part.as_ident());
            into.extend(alias(other).or_else(|| last.map(written)));
        }
        TableFactor::Derived { alias: name, .. }
        | TableFactor::TableFunction { alias: name, .. }
        | TableFactor::Function { alias: name, .. } => into.extend(alias(name)),
        TableFactor::NestedJoin {
            table_with_joins,
            alias: name,
        } => {
            all_names(std::slice::from_ref(table_with_joins), into);
            into.extend(alias(name));
        }
        _ => {}
    }
}

impl Tables {
    fn are_selected(&self, condition: Option<&Expr>) -> bool {
        let mut finding = Finding {
            tables: self,
            within: 0,
        };
        condition.is_some_and(|condition| condition.visit(&mut finding).is_break())
    }
}

/// Looks for a column of the table that is changed.
struct Finding<'a> {
    tables: &'a Tables,
    /// In so many queries: what has no table's name there is theirs.
    within: usize,
}

impl Visitor for Finding<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.within += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.within = self.within.saturating_sub(1);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        let is_column = match expression {
            Expr::Identifier(name) => {
                let written = written(name);
                let is_value = name.quote_style.is_none() && VALUES.contains(&&*written);
                // The table's own name is all of a row.
                self.within == 0 && !is_value && !self.tables.changed.contains(&written)
            }
            Expr::CompoundIdentifier(parts) => {
                let table = parts.iter().rev().nth(1).map(written).unwrap_or_default();
                if self.within == 0 {
                    !self.tables.others.contains(&table)
                } else {
                    self.tables.changed.contains(&table)
                }
            }
            _ => false,
        };
        if is_column {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}
