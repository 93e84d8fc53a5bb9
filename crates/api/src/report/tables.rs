//! A report as tables: the same for a page, a terminal and a spreadsheet.

use daypass_core::time::{Span, Timestamp};

use super::{Report, ReportRequests};

/// A part of a report that is a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The figures that say most.
    Summary,
    /// What became of requests, over time.
    Requests,
    /// How long people took to agree.
    Waits,
    /// What was asked for most.
    Busiest,
    /// What nobody used.
    Unused,
    /// What stands.
    Standing,
    /// What is late.
    Late,
}

impl Part {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 7] = [
        Self::Summary,
        Self::Requests,
        Self::Waits,
        Self::Busiest,
        Self::Unused,
        Self::Standing,
        Self::Late,
    ];

    /// Its name, as it is written in commands and addresses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Summary => "summary",
            Self::Requests => "requests",
            Self::Waits => "waits",
            Self::Busiest => "busiest",
            Self::Unused => "unused",
            Self::Standing => "standing",
            Self::Late => "late",
        }
    }

    /// The part of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.as_str() == name)
    }
}

/// What stands in a table. How it is worded is for who shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// A name, or a few words.
    Text(String),
    /// A number.
    Count(u64),
    /// So many of so many.
    Share(u64, u64),
    /// A length of time.
    Length(Span),
    /// Many hours, in seconds.
    Seconds(u64),
    /// An instant.
    At(Timestamp),
    /// Nothing is known.
    Unknown,
}

impl Cell {
    /// As spreadsheets read it: seconds, instants in RFC 3339, shares in percent, nothing where nothing is known.
    #[must_use]
    pub fn plain(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Count(count) | Self::Seconds(count) => count.to_string(),
            Self::Share(part, of) => per_mille(*part, *of)
                .map(|share| format!("{}.{}", share / 10, share % 10))
                .unwrap_or_default(),
            Self::Length(span) => (span.micros() / 1_000_000).to_string(),
            Self::At(at) => at.to_string(),
            Self::Unknown => String::new(),
        }
    }
}

/// So many of a thousand, to the nearest; `None` of nothing.
#[must_use]
pub fn per_mille(part: u64, of: u64) -> Option<u64> {
    let share = (u128::from(part) * 2_000 + u128::from(of)).checked_div(u128::from(of) * 2)?;
    u64::try_from(share).ok()
}

/// A table of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// What it is called.
    pub title: &'static str,
    /// What its columns are.
    pub head: Vec<&'static str>,
    /// Its rows, each as long as the head.
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    fn new(title: &'static str, head: impl Into<Vec<&'static str>>) -> Self {
        Self {
            title,
            head: head.into(),
            rows: Vec::new(),
        }
    }

    fn named(mut self, name: &str, value: Cell) -> Self {
        self.rows.push(vec![text(name), value]);
        self
    }

    /// As comma-separated values (RFC 4180). What a spreadsheet would take for a formula is kept from being one.
    #[must_use]
    pub fn csv(&self) -> String {
        let head = self.head.iter().map(|name| (*name).to_owned()).collect();
        let rows = self.rows.iter().map(|row| row.iter().map(Cell::plain).collect());
        std::iter::once(head)
            .chain(rows)
            .map(|row: Vec<String>| {
                let fields: Vec<String> = row.iter().map(|field| quoted(field)).collect();
                fields.join(",") + "\r\n"
            })
            .collect()
    }
}

/// A field as CSV has it. Source for what begins a formula: OWASP, CSV injection.
fn quoted(field: &str) -> String {
    let guard = if field.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        "'"
    } else {
        ""
    };
    if guard.is_empty() && !field.contains([',', '"', '\n', '\r']) {
        return field.to_owned();
    }
    format!("\"{guard}{}\"", field.replace('"', "\"\""))
}

fn text(text: impl Into<String>) -> Cell {
    Cell::Text(text.into())
}

fn length(span: Option<Span>) -> Cell {
    span.map_or(Cell::Unknown, Cell::Length)
}

impl Report {
    /// The table of a part.
    #[must_use]
    pub fn table(&self, part: Part) -> Table {
        match part {
            Part::Summary => self.summary(),
            Part::Requests => self.over_time(),
            Part::Waits => self.waits(),
            Part::Busiest => self.busiest(),
            Part::Unused => self.unused(),
            Part::Standing => self.standing(),
            Part::Late => self.late(),
        }
    }

    fn summary(&self) -> Table {
        let (requests, waits, late) = (&self.requests, &self.time_to_approve, &self.late);
        let approved = requests.approved();
        Table::new("Summary", ["what", "value"])
            .named("requests", Cell::Count(requests.made))
            .named("approved", Cell::Count(approved))
            .named(
                "of these by nobody (instant)",
                Cell::Share(requests.instant, approved),
            )
            .named("denied", Cell::Count(requests.denied))
            .named("denied, of all", Cell::Share(requests.denied, requests.made))
            .named("emergencies", Cell::Count(requests.emergencies))
            .named("time to approve, median", length(waits.median))
            .named("time to approve, nine of ten within", length(waits.p90))
            .named(
                "grants that nobody used",
                Cell::Share(self.grants.unused, self.grants.over),
            )
            .named("revocations that became overdue", Cell::Count(late.revocations))
            .named("revocations overdue now", Cell::Count(late.revocations_now))
            .named("reviews owed after an emergency", Cell::Count(late.reviews_owed))
            .named("of these overdue", Cell::Count(late.reviews_overdue))
    }

    fn over_time(&self) -> Table {
        let counts = |of: &ReportRequests| {
            [
                of.made,
                of.instant,
                of.agreed,
                of.emergencies,
                of.denied,
                of.withdrawn + of.lapsed,
                of.pending,
            ]
            .map(Cell::Count)
        };
        let mut table = Table::new(
            "Requests",
            [
                "from",
                "requests",
                "instant",
                "agreed",
                "emergency",
                "denied",
                "no answer",
                "open",
            ],
        );
        for slot in &self.over_time {
            let first = [Cell::At(slot.from)];
            table
                .rows
                .push(first.into_iter().chain(counts(&slot.requests)).collect());
        }
        let all = [text("all")].into_iter().chain(counts(&self.requests));
        table.rows.push(all.collect());
        table
    }

    fn waits(&self) -> Table {
        let waits = &self.time_to_approve;
        let mut table = Table::new("Time to approve", ["agreed after", "requests", "share"]);
        let mut before = None;
        for one in &waits.spread {
            let name = match (before, one.below) {
                (None, Some(below)) => format!("under {below}"),
                (Some(before), Some(below)) => format!("{before} to {below}"),
                (Some(before), None) => format!("{before} or more"),
                (None, None) => String::from("any time"),
            };
            before = one.below;
            table.rows.push(vec![
                text(name),
                Cell::Count(one.count),
                Cell::Share(one.count, waits.count),
            ]);
        }
        table
    }

    fn busiest(&self) -> Table {
        let mut table = Table::new("Busiest resources", ["resource", "requests", "people", "denied"]);
        for busy in &self.busiest {
            table.rows.push(vec![
                text(busy.resource.as_str()),
                Cell::Count(busy.requests),
                Cell::Count(busy.people),
                Cell::Count(busy.denied),
            ]);
        }
        table
    }

    fn unused(&self) -> Table {
        let mut table = Table::new("Unused grants", ["resource", "grants over", "unused", "share"]);
        let row = |name: &str, over, unused| {
            vec![
                text(name),
                Cell::Count(over),
                Cell::Count(unused),
                Cell::Share(unused, over),
            ]
        };
        for one in &self.grants.unused_by_resource {
            table.rows.push(row(one.resource.as_str(), one.over, one.unused));
        }
        table.rows.push(row("all", self.grants.over, self.grants.unused));
        table
    }

    fn standing(&self) -> Table {
        let of = &self.standing;
        let standing = if of.inventory {
            "counted"
        } else {
            "not counted: it is in the inventory"
        };
        Table::new("Standing and just-in-time", ["what", "value"])
            .named("grants active now", Cell::Count(of.grants_now))
            .named("people who hold them", Cell::Count(of.people_now))
            .named("resources that they reach", Cell::Count(of.resources_now))
            .named("of these grants, over within the hour", Cell::Count(of.soon))
            .named(
                "at targets without a grant that wants it",
                of.unwanted.map_or(Cell::Unknown, Cell::Count),
            )
            .named("access beside Daypass", text(standing))
            .named("person and resource pairs in the period", Cell::Count(of.pairs))
            .named("time that they had access", Cell::Seconds(of.held_seconds))
            .named("time if it stood", Cell::Seconds(of.standing_seconds))
            .named("share of that", Cell::Share(of.held_seconds, of.standing_seconds))
    }

    fn late(&self) -> Table {
        let listed = |items: &[crate::item::Item]| {
            let items: Vec<String> = items.iter().map(ToString::to_string).collect();
            text(items.join(" "))
        };
        let mut table = Table::new("Overdue", ["what", "id", "who", "items", "since"]);
        for grant in &self.late.grants {
            table.rows.push(vec![
                text("revocation"),
                text(grant.grant.to_string()),
                text(grant.holder.as_str()),
                listed(&grant.items),
                Cell::At(grant.since),
            ]);
        }
        for review in &self.late.reviews {
            table.rows.push(vec![
                text("review after an emergency"),
                text(review.request.to_string()),
                text(review.requester.as_str()),
                listed(&review.items),
                Cell::At(review.since),
            ]);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_is_quoted_and_no_formula() {
        let mut table = Table::new("T", ["a", "b"]);
        for field in ["plain", "a,b", "say \"x\"", "=1+1", "@sum", "two\nlines"] {
            table.rows.push(vec![text(field), Cell::Count(1)]);
        }
        assert_eq!(
            table.csv(),
            "a,b\r\nplain,1\r\n\"a,b\",1\r\n\"say \"\"x\"\"\",1\r\n\"'=1+1\",1\r\n\"'@sum\",1\r\n\"two\nlines\",1\r\n"
        );
    }

    #[test]
    fn values_are_those_that_a_spreadsheet_reads() {
        for (cell, expect) in [
            (Cell::Share(1, 3), "33.3"),
            (Cell::Share(2, 3), "66.7"),
            (Cell::Share(0, 0), ""),
            (Cell::Share(u64::MAX, u64::MAX), "100.0"),
            (Cell::Length(Span::minutes(90)), "5400"),
            (Cell::Unknown, ""),
        ] {
            assert_eq!(cell.plain(), expect);
        }
    }

    #[test]
    fn a_part_is_found_by_its_name() {
        for part in Part::ALL {
            assert_eq!(Part::named(part.as_str()), Some(part));
        }
        assert_eq!(Part::named("../x"), None);
    }
}
