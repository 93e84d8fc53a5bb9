//! `ls`: what there is, what one may ask for, and what it takes.

use clap::Args;
use daypass_api::Client;
use daypass_api::catalogue::{Depends, How, Offer, ResourceQuery};
use daypass_api::environment::{EnvironmentOffer, EnvironmentQuery};
use daypass_core::refusal::Code;
use serde::Serialize;

use crate::context::{Context, pages};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::span;
use crate::line::{Field, Grid, Line, Style};

/// The most offers that are listed.
const MOST: usize = 10_000;

/// List what you may ask for, and what it takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass ls                       everything, with what it takes
  daypass ls --env production
  daypass ls --instant             what you get by asking
  daypass ls orders-prod           the roles of one resource, and why not or on what it depends
  daypass ls orders-prod/write     one role of it
  daypass ls env:staging -o wide   the roles of one environment, and what they stand for
  daypass ls -o name --instant

A role that a rule gives only for some lengths, starts or tickets is listed with what decides: \"depends on --for\". So is one that
you have had as much of as you may for now, or whose window is closed, where a shorter length or a later start would do. UP TO is
the longest that you would get now. Ends with 1 where nothing is called so.")]
pub struct LsArgs {
    /// Only this resource or role of it, or env:NAME[/ROLE] for an environment
    #[arg(value_name = "RESOURCE[/ROLE]|env:NAME[/ROLE]")]
    resource: Option<String>,

    /// Only resources with this label env
    #[arg(long)]
    env: Option<String>,

    /// Only what needs nobody's agreement
    #[arg(long)]
    instant: bool,
}

impl LsArgs {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.client()?;
        let mut entries = Vec::new();
        if !self.is_about_an_environment() {
            let offers = self.offers(&client).await?;
            entries.extend(offers.into_iter().map(Entry::Offer));
        }
        if self.resource.is_none() || self.is_about_an_environment() {
            let environments = self.environments(&client).await?;
            entries.extend(environments.into_iter().map(Entry::Environment));
        }
        let filtered = self.env.is_some() || self.instant;
        if let Some(named) = self.resource.as_ref().filter(|_| entries.is_empty() && !filtered) {
            let what = format!("nothing that is called {named} may be asked for");
            let hint = match named.split_once('/') {
                Some((of, _)) => format!("daypass ls {of} shows what it has"),
                None => String::from("daypass ls shows what there is"),
            };
            return Err(Failure::new(Exit::ERROR, what).hint(hint));
        }
        let grid = grid(&entries, context.out.is_wide());
        let empty = "nothing of the kind; daypass ls shows everything";
        context.out.list(&entries, Entry::name, &grid, empty);
        if context.out.is_for_people() {
            if self.resource.is_some() {
                entries
                    .iter()
                    .flat_map(details)
                    .for_each(|line| context.out.line(&line));
            } else if entries.iter().any(Entry::has_more) {
                let hint = "  daypass ls RESOURCE says why not, and on what it depends";
                context.out.note(Line::new().with(Style::Faint, hint));
            }
        }
        Ok(Exit::DONE)
    }

    fn is_about_an_environment(&self) -> bool {
        self.resource
            .as_deref()
            .is_some_and(|named| named.starts_with("env:"))
    }

    async fn environments(&self, client: &Client) -> Result<Vec<EnvironmentOffer>, Failure> {
        let mut offers = pages(MOST, async |cursor| {
            let query = EnvironmentQuery {
                env: self.env.clone(),
                instant: self.instant.then_some(true),
                cursor,
                limit: None,
            };
            client.environments(&query).await
        })
        .await?;
        if let Some(named) = &self.resource {
            offers.retain(|offer| is_called(&offer.environment.to_string(), named));
        }
        Ok(offers)
    }

    async fn offers(&self, client: &Client) -> Result<Vec<Offer>, Failure> {
        let named = self.resource.as_deref();
        let mut offers = pages(MOST, async |cursor| {
            let query = ResourceQuery {
                env: self.env.clone(),
                q: None,
                resource: named.map(|named| resource_of(named).to_owned()),
                instant: self.instant.then_some(true),
                cursor,
                limit: None,
            };
            client.resources(&query).await
        })
        .await?;
        offers.retain(|offer| named.is_none_or(|named| is_called(&offer.item.to_string(), named)));
        Ok(offers)
    }
}

/// The resource of what was typed, with or without a role.
fn resource_of(named: &str) -> &str {
    named.split_once('/').map_or(named, |(resource, _)| resource)
}

/// Whether something (`orders/read`, `env:staging/debug`) is what was typed, or a role of it.
fn is_called(whole: &str, named: &str) -> bool {
    whole == named || resource_of(whole) == named
}

/// What can be asked for: a role of a resource, or one of an environment.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Entry {
    Offer(Offer),
    Environment(EnvironmentOffer),
}

impl Entry {
    /// As it is asked for.
    fn name(&self) -> String {
        match self {
            Self::Offer(offer) => offer.item.to_string(),
            Self::Environment(offer) => offer.environment.to_string(),
        }
    }

    const fn how(&self) -> (&How, bool) {
        match self {
            Self::Offer(offer) => (&offer.how, offer.break_glass),
            Self::Environment(offer) => (&offer.how, offer.break_glass),
        }
    }

    /// Whether there is more to say than the table has.
    const fn has_more(&self) -> bool {
        match self.how().0 {
            How::Instant { depends, .. } | How::Reviewed { depends, .. } => depends.is_some(),
            How::Closed { .. } => true,
        }
    }

    fn env(&self) -> &str {
        match self {
            Self::Offer(offer) => offer.env().unwrap_or("–"),
            Self::Environment(_) => "–",
        }
    }

    /// The kind, and the labels or what it stands for.
    fn details(&self) -> (String, String) {
        match self {
            Self::Offer(offer) => {
                let labels = offer.labels.iter().map(|(key, value)| format!("{key}={value}"));
                (offer.kind.to_string(), labels.collect::<Vec<_>>().join(" "))
            }
            Self::Environment(offer) => {
                let items = offer.items.iter().map(ToString::to_string);
                (String::from("environment"), items.collect::<Vec<_>>().join(" "))
            }
        }
    }
}

fn grid(entries: &[Entry], wide: bool) -> Grid {
    let mut head = vec!["RESOURCE/ROLE", "ENV", "TAKES", "UP TO"];
    if wide {
        head.extend(["RULE", "KIND", "LABELS"]);
    }
    let mut grid = Grid::new(head);
    for entry in entries {
        let (how, break_glass) = entry.how();
        let (takes, max, rule) = match how {
            How::Instant { rule, max, depends } => {
                let takes = format!("instant{}", depending(depends.as_ref()));
                (Field(Style::Good, takes), span(*max), rule.to_string())
            }
            How::Reviewed {
                rule,
                max,
                steps,
                depends,
            } => {
                let takes = format!("{}{}", takes(steps), depending(depends.as_ref()));
                (Field::from(takes), span(*max), rule.to_string())
            }
            How::Closed { code, .. } => (
                Field(Style::Faint, not_for_you(code)),
                String::from("–"),
                String::from("–"),
            ),
        };
        let takes = if break_glass {
            Field(takes.0, format!("{}; or break-glass", takes.1))
        } else {
            takes
        };
        let mut row = vec![
            Field(Style::Strong, entry.name()),
            Field::from(entry.env()),
            takes,
            Field::from(max),
        ];
        if wide {
            let (kind, details) = entry.details();
            row.extend([Field::from(rule), Field::from(kind), Field::from(details)]);
        }
        grid.row(row);
    }
    grid
}

/// Why not, in a word that the policy's page explains; what is not told by one is that no rule is for them.
fn not_for_you(code: &str) -> String {
    if code == Code::NotEligible.as_str() {
        String::from("not for you")
    } else {
        format!("not for you: {code}")
    }
}

/// `; depends on --for`
fn depending(depends: Option<&Depends>) -> String {
    depends.map_or_else(String::new, |depends| {
        format!("; depends on {}", options(depends))
    })
}

/// The options of `request` that decide.
fn options(depends: &Depends) -> String {
    let options = depends.on.iter().map(|field| match field.as_str() {
        "duration" => String::from("--for"),
        other => format!("--{other}"),
    });
    options.collect::<Vec<_>>().join(" and ")
}

/// All that there is to say beside the table: what a rule asks for, or why not and what would help.
fn details(entry: &Entry) -> Vec<Line> {
    let (text, hint) = match entry.how().0 {
        How::Instant { depends, .. } | How::Reviewed { depends, .. } => match depends {
            None => return Vec::new(),
            Some(depends) => {
                let options = depends.on.iter().map(|field| match field.as_str() {
                    "duration" => String::from(" --for …"),
                    other => format!(" --{other} …"),
                });
                let command = || format!("daypass request {}{}", entry.name(), options.collect::<String>());
                (
                    &depends.detail,
                    Some(depends.hint.clone().unwrap_or_else(command)),
                )
            }
        },
        How::Closed { detail, hint, .. } => (detail, hint.clone()),
    };
    let mut lines = vec![
        Line::new(),
        Line::new()
            .with(Style::Strong, entry.name())
            .text(format!(": {text}")),
    ];
    lines.extend(hint.map(|hint| Line::new().text("  Try: ").text(hint)));
    lines
}

/// `1 approval: manager`, `2 steps: manager → security`.
fn takes(steps: &[String]) -> String {
    match steps {
        [one] => format!("1 approval: {one}"),
        _ => format!("{} steps: {}", steps.len(), steps.join(" → ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_called_by_its_resource_or_in_full() {
        for (named, whole, expect) in [
            ("orders", "orders/read", true),
            ("orders/read", "orders/read", true),
            ("orders/write", "orders/read", false),
            ("orders/", "orders/read", false),
            ("order", "orders/read", false),
            ("env:staging", "env:staging/debug", true),
            ("env:staging/debug", "env:staging/debug", true),
            ("env:staging/x", "env:staging/debug", false),
        ] {
            assert_eq!(is_called(whole, named), expect, "{named}");
        }
        assert_eq!(resource_of("orders/read"), "orders");
        assert_eq!(resource_of("orders"), "orders");
    }

    /// What stands in the way now, and what to ask for instead: the server knows it to the minute.
    #[test]
    fn what_depends_on_the_moment_says_what_to_ask_for() {
        let offer: Offer = serde_json::from_str(
            r#"{"item": {"resource": "web", "role": "logs"}, "kind": "ssh", "labels": {},
                "how": {"how": "instant", "rule": "night", "max": "8h",
                        "depends": {"on": ["start"], "detail": "the window night is not open",
                                    "hint": "not before 22:00: daypass request web/logs --start 2026-03-07T22:00:00Z"}}}"#,
        )
        .unwrap();
        let entry = Entry::Offer(offer);
        let row = grid(std::slice::from_ref(&entry), false).render(false, false);
        assert_eq!(
            row.last().unwrap(),
            "web/logs       –    instant; depends on --start  8h"
        );
        let told: Vec<String> = details(&entry).iter().map(|line| line.render(false)).collect();
        assert_eq!(
            told[1..],
            [
                "web/logs: the window night is not open",
                "  Try: not before 22:00: daypass request web/logs --start 2026-03-07T22:00:00Z",
            ]
        );
    }

    #[test]
    fn what_it_takes_is_said_in_words() {
        let offers: Vec<Offer> = serde_json::from_str(
            r#"[
            {"item": {"resource": "orders-staging", "role": "read"}, "kind": "postgres", "labels": {"env": "staging"},
             "how": {"how": "instant", "rule": "self", "max": "8h"}},
            {"item": {"resource": "orders-prod", "role": "write"}, "kind": "postgres", "labels": {"env": "production"},
             "how": {"how": "reviewed", "rule": "prod-write", "max": "2h", "steps": ["manager", "security"]}, "break_glass": true},
            {"item": {"resource": "hr", "role": "read"}, "kind": "postgres", "labels": {},
             "how": {"how": "closed", "code": "not-eligible", "detail": "no rule admits you", "hint": "ask hr-team"}},
            {"item": {"resource": "hr", "role": "write"}, "kind": "postgres", "labels": {}, "break_glass": true,
             "how": {"how": "closed", "code": "window", "detail": "the rule hr (p.yaml:9) gives access only in the window night"}},
            {"item": {"resource": "web", "role": "logs"}, "kind": "ssh", "labels": {},
             "how": {"how": "instant", "rule": "short", "max": "8h",
                     "depends": {"on": ["duration", "ticket"], "detail": "the rule short (p.yaml:3) gives access only where \"x\" holds"}}}]"#,
        )
        .unwrap();
        let mut entries: Vec<Entry> = offers.into_iter().map(Entry::Offer).collect();
        assert_eq!(
            grid(&entries, false).render(false, false),
            [
                "RESOURCE/ROLE        ENV         TAKES                                        UP TO",
                "orders-staging/read  staging     instant                                      8h",
                "orders-prod/write    production  2 steps: manager → security; or break-glass  2h",
                "hr/read              –           not for you                                  –",
                "hr/write             –           not for you: window; or break-glass          –",
                "web/logs             –           instant; depends on --for and --ticket       8h",
            ]
        );
        let told: Vec<String> = entries
            .iter()
            .flat_map(details)
            .map(|line| line.render(false))
            .filter(|line| !line.is_empty())
            .collect();
        assert_eq!(
            told,
            [
                "hr/read: no rule admits you",
                "  Try: ask hr-team",
                "hr/write: the rule hr (p.yaml:9) gives access only in the window night",
                "web/logs: the rule short (p.yaml:3) gives access only where \"x\" holds",
                "  Try: daypass request web/logs --for … --ticket …",
            ]
        );
        let environment: EnvironmentOffer = serde_json::from_str(
            r#"{"environment": {"environment": "staging", "role": "debug"}, "how": {"how": "instant", "rule": "self", "max": "8h"},
                "items": [{"resource": "orders", "role": "read"}, {"resource": "users", "role": "read"}]}"#,
        )
        .unwrap();
        entries = vec![Entry::Environment(environment)];
        assert_eq!(
            grid(&entries, true).render(false, false),
            [
                "RESOURCE/ROLE      ENV  TAKES    UP TO  RULE  KIND         LABELS",
                "env:staging/debug  –    instant  8h     self  environment  orders/read users/read",
            ]
        );
    }
}
