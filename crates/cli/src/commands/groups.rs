//! `group …`: who belongs to what.

use clap::{Args, Subcommand};
use daypass_api::client;
use daypass_api::person::{ChangeGroups, Person};
use daypass_core::name::Name;

use crate::commands::change;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::line::{Field, Grid, Style};

/// Manage groups.
#[derive(Debug, Subcommand)]
pub enum GroupCommand {
    /// List groups and their members
    Ls(LsArgs),
    /// Make people members of a group
    Add(MemberArgs),
    /// Take people out of a group
    Remove(MemberArgs),
}

/// List groups and their members.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass group ls
  daypass group ls -o json | jq -r '.[] | select(.name == \"security\").members[]'")]
pub struct LsArgs {}

/// Who, and which group.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass group add security cy di
  daypass group remove security cy

A group is there as long as it has a member. Where the policy covers groups, each is proposed: the answer is a change (C…) for each
person, which others must agree to.")]
pub struct MemberArgs {
    /// The group
    group: Name,

    /// Whose membership changes
    #[arg(required = true, value_name = "LOGIN")]
    logins: Vec<Name>,
}

impl GroupCommand {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        match self {
            Self::Ls(LsArgs {}) => list(context).await,
            Self::Add(args) => {
                let add = [args.group.clone()].into();
                change_members(
                    context,
                    args,
                    ChangeGroups {
                        add,
                        ..ChangeGroups::default()
                    },
                )
                .await
            }
            Self::Remove(args) => {
                let remove = [args.group.clone()].into();
                change_members(
                    context,
                    args,
                    ChangeGroups {
                        remove,
                        ..ChangeGroups::default()
                    },
                )
                .await
            }
        }
    }
}

async fn list(context: &Context) -> Result<Exit, Failure> {
    let groups = context.client()?.groups().await?.items;
    let mut grid = Grid::new(["GROUP", "MEMBERS"]);
    for group in &groups {
        grid.row([
            Field(Style::Strong, group.name.to_string()),
            Field::from(group.members.join(" ")),
        ]);
    }
    context.out.list(
        &groups,
        |group| group.name.to_string(),
        &grid,
        "there are no groups",
    );
    Ok(Exit::DONE)
}

async fn change_members(context: &Context, args: MemberArgs, wanted: ChangeGroups) -> Result<Exit, Failure> {
    let client = context.client()?;
    let mut people: Vec<Person> = Vec::new();
    let mut waiting = Vec::new();
    for login in &args.logins {
        match client.change_groups(login, &wanted).await {
            Ok(person) => people.push(person),
            Err(client::Error::Waits(proposed)) => waiting.push(*proposed.change),
            Err(error) => return Err(error.into()),
        }
    }
    if !waiting.is_empty() {
        change::tell_all_proposed(context, &waiting);
        // What is covered is covered for all of them; who was in the group already is as they were.
        return Ok(Exit::DONE);
    }
    let mut grid = Grid::new(["LOGIN", "GROUPS"]);
    for person in &people {
        let groups: Vec<_> = person.groups.iter().map(Name::as_str).collect();
        grid.row([
            Field(Style::Strong, person.login.clone()),
            Field::from(groups.join(" ")),
        ]);
    }
    context
        .out
        .list(&people, |person| person.login.clone(), &grid, "");
    Ok(Exit::DONE)
}
