//! Reports: figures, charts, each with its table and a file for spreadsheets. All of it is one answer of the API.

use askama::Template;
use axum::extract::{Path, Query};
use axum::http::HeaderName;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::Html;
use daypass_api::report::{Cell, Part, Report, ReportQuery, Table, per_mille};
use daypass_core::time::{Span, Timestamp};
use serde::Deserialize;

use super::chart::{Bars, Columns, Kind};
use super::failed::Failed;
use super::frame::{Frame, Tab};
use super::visit::{Visit, encoded};
use super::words::{When, counted, day, day_over, is_named, length, midnight};
use crate::edge;

const DAY: Span = Span::hours(24);
/// The periods that are one click away, in days.
const PERIODS: [(u64, &str); 4] = [(7, "7 days"), (30, "30 days"), (90, "90 days"), (365, "a year")];
/// What a column of the requests is made of, from the bottom up.
const KINDS: [Kind; 5] = [
    Kind {
        class: "agreed",
        name: "agreed to by people",
    },
    Kind {
        class: "instant",
        name: "instant",
    },
    Kind {
        class: "emergency",
        name: "emergency",
    },
    Kind {
        class: "denied",
        name: "denied",
    },
    Kind {
        class: "rest",
        name: "open or without an answer",
    },
];

#[derive(Template)]
#[template(path = "reports.html")]
struct Page {
    frame: Frame,
    wanted: Wanted,
    /// What the form says, for the links.
    query: String,
    environments: Vec<(String, bool)>,
    /// The period that is chosen; nothing where days are.
    days: String,
    periods: Vec<(u64, &'static str, bool)>,
    from: String,
    until: String,
    tiles: Vec<Tile>,
    over_time: Columns,
    sections: Vec<Section>,
    late: Vec<Late>,
    standing: Bars,
    notes: Notes,
    command: String,
}

/// A figure.
struct Tile {
    name: &'static str,
    value: String,
    says: String,
    /// That it is not as it should be, in a word.
    alarm: Option<&'static str>,
}

/// A chart of bars and its table.
struct Section {
    id: &'static str,
    title: &'static str,
    says: String,
    chart: Bars,
    table: Shown,
}

/// A table in words.
struct Shown {
    part: &'static str,
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

/// What is late.
struct Late {
    what: &'static str,
    request: String,
    who: String,
    items: String,
    since: When,
}

/// What is to be known about the figures.
struct Notes {
    requests: Shown,
    standing: Shown,
    late: Shown,
    share: Option<String>,
    inventory: bool,
    unwanted: Option<u64>,
    unseen: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Wanted {
    /// So many days up to now.
    #[serde(default)]
    days: String,
    /// Days of their own, instead.
    #[serde(default)]
    from: String,
    #[serde(default)]
    until: String,
    #[serde(default)]
    env: String,
    /// The period that was chosen where the form was filled in.
    #[serde(default)]
    was: String,
}

impl Wanted {
    /// What counts of what is in the form: the days, unless the period was changed beside them.
    fn settled(mut self) -> Self {
        let dated = !self.from.trim().is_empty() || !self.until.trim().is_empty();
        if dated && !self.days.trim().is_empty() {
            if self.days == self.was {
                self.days.clear();
            } else {
                self.from.clear();
                self.until.clear();
            }
        }
        self
    }

    /// What the API is asked.
    fn query(&self, now: Timestamp) -> Result<ReportQuery, Failed> {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let days = match self.days.trim() {
            "" => None,
            days => {
                let days: u64 = days.parse().map_err(|_| Failed::invalid("days are a number"))?;
                Some(begins(now, days))
            }
        };
        let from = given(&self.from).map(|day| midnight(&day)).transpose()?;
        let until = given(&self.until).map(|day| day_over(&day)).transpose()?;
        Ok(ReportQuery {
            from: from.or(days),
            until: until.map(|until| until.min(now)),
            env: given(&self.env),
        })
    }

    /// The same as it stands in an address.
    fn address(&self) -> String {
        let Self {
            days,
            from,
            until,
            env,
            ..
        } = self;
        let pairs = [("days", days), ("from", from), ("until", until), ("env", env)];
        let pairs = pairs.into_iter().filter(|(_, value)| !value.trim().is_empty());
        let pairs: Vec<String> = pairs
            .map(|(key, value)| format!("{key}={}", encoded(value.trim())))
            .collect();
        pairs.join("&")
    }
}

/// The beginning of the first of so many days, the last of which is today.
fn begins(now: Timestamp, days: u64) -> Timestamp {
    let whole = i64::try_from(DAY.micros()).unwrap_or(i64::MAX);
    let today = Timestamp::from_micros(now.micros() - now.micros().rem_euclid(whole));
    today - DAY.times(days.saturating_sub(1))
}

impl Shown {
    fn of(part: Part, table: Table) -> Self {
        Self {
            part: part.as_str(),
            head: table.head,
            rows: table
                .rows
                .iter()
                .map(|row| row.iter().map(worded).collect())
                .collect(),
        }
    }
}

/// A value in words.
fn worded(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => text.clone(),
        Cell::Count(count) => count.to_string(),
        Cell::Share(part, of) => percent(*part, *of),
        Cell::Length(span) => length(*span),
        Cell::Seconds(seconds) => hours(*seconds),
        Cell::At(at) => day(*at),
        Cell::Unknown => String::from("not known"),
    }
}

fn percent(part: u64, of: u64) -> String {
    match per_mille(part, of) {
        None => String::from("–"),
        // Where it is little, a tenth of a percent counts.
        Some(share) if share < 100 => format!("{}.{} %", share / 10, share % 10),
        Some(share) => format!("{} %", (share + 5) / 10),
    }
}

fn hours(seconds: u64) -> String {
    match seconds / 3_600 {
        0 => format!("{} min", seconds / 60),
        hours => format!("{hours} h"),
    }
}

/// See the module.
pub(super) async fn page(visit: Visit, Query(wanted): Query<Wanted>) -> Result<Html<String>, Failed> {
    let now = edge::now();
    let wanted = wanted.settled();
    let query = wanted.query(now)?;
    let asking = async {
        let frame = visit.frame(Tab::Reports, "Reports").await?;
        Ok::<_, Failed>((frame, visit.api.report(&query).await?))
    };
    let (frame, report) = visit.from.clone().scope(asking).await?;
    let dated = !wanted.from.trim().is_empty() || !wanted.until.trim().is_empty();
    let days = if wanted.days.is_empty() && !dated {
        String::from("30")
    } else {
        wanted.days.clone()
    };
    let page = Page {
        frame,
        query: wanted.address(),
        environments: report
            .environments
            .iter()
            .map(|env| (env.clone(), *env == wanted.env))
            .collect(),
        periods: PERIODS
            .iter()
            .map(|(number, name)| (*number, *name, days == number.to_string()))
            .collect(),
        from: day(report.from),
        until: day(report.until),
        tiles: tiles(&report),
        over_time: over_time(&report),
        sections: sections(&report),
        late: late(&report, now),
        standing: standing(&report),
        notes: notes(&report),
        command: command(&wanted, &days),
        days,
        wanted,
    };
    Ok(Html(page.render()?))
}

/// One of its tables, for a spreadsheet.
pub(super) async fn table(
    visit: Visit,
    Path(file): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<([(HeaderName, String); 2], String), Failed> {
    let part = file.strip_suffix(".csv").and_then(Part::named);
    let part = part.ok_or_else(|| Failed::not_found("there is no such table"))?;
    let query = wanted.settled().query(edge::now())?;
    let report = visit.from.clone().scope(visit.api.report(&query)).await?;
    let name = format!("attachment; filename=\"daypass-{}.csv\"", part.as_str());
    let headers = [
        (CONTENT_TYPE, String::from("text/csv; charset=utf-8")),
        (CONTENT_DISPOSITION, name),
    ];
    Ok((headers, report.table(part).csv()))
}

fn tiles(report: &Report) -> Vec<Tile> {
    let (requests, waits) = (&report.requests, &report.time_to_approve);
    let grants = &report.grants;
    let took = |span: Option<Span>| span.map_or_else(|| String::from("–"), length);
    let tile = |name, value, says| Tile {
        name,
        value,
        says,
        alarm: None,
    };
    let mut tiles = vec![
        tile(
            "Requests",
            requests.made.to_string(),
            format!(
                "{} led to access, {} waiting",
                requests.approved(),
                requests.pending
            ),
        ),
        tile(
            "Instant",
            percent(requests.instant, requests.approved()),
            format!(
                "{} of {} asked nobody",
                requests.instant,
                counted(requests.approved(), "approval", "approvals")
            ),
        ),
        tile(
            "Time to approve",
            took(waits.median),
            format!(
                "median of {}; nine of ten within {}",
                waits.count,
                took(waits.p90)
            ),
        ),
        tile(
            "Denied",
            percent(requests.denied, requests.made),
            format!(
                "{} of {}",
                requests.denied,
                counted(requests.made, "request", "requests")
            ),
        ),
        tile(
            "Unused grants",
            percent(grants.unused, grants.over),
            format!("{} of {} that are over", grants.unused, grants.over),
        ),
    ];
    tiles.extend(alarms(report));
    tiles
}

/// What is to be nothing, and is shown in another way where it is not.
fn alarms(report: &Report) -> [Tile; 2] {
    let late = &report.late;
    let emergencies = counted(report.requests.emergencies, "emergency", "emergencies");
    let tile = |name, count: u64, says| Tile {
        name,
        value: count.to_string(),
        says,
        alarm: (count > 0).then_some("look"),
    };
    [
        tile(
            "Overdue revocations",
            late.revocations_now,
            format!("now; {} became overdue in the period", late.revocations),
        ),
        tile(
            "Reviews after emergencies",
            late.reviews_overdue,
            format!(
                "overdue, of {} owed; {emergencies} in the period",
                late.reviews_owed
            ),
        ),
    ]
}

fn over_time(report: &Report) -> Columns {
    let columns = report.over_time.iter().map(|slot| {
        let of = &slot.requests;
        let values = [
            of.agreed,
            of.instant,
            of.emergencies,
            of.denied,
            of.withdrawn + of.lapsed + of.pending,
        ];
        (day(slot.from), values)
    });
    Columns::new("Requests over time", KINDS, columns)
}

fn sections(report: &Report) -> Vec<Section> {
    let waits = &report.time_to_approve;
    let spread = report.table(Part::Waits).rows.into_iter().zip(&waits.spread);
    let spread = spread.map(|(row, one)| {
        let name = row.first().map(worded).unwrap_or_default();
        (name, one.count, counted(one.count, "request", "requests"))
    });
    let busiest = report.busiest.iter().map(|one| {
        let says = format!(
            "{} of {}",
            counted(one.requests, "request", "requests"),
            counted(one.people, "person", "people")
        );
        (one.resource.to_string(), one.requests, says)
    });
    let unused = report.grants.unused_by_resource.iter().map(|one| {
        let says = format!("{} of {}", one.unused, one.over);
        (one.resource.to_string(), one.unused, says)
    });
    vec![
        Section {
            id: "waits",
            title: "Time to approve",
            says: String::from("From the request to the last agreement, where people were asked."),
            chart: Bars::new("Time to approve", spread),
            table: Shown::of(Part::Waits, report.table(Part::Waits)),
        },
        Section {
            id: "busiest",
            title: "Busiest resources",
            says: String::from("What was asked for most."),
            chart: Bars::new("Busiest resources", busiest),
            table: Shown::of(Part::Busiest, report.table(Part::Busiest)),
        },
        Section {
            id: "unused",
            title: "Unused grants",
            says: String::from(
                "Grants that are over, and nobody was given credentials or opened a session. Who keeps asking for what they do not use may want a better role.",
            ),
            chart: Bars::new("Unused grants", unused),
            table: Shown::of(Part::Unused, report.table(Part::Unused)),
        },
    ]
}

fn standing(report: &Report) -> Bars {
    let of = &report.standing;
    let rows = [
        ("if it stood", of.standing_seconds),
        ("just in time", of.held_seconds),
    ];
    let rows = rows.map(|(name, seconds)| (name.to_owned(), seconds, hours(seconds)));
    Bars::of(
        "Time that people had access",
        of.standing_seconds.max(of.held_seconds),
        rows,
    )
}

fn late(report: &Report, now: Timestamp) -> Vec<Late> {
    let listed = |items: &[daypass_api::Item]| super::access::listed(items);
    let grants = report.late.grants.iter().map(|one| Late {
        what: "revocation",
        request: one.request.to_string(),
        who: one.holder.clone(),
        items: listed(&one.items),
        since: When::new(one.since, now),
    });
    let reviews = report.late.reviews.iter().map(|one| Late {
        what: "review after an emergency",
        request: one.request.to_string(),
        who: one.requester.clone(),
        items: listed(&one.items),
        since: When::new(one.since, now),
    });
    grants.chain(reviews).collect()
}

fn notes(report: &Report) -> Notes {
    let of = &report.standing;
    let unseen: Vec<&str> = report.grants.unseen.iter().map(|name| name.as_str()).collect();
    Notes {
        requests: Shown::of(Part::Requests, report.table(Part::Requests)),
        standing: Shown::of(Part::Standing, report.table(Part::Standing)),
        late: Shown::of(Part::Late, report.table(Part::Late)),
        share: per_mille(of.held_seconds, of.standing_seconds)
            .map(|_| percent(of.held_seconds, of.standing_seconds)),
        inventory: of.inventory,
        unwanted: of.unwanted,
        unseen: unseen.join(", "),
    }
}

/// A link may have brought anything: only what is a day, a number or a name is put into a command that somebody may copy. See [`is_named`].
fn command(wanted: &Wanted, days: &str) -> String {
    let mut command = String::from("daypass report");
    if let Ok(from) = midnight(&wanted.from) {
        command.push_str(&format!(" --since {from}"));
    } else if let Ok(days) = days.trim().parse::<u32>() {
        command.push_str(&format!(" --since {days}d"));
    }
    // The page means the end of that day, and a terminal its instant.
    if let Ok(until) = day_over(&wanted.until) {
        command.push_str(&format!(" --until {until}"));
    }
    let env = wanted.env.trim();
    if is_named(env) {
        command.push_str(&format!(" --env {env}"));
    }
    command
}
