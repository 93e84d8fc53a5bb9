//! `lock`, `unlock`, `locks`: shut a person or a resource at once.

use clap::Args;
use daypass_api::Client;
use daypass_api::catalogue::ResourceQuery;
use daypass_api::lock::{ChangeLock, Lock, LockOn};
use daypass_api::person::PersonQuery;

use crate::context::{Context, pages};
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::{ago, count};
use crate::line::{Field, Grid, Line, Style};

/// The most accounts that are looked through for a login.
const MOST: usize = 100_000;

/// Lock a person or a resource.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass lock ana --reason \"laptop stolen\"
  daypass lock orders-prod --reason \"incident 4711\"
  daypass lock orders --resource --reason \"a person is called so too\"

For administrators. From this instant on nobody gets anything that is locked, and what is held ends. A person who is locked
may still log in, read, and give back. Unlocking revives nothing.")]
pub struct LockArgs {
    #[command(flatten)]
    what: What,
}

/// Unlock a person or a resource.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass unlock ana --reason \"new laptop, new password\"

For administrators, who cannot unlock themselves. What ended under the lock stays ended: it is asked for anew.")]
pub struct UnlockArgs {
    #[command(flatten)]
    what: What,
}

/// List what is locked.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass locks
  daypass locks -o json | jq -r '.[] | .on.person // empty'

For auditors and administrators.")]
pub struct LocksArgs {}

/// What, and why.
#[derive(Debug, Args)]
struct What {
    /// A person's login, or a resource's name
    #[arg(value_name = "PERSON|RESOURCE")]
    name: String,

    /// Why; it is kept in the log
    #[arg(long, value_name = "TEXT")]
    reason: String,

    /// The person of this name
    #[arg(long, conflicts_with = "resource")]
    person: bool,

    /// The resource of this name
    #[arg(long)]
    resource: bool,
}

impl What {
    fn said(&self) -> Option<LockOn> {
        let name = self.name.clone();
        match (self.person, self.resource) {
            (true, _) => Some(LockOn::Person(name)),
            (_, true) => Some(LockOn::Resource(name)),
            _ => None,
        }
    }

    /// The one thing of this name, among those that there are.
    fn only(&self, mut found: Vec<LockOn>, none: &str) -> Result<LockOn, Failure> {
        match (found.pop(), found.pop()) {
            (Some(only), None) => Ok(only),
            (Some(_), Some(_)) => Err(Failure::new(
                Exit::USAGE,
                format!("{} is both a person and a resource", self.name),
            )
            .hint("say which: --person or --resource")),
            _ => Err(Failure::error(format!("{} {none}", self.name))),
        }
    }

    async fn to_lock(&self, client: &Client) -> Result<LockOn, Failure> {
        if let Some(said) = self.said() {
            return Ok(said);
        }
        let people = pages(MOST, async |cursor| {
            client
                .people(&PersonQuery {
                    cursor,
                    ..PersonQuery::default()
                })
                .await
        })
        .await?;
        let query = ResourceQuery {
            resource: Some(self.name.clone()),
            ..ResourceQuery::default()
        };
        let resource = !client.resources(&query).await?.items.is_empty();
        let person = people.iter().any(|person| person.login == self.name);
        let found = [
            person.then(|| LockOn::Person(self.name.clone())),
            resource.then(|| LockOn::Resource(self.name.clone())),
        ];
        self.only(
            found.into_iter().flatten().collect(),
            "is neither a person nor a resource",
        )
    }

    async fn to_unlock(&self, client: &Client) -> Result<LockOn, Failure> {
        if let Some(said) = self.said() {
            return Ok(said);
        }
        let locks = client.locks().await?.items.into_iter().map(|lock| lock.on);
        let found = locks.filter(|on| on.name() == self.name).collect();
        self.only(found, "is not locked")
    }
}

impl LockArgs {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.client()?;
        let on = self.what.to_lock(&client).await?;
        let reason = self.what.reason;
        let locked = client.lock(&ChangeLock { on, reason }).await?;
        context.out.one(
            &locked,
            || locked.lock.on.name().to_owned(),
            || {
                let on = &locked.lock.on;
                let what = format!("the {} {} is locked", on.kind(), on.name());
                let ending = match locked.ending {
                    0 => String::from("; nothing was held"),
                    ending => format!("; {} being taken away", count(ending, "grant")),
                };
                vec![Line::new().with(Style::Good, "✓ ").text(what).text(ending)]
            },
        );
        Ok(Exit::DONE)
    }
}

impl UnlockArgs {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.client()?;
        let on = self.what.to_unlock(&client).await?;
        let reason = self.what.reason;
        let unlocked = client.unlock(&ChangeLock { on, reason }).await?;
        context.out.one(
            &unlocked,
            || unlocked.on.name().to_owned(),
            || {
                let what = format!("the {} {} is unlocked", unlocked.on.kind(), unlocked.on.name());
                vec![
                    Line::new()
                        .with(Style::Good, "✓ ")
                        .text(what)
                        .text("; what ended meanwhile stays ended"),
                ]
            },
        );
        Ok(Exit::DONE)
    }
}

impl LocksArgs {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let locks = context.client()?.locks().await?.items;
        context.out.list(
            &locks,
            |lock| lock.on.name().to_owned(),
            &grid(&locks),
            "nothing is locked",
        );
        Ok(Exit::DONE)
    }
}

fn grid(locks: &[Lock]) -> Grid {
    let mut grid = Grid::new(["LOCKED", "WHAT", "SINCE", "BY", "WHY"]);
    for lock in locks {
        grid.row([
            Field(Style::Strong, lock.on.name().to_owned()),
            Field::from(lock.on.kind()),
            Field::from(ago(lock.since, edge::now())),
            Field::from(lock.by.as_str()),
            Field::from(lock.reason.as_deref().unwrap_or("(erased)")),
        ]);
    }
    grid
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(person: bool, resource: bool) -> What {
        What {
            name: "orders".into(),
            reason: "x".into(),
            person,
            resource,
        }
    }

    #[test]
    fn a_name_that_means_two_things_is_asked_about() {
        let both = vec![LockOn::Person("orders".into()), LockOn::Resource("orders".into())];
        let refused = what(false, false).only(both.clone(), "is nothing").unwrap_err();
        assert_eq!(refused.exit, Exit::USAGE);
        for on in both {
            assert_eq!(
                what(false, false).only(vec![on.clone()], "is nothing").ok(),
                Some(on)
            );
        }
        assert!(what(false, false).only(Vec::new(), "is nothing").is_err());
    }

    #[test]
    fn what_is_said_is_not_guessed() {
        assert_eq!(what(true, false).said(), Some(LockOn::Person("orders".into())));
        assert_eq!(what(false, true).said(), Some(LockOn::Resource("orders".into())));
        assert_eq!(what(false, false).said(), None);
    }
}
