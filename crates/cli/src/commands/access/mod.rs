//! `access`: who has what just now, by grants and for good.

mod propose;
mod standing;

use clap::{Args, Subcommand};
use daypass_api::access::{AccessQuery, Holding, Way};
use daypass_api::grant::GrantState;
use daypass_api::standing::StandingQuery;
use daypass_core::time::Timestamp;

use crate::context::{Context, pages};
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::left;
use crate::line::{Field, Grid, Style};

/// See who has what.
#[derive(Debug, Subcommand)]
pub enum AccessCommand {
    /// List who has what just now
    Ls(AccessLsArgs),
    /// See where targets and grants differ
    Drift(standing::DriftArgs),
    /// Write a policy by which somebody asks for what they have for good
    Snippet(propose::SnippetArgs),
    /// Write what was found at a target as resources of a policy
    Discover(propose::DiscoverArgs),
    /// Look anew what stands at a target
    Survey(propose::SurveyArgs),
}

impl AccessCommand {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        match self {
            Self::Ls(args) => args.run(context).await,
            Self::Drift(args) => args.run(context).await,
            Self::Snippet(args) => args.run(context).await,
            Self::Discover(args) => args.run(context).await,
            Self::Survey(args) => args.run(context).await,
        }
    }
}

/// List who has what just now.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass access ls
  daypass access ls --resource orders-prod
  daypass access ls --group engineering --env production -o json
  daypass access ls --standing --connector pg-main

By login, resource and role, from grants that have not ended. Auditors and administrators see everybody's; others their own, that of
service accounts that they answer for, and of those whom they manage what they may see of their requests.
With --standing what people have at targets without Daypass, as the server's last surveys told it: for auditors and administrators.")]
pub struct AccessLsArgs {
    /// Only of this person, by login; with --standing also by what the target calls them
    #[arg(value_name = "WHO", conflicts_with = "person")]
    who: Option<String>,

    /// Only of this person, by login
    #[arg(long, value_name = "LOGIN")]
    person: Option<String>,

    /// What people have for good, without Daypass
    #[arg(long, conflicts_with_all = ["group", "env", "label"])]
    standing: bool,

    /// Only at this connector
    #[arg(long, value_name = "CONNECTOR", requires = "standing")]
    connector: Option<String>,

    /// Only of people in this group
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,

    /// Only on this resource
    #[arg(long, value_name = "RESOURCE")]
    resource: Option<String>,

    /// Only on resources of this environment (their label env)
    #[arg(long, value_name = "ENV")]
    env: Option<String>,

    /// Only on resources with this label
    #[arg(long, value_name = "NAME[=VALUE]")]
    label: Option<String>,

    /// The most entries to list
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    limit: usize,
}

impl AccessLsArgs {
    async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let person = self.person.clone().or_else(|| self.who.clone());
        if self.standing {
            return self.standing(context, person).await;
        }
        let client = context.client()?;
        let held = pages(self.limit, async |cursor| {
            let query = AccessQuery {
                person: person.clone(),
                group: self.group.clone(),
                resource: self.resource.clone(),
                env: self.env.clone(),
                label: self.label.clone(),
                cursor,
                limit: Some(500),
            };
            client.access(&query).await
        })
        .await?;
        context.out.list(
            &held,
            |one| one.by.grant.to_string(),
            &grid(&held, context.out.is_wide(), edge::now()),
            "nobody has anything that you may see",
        );
        Ok(Exit::DONE)
    }

    async fn standing(&self, context: &Context, who: Option<String>) -> Result<Exit, Failure> {
        let query = StandingQuery {
            connector: self.connector.clone(),
            resource: self.resource.clone(),
            subject: who,
            ..StandingQuery::default()
        };
        let found = standing::standing(&context.client()?, &query, self.limit).await?;
        context.out.list(
            &found.items,
            |one| one.subject.id.clone(),
            &standing::grid(&found.items, context.out.is_wide(), edge::now()),
            "no standing access like that is known",
        );
        if context.out.is_for_people() {
            standing::say_surveys(context, &found.surveys);
        }
        Ok(Exit::DONE)
    }
}

fn grid(held: &[Holding], wide: bool, now: Timestamp) -> Grid {
    let mut head = vec!["WHO", "WHAT", "STATE", "UNTIL", "HOW", "GRANT"];
    if wide {
        head.extend(["ENV", "REQUEST"]);
    }
    let mut grid = Grid::new(head);
    for one in held {
        let style = match one.by.state {
            GrantState::Active => Style::Good,
            _ => Style::Warn,
        };
        let until = one.by.until.map_or_else(String::new, |until| left(until, now));
        let way = match one.by.way {
            Way::Emergency => Style::Bad,
            Way::Instant | Way::Reviewed => Style::Plain,
        };
        let grant = if wide {
            one.by.grant.to_string()
        } else {
            one.by.grant.short()
        };
        let mut row = vec![
            Field(Style::Strong, one.holder.clone()),
            Field::from(one.item.to_string()),
            Field(style, one.by.state.as_str().to_owned()),
            Field::from(until),
            Field(way, one.by.way.as_str().to_owned()),
            Field::from(grant),
        ];
        if wide {
            row.push(Field::from(one.env.clone().unwrap_or_default()));
            row.push(Field::from(one.by.request.to_string()));
        }
        grid.row(row);
    }
    grid
}
