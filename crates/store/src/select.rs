//! A query with optional conditions, each named in this crate and never by its caller.

use crate::page::Cursor;
use crate::value::Value;

/// A query that grows by conditions.
pub(crate) struct Select {
    text: String,
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl Select {
    pub(crate) fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            conditions: Vec::new(),
            values: Vec::new(),
        }
    }

    /// The number under which a value is given.
    fn value(&mut self, value: impl Into<Value>) -> usize {
        self.values.push(value.into());
        self.values.len()
    }

    /// A condition without values.
    pub(crate) fn only(&mut self, condition: &'static str) {
        self.conditions.push(condition.to_owned());
    }

    /// `column` is this, where it is given.
    pub(crate) fn equals(&mut self, column: &'static str, value: Option<impl Into<Value>>) {
        self.compares(column, "=", value);
    }

    /// `column` compares so with this, where it is given.
    pub(crate) fn compares(
        &mut self,
        column: &'static str,
        how: &'static str,
        value: Option<impl Into<Value>>,
    ) {
        if let Some(value) = value {
            let number = self.value(value);
            self.conditions.push(format!("{column} {how} ${number}"));
        }
    }

    /// `column` is one of these, unless there are none.
    pub(crate) fn among(&mut self, column: &'static str, values: &[impl AsRef<str>]) {
        if !values.is_empty() {
            let numbers: Vec<_> = values
                .iter()
                .map(|value| format!("${}", self.value(value.as_ref())))
                .collect();
            self.conditions
                .push(format!("{column} IN ({})", numbers.join(", ")));
        }
    }

    /// Only rows behind these two, in rising order.
    pub(crate) fn behind(&mut self, (first, second): (&'static str, &'static str), [low, high]: [Value; 2]) {
        let (low, high) = (self.value(low), self.value(high));
        self.conditions
            .push(format!("({first}, {second}) > (${low}, ${high})"));
    }

    /// The text and values of a page, newest first.
    pub(crate) fn newest_first(
        mut self,
        (at, id): (&'static str, &'static str),
        after: Option<&Cursor>,
        limit: usize,
    ) -> (String, Vec<Value>) {
        if let Some(after) = after {
            let (first, second) = (self.value(after.at), self.value(after.id.as_str()));
            self.conditions
                .push(format!("({at}, {id}) < (${first}, ${second})"));
        }
        self.finish(&format!("{at} DESC, {id} DESC"), limit)
    }

    /// The text and values in this order.
    pub(crate) fn finish(mut self, order: &str, limit: usize) -> (String, Vec<Value>) {
        let limit = self.value(limit);
        let glue = if self.conditions.is_empty() { "" } else { " WHERE " };
        let text = format!(
            "{}{glue}{} ORDER BY {order} LIMIT ${limit}",
            self.text,
            self.conditions.join(" AND ")
        );
        (text, self.values)
    }
}
