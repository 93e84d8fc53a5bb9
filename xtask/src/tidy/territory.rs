//! What may stand in one place only: SQL on our own tables, and HTML.

use std::collections::BTreeSet;

use super::Finding;
use super::tree::{Tree, words};

/// Before a table's name, in the SQL that we write (upper case; a sentence that says "from grants" is no SQL).
const BEFORE_A_TABLE: &[&str] = &["FROM", "INTO", "UPDATE", "JOIN", "TABLE", "EXISTS"];

/// Whoever writes to our tables outside `store` changes state without an event. The tables are those that the store's
/// migrations create. (Providers speak their target's SQL, which has no table of these names.)
pub(super) fn our_sql_is_in_the_store(tree: &Tree) -> Vec<Finding> {
    const STORE: &str = "crates/store/";
    let tables: BTreeSet<&str> = tree
        .with_extension(&["sql", "rs"])
        .filter(|file| file.path.starts_with("crates/store/migrations/"))
        .flat_map(|file| created(&file.text))
        .collect();
    let mut findings = Vec::new();
    for file in tree.rust() {
        // A test may tamper with the tables, to see that it is noticed.
        if file.path.starts_with(STORE) || file.path.starts_with("xtask/") || file.is_test() {
            continue;
        }
        for (line, text) in file.code() {
            if let Some(table) = named_tables(text).find(|name| tables.contains(name)) {
                findings.push(Finding {
                    path: file.path.clone(),
                    line,
                    rule: "our-sql",
                    what: format!("names our table {table:?} in SQL"),
                    fix: "add a function to crates/store, where every statement on our tables is",
                });
            }
        }
    }
    findings
}

/// The tables that a migration creates.
fn created(sql: &str) -> impl Iterator<Item = &str> {
    sql.split("CREATE TABLE ")
        .skip(1)
        .filter_map(|rest| words(rest.trim_start_matches("IF NOT EXISTS ")).next())
}

/// Words that stand where SQL names a table.
fn named_tables(text: &str) -> impl Iterator<Item = &str> {
    let all: Vec<_> = words(text).collect();
    let mut previous = all.clone().into_iter();
    all.into_iter()
        .skip(1)
        .filter(move |_| previous.next().is_some_and(|word| BEFORE_A_TABLE.contains(&word)))
}

/// Pages are made in one place, where escaping, the content security policy and the forms' tokens are. Mail has a place of its
/// own: it has no script, no form and no policy, and its escaping is tested beside it.
pub(super) fn html_is_in_the_web(tree: &Tree) -> Vec<Finding> {
    const PLACES: [&str; 2] = ["crates/server/src/web/", "crates/server/src/notify/mail.rs"];
    let finding = |path: &str, line| Finding {
        path: path.to_owned(),
        line,
        rule: "html",
        what: "makes HTML".into(),
        fix: "put the page into crates/server/src/web, its template beside its handler",
    };
    let mut findings = Vec::new();
    for file in tree.with_extension(&["rs", "html"]) {
        // This rule's own list is no page.
        if PLACES.iter().any(|place| file.path.starts_with(place))
            || file.path.starts_with("xtask/")
            || file.is_test()
        {
            continue;
        }
        if file.extension() == "html" {
            findings.push(finding(&file.path, 1));
            continue;
        }
        for (line, text) in file.code() {
            if has_markup(text) {
                findings.push(finding(&file.path, line));
            }
        }
    }
    findings
}

/// Elements of a page. A picture (SVG) is none, and has none of these.
const ELEMENTS: &[&str] = &[
    "article", "body", "button", "div", "fieldset", "footer", "form", "h1", "h2", "h3", "head", "header",
    "html", "label", "li", "main", "nav", "ol", "option", "p", "section", "select", "span", "strong",
    "table", "td", "th", "tr", "ul",
];

/// A document type or a closing tag: Rust's generics and a text's `<placeholder>` have neither.
fn has_markup(text: &str) -> bool {
    let mut closed = text.split("</").skip(1).filter_map(|rest| rest.split('>').next());
    text.to_ascii_lowercase().contains("<!doctype html") || closed.any(|element| ELEMENTS.contains(&element))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finds;

    const MIGRATION: (&str, &str) = (
        "crates/store/migrations/sqlite/V1__first.sql",
        "CREATE TABLE grants (id TEXT);\nCREATE TABLE IF NOT EXISTS events (\n",
    );

    #[test]
    fn a_statement_on_our_table_outside_the_store_is_found() {
        let files = [
            MIGRATION,
            (
                "crates/store/src/grant.rs",
                "let sql = \"SELECT id FROM grants\";",
            ),
            (
                "crates/engine/src/a.rs",
                "let sql = \"SELECT id FROM grants WHERE 1\";\n// FROM grants is a comment\n",
            ),
            (
                "crates/cli/src/b.rs",
                "x(\"INSERT INTO events\");\ny(\"UPDATE \\\"grants\\\" SET\");",
            ),
        ];
        let expected = [
            "crates/cli/src/b.rs:1",
            "crates/cli/src/b.rs:2",
            "crates/engine/src/a.rs:1",
        ];
        finds(our_sql_is_in_the_store, &files, &expected);
    }

    #[test]
    fn a_targets_own_sql_and_plain_english_are_fine() {
        let provider = (
            "crates/providers/src/postgres/a.rs",
            "\"SELECT 1 FROM pg_roles\";\n\"what we got from grants\";",
        );
        finds(our_sql_is_in_the_store, &[MIGRATION, provider], &[]);
    }

    #[test]
    fn html_outside_the_web_is_found() {
        let files = [
            ("crates/server/src/web/page.rs", "\"</div>\""),
            ("crates/server/src/web/page.html", "<div>"),
            ("crates/server/src/notify/mail.rs", "\"</body>\""),
            ("crates/server/src/notify/webhook.rs", "\"</body>\""),
            (
                "crates/server/src/api/a.rs",
                "x();\nlet page = \"<!DOCTYPE html><html>\";",
            ),
            (
                "crates/cli/src/a.rs",
                "fn f() -> Vec<Form> {} \"</text></svg>\"\nprint(\"<p>bold</p>\")",
            ),
            ("docs/page.html", "<p>"),
        ];
        finds(
            html_is_in_the_web,
            &files,
            &[
                "crates/cli/src/a.rs:2",
                "crates/server/src/api/a.rs:2",
                "crates/server/src/notify/webhook.rs:1",
                "docs/page.html:1",
            ],
        );
    }
}
