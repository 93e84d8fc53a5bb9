//! Who has what: people down, resources across, each cell what somebody has there and until when. The API hands out parts of it,
//! so that it stays of use where there are hundreds of both.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use axum::extract::Query;
use axum::response::Html;
use daypass_api::access::{
    Matrix, MatrixHeld, MatrixPerson, MatrixQuery, MatrixResource, MatrixStanding, Way,
};
use daypass_api::grant::GrantState;
use daypass_api::person::SystemRole;
use daypass_core::name::Name;
use daypass_core::time::Timestamp;
use serde::Deserialize;

use super::failed::Failed;
use super::frame::{Frame, Tab};
use super::visit::{Visit, encoded};
use super::words::{When, is_named};
use crate::edge;

/// So many people are shown at once.
const ROWS: u32 = 50;
/// So many resources.
const COLUMNS: u32 = 40;

#[derive(Template)]
#[template(path = "who.html")]
struct Page {
    frame: Frame,
    wanted: Wanted,
    filtered: bool,
    /// The environments across, and over how many columns each goes.
    environments: Vec<(String, usize)>,
    resources: Vec<Column>,
    groups: Vec<Group>,
    /// What the fields offer.
    known_groups: BTreeSet<String>,
    known_environments: BTreeSet<String>,
    counts: Counts,
    /// Whether whoever looks sees what people have for good.
    sees_standing: bool,
    people: Turn,
    across: Turn,
    complete: bool,
    command: String,
}

struct Counts {
    held: u32,
    people: u32,
    resources: u32,
}

/// Where one is in a long side of it, and where it goes on.
struct Turn {
    first: u32,
    last: u32,
    all: u32,
    before: Option<String>,
    after: Option<String>,
}

struct Column {
    name: String,
    /// The policy does not have it any more.
    gone: bool,
    /// An environment begins here.
    begins: bool,
}

/// People who stand together.
struct Group {
    name: Option<String>,
    rows: Vec<Row>,
}

struct Row {
    login: String,
    /// To what this one has alone.
    link: String,
    /// The connector at whose target they are, where the directory does not know them.
    outside: Option<String>,
    cells: Vec<Cell>,
}

/// What somebody has on a resource, or could have.
#[derive(Default)]
struct Cell {
    held: Vec<Held>,
    standing: Vec<Stands>,
    eligible: Vec<Could>,
}

/// What somebody has for good.
struct Stands {
    role: String,
    /// What it is in the target's words, and when that was seen.
    says: String,
    /// To what is known of it.
    link: String,
}

/// What somebody could ask for.
struct Could {
    role: String,
    /// To where it is asked for, or to what the policy says.
    link: Option<String>,
}

/// What somebody has on a resource.
struct Held {
    role: String,
    request: String,
    /// What the policy says to that, where whoever looks may ask it.
    why: Option<String>,
    class: &'static str,
    /// How it stands and until when, in full.
    says: String,
    /// The same in few characters.
    short: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    person: String,
    #[serde(default)]
    group: String,
    #[serde(default)]
    resource: String,
    #[serde(default)]
    env: String,
    #[serde(default)]
    tag: String,
    /// `group` where people stand by group.
    #[serde(default)]
    by: String,
    /// `eligible` where what people could ask for is shown too.
    #[serde(default)]
    also: String,
    #[serde(default)]
    row: u32,
    #[serde(default)]
    column: u32,
}

impl Wanted {
    fn query(&self) -> MatrixQuery {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        MatrixQuery {
            person: given(&self.person),
            group: given(&self.group),
            resource: given(&self.resource),
            env: given(&self.env),
            label: given(&self.tag),
            standing: Some(true),
            eligible: Some(self.also == "eligible"),
            by_group: Some(self.by == "group"),
            row: Some(self.row),
            rows: Some(ROWS),
            column: Some(self.column),
            columns: Some(COLUMNS),
        }
    }

    /// The fields that limit what is shown, as commands and addresses have them.
    fn filters(&self) -> [(&'static str, &str); 5] {
        let Self {
            person,
            group,
            resource,
            env,
            tag,
            ..
        } = self;
        let all = [
            ("person", person),
            ("group", group),
            ("resource", resource),
            ("env", env),
            ("tag", tag),
        ];
        all.map(|(name, value)| (name, value.trim()))
    }

    /// The same from another row and column on.
    fn address(&self, row: u32, column: u32) -> String {
        let kept = [("by", self.by.as_str()), ("also", self.also.as_str())];
        let filters = self.filters().into_iter().chain(kept);
        let mut pairs: Vec<String> = filters
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect();
        pairs.push(format!("row={row}&column={column}"));
        format!("/who?{}", pairs.join("&"))
    }

    /// What to type for the same. See [`is_named`].
    fn command(&self) -> String {
        let given = self.filters().into_iter().filter(|pair| is_named(pair.1));
        let given = given.map(|(name, value)| {
            let name = if name == "tag" { "label" } else { name };
            format!(" --{name} {value}")
        });
        format!("daypass access ls{}", given.collect::<String>())
    }
}

impl Turn {
    fn new(first: u32, most: u32, all: u32, address: impl Fn(u32) -> String) -> Self {
        let last = first.saturating_add(most).min(all);
        Self {
            first: first.saturating_add(1).min(all),
            last,
            all,
            before: (first > 0).then(|| address(first.saturating_sub(most))),
            after: (last < all).then(|| address(last)),
        }
    }
}

impl Held {
    /// `asks`: what asks the policy about a role of theirs here.
    fn of(held: &MatrixHeld, asks: impl Fn(&Name) -> Option<String>, now: Timestamp) -> Self {
        let by = &held.by;
        let emergency = by.way == Way::Emergency;
        let (class, word) = match by.state {
            GrantState::Active if emergency => ("emergency", "taken in an emergency"),
            GrantState::Active => ("active", "active"),
            GrantState::Scheduled | GrantState::Activating => ("coming", "not there yet"),
            GrantState::Ending | GrantState::Ended => ("ending", "ending, not seen to be gone"),
        };
        let until = by.until.map(|until| When::new(until, now));
        let short = match (&until, by.state) {
            (Some(until), _) => until.from_now.trim_start_matches("in ").to_owned(),
            (None, GrantState::Ending | GrantState::Ended) => String::from("ending"),
            (None, _) => String::from("soon"),
        };
        let until = until.map_or_else(String::new, |until| format!(", until {}", until.shown));
        Self {
            role: held.role.to_string(),
            request: by.request.to_string(),
            why: asks(&held.role),
            class,
            says: format!("{word}{until}, {}", by.way.as_str()),
            short: if emergency { format!("! {short}") } else { short },
        }
    }
}

impl Stands {
    fn of(standing: &MatrixStanding, whose: &str, now: Timestamp) -> Self {
        let role = standing.role.as_ref();
        let seen = When::new(standing.seen_at, now);
        Self {
            role: role.map_or_else(|| String::from("other"), ToString::to_string),
            says: format!("for good: {}, seen {}", standing.told, seen.from_now),
            link: format!("/standing?subject={}", encoded(whose)),
        }
    }
}

/// See the module.
pub(super) async fn page(visit: Visit, Query(wanted): Query<Wanted>) -> Result<Html<String>, Failed> {
    let query = wanted.query();
    let asking = async {
        let frame = visit.frame(Tab::Who, "Who has what").await?;
        Ok::<_, Failed>((frame, visit.api.access_matrix(&query).await?))
    };
    let (frame, found) = visit.from.clone().scope(asking).await?;
    let (row, column) = (wanted.row, wanted.column);
    let reads_policy = visit.me.person.role != SystemRole::Member;
    let page = Page {
        frame,
        filtered: wanted.filters().iter().any(|(_, value)| !value.is_empty()),
        environments: across(&found.resources),
        resources: columns(&found.resources),
        known_groups: found
            .people
            .iter()
            .flat_map(|person| &person.groups)
            .map(ToString::to_string)
            .collect(),
        known_environments: found
            .resources
            .iter()
            .filter_map(|resource| resource.env.clone())
            .collect(),
        sees_standing: reads_policy,
        counts: Counts {
            held: found.all_held,
            people: found.all_people,
            resources: found.all_resources,
        },
        people: Turn::new(row, ROWS, found.all_people, |row| wanted.address(row, column)),
        across: Turn::new(column, COLUMNS, found.all_resources, |column| {
            wanted.address(row, column)
        }),
        complete: found.complete,
        command: wanted.command(),
        groups: groups(
            found,
            (wanted.by == "group", reads_policy),
            &visit.me.person.login,
            edge::now(),
        ),
        wanted,
    };
    Ok(Html(page.render()?))
}

/// The environments, and how many columns each has.
fn across(resources: &[MatrixResource]) -> Vec<(String, usize)> {
    let runs = resources.chunk_by(|one, other| one.env == other.env);
    runs.map(|run| {
        let env = run.first().and_then(|one| one.env.clone());
        (env.unwrap_or_else(|| String::from("no environment")), run.len())
    })
    .collect()
}

fn columns(resources: &[MatrixResource]) -> Vec<Column> {
    let mut before = None;
    resources
        .iter()
        .map(|one| {
            let begins = before.replace(&one.env) != Some(&one.env);
            Column {
                name: one.name.to_string(),
                gone: !one.known,
                begins,
            }
        })
        .collect()
}

/// The rows, by group where they stand so.
fn groups(found: Matrix, (by_group, reads_policy): (bool, bool), me: &str, now: Timestamp) -> Vec<Group> {
    let width = found.resources.len();
    let mut cells: BTreeMap<(usize, usize), Cell> = BTreeMap::new();
    let place = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    for cell in &found.cells {
        let at = (place(cell.person), place(cell.resource));
        let person = found.people.get(at.0).map(|person| &person.login);
        let resource = found.resources.get(at.1).map(|resource| &resource.name);
        let asks = |role: &Name| {
            let (who, what) = (person?, format!("{}/{role}", resource?));
            let address = || format!("/policy/simulate?who={}&what={}", encoded(who), encoded(&what));
            reads_policy.then(address)
        };
        let own = person.is_some_and(|login| login == me);
        let could = |role: &Name| Could {
            role: role.to_string(),
            link: match (own, resource) {
                (true, Some(resource)) => Some(format!("/ask/{resource}/{role}")),
                _ => asks(role),
            },
        };
        let whose = person.map_or("", String::as_str);
        let shown = Cell {
            held: cell.held.iter().map(|held| Held::of(held, asks, now)).collect(),
            standing: cell
                .standing
                .iter()
                .map(|one| Stands::of(one, whose, now))
                .collect(),
            eligible: cell.eligible.iter().map(could).collect(),
        };
        cells.insert(at, shown);
    }
    let of = |person: &MatrixPerson| {
        let first = person.groups.first().map(ToString::to_string);
        by_group.then(|| first.unwrap_or_else(|| String::from("in no group")))
    };
    let mut groups: Vec<Group> = Vec::new();
    for (nth, person) in found.people.iter().enumerate() {
        let row = Row {
            login: person.login.clone(),
            link: match &person.outside {
                Some(_) => format!("/standing?subject={}", encoded(&person.login)),
                None => format!("/who?person={}", encoded(&person.login)),
            },
            outside: person.outside.as_ref().map(ToString::to_string),
            cells: (0..width)
                .map(|column| cells.remove(&(nth, column)).unwrap_or_default())
                .collect(),
        };
        let name = of(person);
        match groups.last_mut().filter(|group| group.name == name) {
            Some(group) => group.rows.push(row),
            None => groups.push(Group {
                name,
                rows: vec![row],
            }),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_lead_on_and_back() {
        let address = |from: u32| from.to_string();
        let turn = Turn::new(50, 50, 120, address);
        assert_eq!((turn.first, turn.last), (51, 100));
        assert_eq!(
            (turn.before.as_deref(), turn.after.as_deref()),
            (Some("0"), Some("100"))
        );
        let whole = Turn::new(0, 50, 50, address);
        assert_eq!((whole.before, whole.after, whole.last), (None, None, 50));
        let none = Turn::new(0, 50, 0, address);
        assert_eq!((none.first, none.last), (0, 0));
    }

    #[test]
    fn what_is_typed_is_kept_in_every_link() {
        let wanted = Wanted {
            person: String::from("ana&x=1"),
            tag: String::from("team=payments"),
            by: String::from("group"),
            ..Wanted::default()
        };
        assert_eq!(
            wanted.address(0, 40),
            "/who?person=ana%26x%3D1&tag=team%3Dpayments&by=group&row=0&column=40"
        );
        assert_eq!(
            wanted.command(),
            "daypass access ls --label team=payments",
            "nothing that a shell would take for more than a name"
        );
    }
}
