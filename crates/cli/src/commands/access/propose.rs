//! From what stands at a target to what one pastes into the policy: rules in place of standing access, and resources that were found.

use std::collections::BTreeMap;

use clap::Args;
use daypass_api::standing::{InventoryQuery, Standing, StandingQuery};
use daypass_core::name::{Item, Name};
use daypass_core::time::Span;
use daypass_policy::{Asks, Proposal, ProposedResource, propose_resources};
use serde_json::Value;

use super::standing::{listed, say_surveys, standing};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// So much is looked through.
const MOST: usize = 10_000;

/// Write a policy by which somebody asks for what they have for good.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass access snippet bob >policy/bob.yaml
  daypass access snippet bob orders/app_writer --login bob.jones --from dba --max 2h
  daypass access snippet app-team --group payments

The file goes beside the others of the policy: daypass policy check, then apply. What the policy has is used; what it lacks is a resource
of its own in the file. Nothing changes at the target: take the standing access away there once asking works. Without --from the manager
of who asks must agree.")]
pub struct SnippetArgs {
    /// Who has it, as the target calls them, or by login
    #[arg(value_name = "WHO")]
    who: String,

    /// Only this role, as `daypass access ls --standing` or the file of all of them names it
    #[arg(value_name = "RESOURCE/ROLE")]
    item: Option<Item>,

    /// Only what they have at this connector
    #[arg(long, value_name = "CONNECTOR")]
    connector: Option<String>,

    /// Who they are in Daypass, where that is not known
    #[arg(long, value_name = "LOGIN", conflicts_with = "group")]
    login: Option<Name>,

    /// The group whose people are to ask for it
    #[arg(long, value_name = "GROUP")]
    group: Option<Name>,

    /// Who agrees: a set of people of the policy
    #[arg(long, value_name = "SET", default_value = "manager")]
    from: Name,

    /// The longest that it lasts
    #[arg(long, value_name = "LENGTH", default_value = "4h")]
    max: Span,
}

impl SnippetArgs {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.client()?;
        let query = StandingQuery {
            connector: self.connector.clone(),
            subject: Some(self.who.clone()),
            ..StandingQuery::default()
        };
        let found = standing(&client, &query, MOST).await?;
        if found.items.is_empty() {
            say_surveys(context, &found.surveys);
            let what = format!("no standing access of {} is known", self.who);
            return Err(Failure::new(Exit::NOT_ELIGIBLE, what).hint(
                "daypass access ls --standing shows what is; daypass access survey CONNECTOR looks anew",
            ));
        }
        let proposal = self.proposal(&found.items)?;
        context.out.verbatim(&proposal.file());
        Ok(Exit::DONE)
    }

    fn proposal(&self, all: &[Standing]) -> Result<Proposal, Failure> {
        let mut items: Vec<Item> = Vec::new();
        let mut resources: BTreeMap<Name, ProposedResource> = BTreeMap::new();
        let (mut told, mut already, mut other) = (Vec::new(), Vec::new(), 0);
        for one in all {
            let Some((item, new)) = wanted(one) else {
                other += 1;
                continue;
            };
            if self.item.as_ref().is_some_and(|only| *only != item) {
                continue;
            }
            if one
                .given_by
                .first()
                .is_some_and(|first| first.eligible == Some(true))
            {
                already.push(item);
                continue;
            }
            let by = one
                .by
                .as_ref()
                .map_or_else(String::new, |by| format!(", by {by}"));
            told.push(format!(
                "{} at {}: {} on {}{by}",
                one.subject.name, one.connector, one.right, one.on
            ));
            if let Some(new) = new {
                add(&mut resources, new);
            }
            if !items.contains(&item) {
                items.push(item);
            }
        }
        if items.is_empty() {
            return Err(self.nothing(&already, other));
        }
        Ok(Proposal {
            asks: self.asks(all)?,
            items,
            resources: resources.into_values().collect(),
            told,
            from: self.from.clone(),
            max: self.max,
        })
    }

    fn nothing(&self, already: &[Item], other: usize) -> Failure {
        if let Some(item) = already.first() {
            let what = format!("{} may ask for {item} already", self.who);
            return Failure::new(Exit::NOT_ELIGIBLE, what)
                .hint("take the standing access away at the target");
        }
        let what = match other {
            0 => format!("{} has nothing like that", self.who),
            _ => format!(
                "what {} has there is nothing that Daypass could give for a time",
                self.who
            ),
        };
        Failure::new(Exit::NOT_ELIGIBLE, what).hint(format!(
            "daypass access ls --standing {} shows what they have",
            self.who
        ))
    }

    /// Who is to ask for it.
    fn asks(&self, all: &[Standing]) -> Result<Asks, Failure> {
        if let Some(group) = &self.group {
            return Ok(Asks::Group(group.clone()));
        }
        let known = all.iter().find_map(|one| one.login.as_ref()?.parse().ok());
        let login = self.login.clone().or(known);
        login.map(Asks::Login).ok_or_else(|| {
            Failure::usage(format!("nobody of the directory is known to be {}", self.who))
                .hint("say who that is: --login LOGIN, or --group GROUP where it is several")
        })
    }
}

/// The role that somebody is to ask for, and what the policy lacks of it; nothing where Daypass could not give it.
fn wanted(one: &Standing) -> Option<(Item, Option<ProposedResource>)> {
    if let Some(first) = one.given_by.first() {
        return Some((first.item.clone().into(), None));
    }
    let offer = one.offer.as_ref()?;
    let item = Item {
        resource: offer.resource_name.clone(),
        role: offer.role_name.clone(),
    };
    let told = match &one.place {
        Some(place) => {
            format!("The same as {place}, with a role that it lacks: it may as well be added there.")
        }
        None => one.on.clone(),
    };
    let resource = ProposedResource {
        name: item.resource.clone(),
        kind: offer.kind.parse().ok()?,
        connector: one.connector.clone(),
        told,
        labels: Vec::new(),
        config: offer.resource.clone(),
        roles: vec![(item.role.clone(), offer.role.clone())],
    };
    Some((item, Some(resource)))
}

/// Adds a resource, or its role where it is there.
fn add(resources: &mut BTreeMap<Name, ProposedResource>, new: ProposedResource) {
    let roles = new.roles.clone();
    let known = resources.entry(new.name.clone()).or_insert(new);
    for (name, role) in roles {
        let has = |one: &(Name, Value)| one.0 == name;
        if !known.roles.iter().any(has) {
            known.roles.push((name, role));
        }
    }
}

/// Write what was found at a target as resources of a policy.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass access discover pg-main >policy/found.yaml
  daypass access discover pg-main -o json

What the connector's last survey found and no resource of the policy is. It gives nobody anything before a rule does.")]
pub struct DiscoverArgs {
    /// The connector
    #[arg(value_name = "CONNECTOR")]
    connector: Name,
}

impl DiscoverArgs {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.client()?;
        let found = listed(MOST, async |cursor| {
            let limit = Some(500);
            let query = InventoryQuery { cursor, limit };
            client.found(&self.connector, &query).await
        })
        .await?;
        say_surveys(context, &found.surveys);
        if context.out.is_structured() {
            let nothing = "nothing was found that no resource is";
            let grid = crate::line::Grid::new(vec!["NAME"]);
            context
                .out
                .list(&found.items, |one| one.name.to_string(), &grid, nothing);
            return Ok(Exit::DONE);
        }
        if found.items.is_empty() {
            context
                .out
                .note("Nothing was found that no resource of the policy is.");
            return Ok(Exit::DONE);
        }
        let proposed = found.items.into_iter().filter_map(|one| {
            Some(ProposedResource {
                kind: one.kind.parse().ok()?,
                name: one.name,
                connector: one.connector,
                told: one.told,
                labels: one.labels.into_iter().collect(),
                config: one.resource,
                roles: one.roles.into_iter().collect(),
            })
        });
        let proposed: Vec<_> = proposed.filter(|one| !one.roles.is_empty()).collect();
        context.out.verbatim(&propose_resources(&proposed));
        Ok(Exit::DONE)
    }
}

/// Look anew what stands at a target without Daypass.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass access survey pg-main

The server does so by itself from time to time. It reads, and changes nothing. For administrators.")]
pub struct SurveyArgs {
    /// The connector
    #[arg(value_name = "CONNECTOR")]
    connector: Name,
}

impl SurveyArgs {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let survey = context.client()?.survey(&self.connector).await?;
        context.out.one(
            &survey,
            || survey.connector.to_string(),
            || {
                let what = format!(
                    "{} is being surveyed; daypass access ls --standing shows how far it is",
                    survey.connector
                );
                vec![what.into()]
            },
        );
        Ok(Exit::DONE)
    }
}

#[cfg(test)]
mod tests {
    use daypass_api::standing::{GivenBy, Offer, Subject};
    use daypass_policy::{Policy, Source};
    use serde_json::json;

    use super::*;

    const POLICY: &str = r#"
version: 1
people:
  dba: {group: dba}
connectors:
  - {name: pg-main, kind: postgres, config: {}}
resources:
  - {name: orders, kind: postgres, connector: pg-main, config: {database: orders}, roles: {read: {member_of: [reader]}}}
rules:
  - {name: dba-read, allow: dba, to: {resource: orders}, approval: none}
"#;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    /// Somebody's membership of a role, in a database.
    fn standing(role: &str, database: &str) -> Standing {
        Standing {
            connector: name("pg-main"),
            seen_at: "2026-03-07T12:00:00Z".parse().unwrap(),
            subject: Subject {
                id: "bob".into(),
                name: "bob".into(),
                kind: "person".into(),
            },
            right: format!("member of {role}"),
            on: format!("database {database}"),
            by: None,
            last_used: None,
            until: None,
            login: Some("bob".into()),
            guessed: true,
            given_by: Vec::new(),
            place: None,
            offer: Some(Offer {
                kind: "postgres".into(),
                resource_name: name(database),
                resource: json!({"database": database}),
                role_name: name(role),
                role: json!({"member_of": [role]}),
            }),
        }
    }

    fn given(mut standing: Standing, item: &str, eligible: bool) -> Standing {
        let item: Item = item.parse().unwrap();
        standing.given_by.push(GivenBy {
            item: item.into(),
            more: false,
            eligible: Some(eligible),
        });
        standing
    }

    fn args(item: Option<&str>) -> SnippetArgs {
        SnippetArgs {
            who: "bob".into(),
            item: item.map(|item| item.parse().unwrap()),
            connector: None,
            login: None,
            group: None,
            from: name("dba"),
            max: Span::hours(2),
        }
    }

    /// The policy with what was proposed beside it, as `daypass policy check` reads it.
    fn checked(file: &str) -> Policy {
        let source = |name: &str, text: &str| Source {
            name: name.to_owned(),
            text: text.to_owned(),
        };
        let sources = [source("bob.yaml", file), source("policy.yaml", POLICY)];
        Policy::load(&sources).unwrap_or_else(|found| panic!("{found}\n{file}"))
    }

    #[test]
    fn what_is_pasted_passes_the_check_and_uses_what_there_is() {
        let all = [
            given(standing("reader", "orders"), "orders/read", false),
            standing("writer", "shed"),
            standing("reader", "shed"),
        ];
        let policy = checked(&args(None).proposal(&all).unwrap().file());
        assert_eq!(policy.resources().len(), 2, "one is added, with both roles");
        assert_eq!(policy.resource("shed").unwrap().roles.len(), 2);
        let one = args(Some("orders/read")).proposal(&all).unwrap();
        assert!(one.resources.is_empty() && one.items.len() == 1);
        checked(&one.file());
    }

    #[test]
    fn what_somebody_may_ask_for_already_needs_no_policy() {
        let all = [given(standing("reader", "orders"), "orders/read", true)];
        let nothing = args(None).proposal(&all).unwrap_err();
        assert!(
            nothing.told().0.contains("may ask for orders/read already"),
            "{nothing:?}"
        );
    }

    #[test]
    fn who_is_not_known_has_to_be_said() {
        let unknown = [Standing {
            login: None,
            ..standing("writer", "shed")
        }];
        let told = args(None).proposal(&unknown).unwrap_err();
        assert!(
            told.told().1.is_some_and(|hint| hint.contains("--login")),
            "{told:?}"
        );
        let said = SnippetArgs {
            group: Some(name("payments")),
            ..args(None)
        };
        let file = said.proposal(&unknown).unwrap().file();
        assert!(file.contains("{group: payments}"), "{file}");
        checked(&file);
        let nothing = [Standing {
            offer: None,
            ..standing("pg_monitor", "shed")
        }];
        assert!(args(None).proposal(&nothing).is_err());
    }
}
