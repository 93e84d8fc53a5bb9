//! `connect`: from nothing to a session with the target's own client, asking for access on the way where there is none.

mod exec;
mod hosts;
pub(super) mod psql;

pub(crate) use self::exec::ExecArgs;

use clap::Args;
use daypass_api::Client;
use daypass_api::Item;
use daypass_api::catalogue::{How, ResourceQuery};
use daypass_api::grant::{AskCredential, Entitlement, Grant, GrantState};
use daypass_api::request::{NewRequest, RequestQuery, RequestState};
use daypass_core::name::{self, Name};
use daypass_core::time::Span;

use crate::commands::request::{Why, submit};
use crate::commands::ssh;
use crate::context::{Context, pages};
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::find;
use crate::human::left;
use crate::line::{Line, Style};
use crate::wait::Waited;

/// Get in: ask first if needed, wait, run the target's own client.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass connect orders-prod/write --reason \"PAY-7\"
  daypass psql orders-prod                     the role that you hold, or the only one you may ask for
  daypass psql orders-prod/read -- -c 'select count(*) from orders'
  daypass psql orders-prod/read --no-input --wait=15m -- --csv -f report.sql > report.csv

Ends with the client's own exit code, and with 125 where it could not be started. The password is in no argument and
is not left behind; fresh credentials replace the grant's older ones.")]
pub struct ConnectArgs {
    #[command(flatten)]
    reach: Reach,

    /// Arguments for the target's client
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<std::ffi::OsString>,
}

/// What a wrapper is to reach, and how it asks for that where it must be asked.
#[derive(Debug, Args)]
pub(crate) struct Reach {
    /// What to reach
    #[arg(value_name = "RESOURCE[/ROLE]")]
    pub(crate) target: Target,

    /// For how long to ask, where it must be asked
    #[arg(long = "for", value_name = "TIME")]
    length: Option<Span>,

    #[command(flatten)]
    why: Why,

    /// Wait at most so long for access [default: until it is decided]
    #[arg(long, value_name = "TIME")]
    wait: Option<Span>,
}

/// A resource, perhaps with a role on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    resource: Name,
    role: Option<Name>,
}

/// What leads to the target.
enum Found {
    /// A grant that is there.
    There(Box<Grant>),
    /// One that is on its way.
    Coming(Box<Grant>),
    /// A request.
    Asked {
        request: Box<daypass_api::request::Request>,
        /// It was made just now.
        fresh: bool,
    },
}

impl std::str::FromStr for Target {
    type Err = name::BadItem;

    fn from_str(text: &str) -> Result<Self, name::BadItem> {
        if text.contains('/') {
            let item: name::Item = text.parse()?;
            return Ok(Self {
                resource: item.resource,
                role: Some(item.role),
            });
        }
        Ok(Self {
            resource: text.parse()?,
            role: None,
        })
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.role {
            Some(role) => write!(f, "{}/{role}", self.resource),
            None => write!(f, "{}", self.resource),
        }
    }
}

impl Target {
    fn fits(&self, resource: &Name, role: &Name) -> bool {
        self.resource == *resource && self.role.as_ref().is_none_or(|wanted| wanted == role)
    }

    /// The part of a grant that is meant.
    pub(crate) fn part<'a>(&self, grant: &'a Grant) -> Option<&'a Entitlement> {
        grant
            .entitlements
            .iter()
            .find(|part| self.fits(&part.resource, &part.role))
    }
}

impl ConnectArgs {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        // A wrapper's own failures have one code of their own: the others are its child's.
        self.connect(context)
            .await
            .map_err(|failure| failure.ending(Exit::WRAPPER_FAILED))
    }

    async fn connect(self, context: &Context) -> Result<Exit, Failure> {
        // What would fail in the end fails before anybody is asked.
        let client = context.client()?;
        let other = |kind: &str| self.no_client(kind);
        self.reach.before_asking(&client, psql::KIND, other).await?;
        let program = psql::find(&context.env.path)?;
        let grant = self.reach.access(context, &client).await?;
        let part = self.reach.part(&grant)?;
        if part.kind.as_str() != psql::KIND {
            return Err(self.no_client(part.kind.as_str()));
        }
        let item = Item {
            resource: part.resource.clone(),
            role: part.role.clone(),
        };
        let credential = client
            .credentials(
                grant.id,
                &AskCredential {
                    item: Some(item.clone()),
                },
            )
            .await?;
        let until = grant
            .expires_at
            .map_or_else(String::new, |at| format!(", {}", left(at, edge::now())));
        context
            .out
            .note(Line::new().with(Style::Good, "✓ ").text(format!("{item}{until}")));
        let exit = psql::run(&program, &self.args, &credential, &context.env.runtime).await?;
        if context.may_ask() {
            let id = grant.id.short();
            context.out.note(Line::new().with(
                Style::Faint,
                format!("  you still hold it: daypass release {id} gives it back"),
            ));
        }
        Ok(exit)
    }
}

impl ConnectArgs {
    fn no_client(&self, kind: &str) -> Failure {
        let target = &self.reach.target;
        if kind == ssh::KIND {
            return Failure::error(format!("{target} is reached with ssh"))
                .hint(format!("daypass ssh {target}"));
        }
        Failure::error(format!("daypass has no client for {target} ({kind})")).hint(format!(
            "daypass request {target}; daypass status shows where it is"
        ))
    }
}

impl Reach {
    /// Refuses what is of another kind than this one before anybody is asked for it. One that is not listed may still be held.
    pub(crate) async fn before_asking(
        &self,
        client: &Client,
        only: &str,
        other: impl Fn(&str) -> Failure,
    ) -> Result<(), Failure> {
        let listed = self.kind(client).await?;
        let odd = listed.filter(|kind| kind.as_str() != only);
        odd.map_or(Ok(()), |kind| Err(other(kind.as_str())))
    }

    /// Of which kind the target is, where the server lists it for the caller: a resource is of one.
    async fn kind(&self, client: &Client) -> Result<Option<Name>, Failure> {
        let query = ResourceQuery {
            resource: Some(self.target.resource.to_string()),
            ..ResourceQuery::default()
        };
        let offers = client.resources(&query).await?.items;
        Ok(offers.into_iter().next().map(|offer| offer.kind))
    }

    /// Of which kind it is, where it is not listed and may be held.
    async fn kind_held(&self, client: &Client) -> Result<Option<Name>, Failure> {
        let held = find::live(client).await?;
        let part = held.iter().find_map(|grant| self.target.part(grant));
        Ok(part.map(|part| part.kind.clone()))
    }

    /// What of a grant is meant.
    pub(crate) fn part<'a>(&self, grant: &'a Grant) -> Result<&'a Entitlement, Failure> {
        let gone = || {
            let id = grant.id.short();
            Failure::error(format!("grant {id} does not give {} any more", self.target))
        };
        self.target.part(grant).ok_or_else(gone)
    }

    /// An active grant that gives the target: one that is there, one that is on its way, or a new one.
    pub(crate) async fn access(&self, context: &Context, client: &Client) -> Result<Grant, Failure> {
        let found = self.find_or_ask(context, client).await?;
        self.until_there(context, client, found).await
    }

    /// What leads to the target: a grant that is there or on its way, a request that waits, or a new one.
    async fn find_or_ask(&self, context: &Context, client: &Client) -> Result<Found, Failure> {
        let mut fitting = find::live(client).await?;
        fitting.retain(|grant| !grant.state.is_over() && self.target.part(grant).is_some());
        // The one that lasts longest.
        fitting.sort_by_key(|grant| (grant.state == GrantState::Active, grant.expires_at));
        if let Some(grant) = fitting.pop() {
            let grant = Box::new(grant);
            return Ok(if grant.state == GrantState::Active {
                Found::There(grant)
            } else {
                Found::Coming(grant)
            });
        }
        if let Some(request) = self.pending(client).await? {
            return Ok(Found::Asked {
                request: Box::new(request),
                fresh: false,
            });
        }
        let item = self.item(client).await?;
        let ask = NewRequest {
            items: [item].into(),
            environments: [].into(),
            duration: self.length,
            start: None,
            reason: self.why.reason.clone(),
            ticket: self.why.ticket.clone(),
        };
        Ok(Found::Asked {
            request: Box::new(submit(context, client, ask).await?),
            fresh: true,
        })
    }

    fn there(&self, waited: Waited) -> Result<Grant, Failure> {
        match waited {
            Waited::There(grant) => Ok(*grant),
            Waited::Still(request) => {
                let id = request.id.short();
                Err(
                    Failure::error(format!("{} is still {}", self.target, request.state.as_str())).hint(
                        format!("the same command later goes on waiting; daypass cancel {id} takes it back"),
                    ),
                )
            }
        }
    }

    /// A request of the caller's that already asks for it: asking twice would annoy the reviewers.
    async fn pending(&self, client: &Client) -> Result<Option<daypass_api::request::Request>, Failure> {
        let state = Some(RequestState::Pending);
        let requests = pages(500, async |cursor| {
            client
                .requests(&RequestQuery {
                    state,
                    mine: Some(true),
                    cursor,
                    ..RequestQuery::default()
                })
                .await
        })
        .await?;
        Ok(requests.into_iter().find(|request| {
            request.extends.is_none()
                && request
                    .items
                    .iter()
                    .any(|item| self.target.fits(&item.resource, &item.role))
        }))
    }

    /// What to ask for: the role that was named, or the only one that there is to ask for.
    async fn item(&self, client: &Client) -> Result<Item, Failure> {
        let resource = self.target.resource.clone();
        if let Some(role) = self.target.role.clone() {
            return Ok(Item { resource, role });
        }
        let query = ResourceQuery {
            resource: Some(resource.to_string()),
            ..ResourceQuery::default()
        };
        let offers = client.resources(&query).await?.items;
        let mut open: Vec<_> = offers
            .iter()
            .filter(|offer| !matches!(offer.how, How::Closed { .. }))
            .collect();
        // What only a later start gives is not what somebody wants who connects now.
        if open.iter().any(|offer| !later(&offer.how)) {
            open.retain(|offer| !later(&offer.how));
        }
        match (open.pop(), open.as_slice(), offers.as_slice()) {
            (Some(only), [], _) => Ok(only.item.clone()),
            (Some(last), rest, _) => {
                let mut names: Vec<_> = rest.iter().map(|offer| offer.item.to_string()).collect();
                names.push(last.item.to_string());
                Err(
                    Failure::usage(format!("{resource} has several roles that you may ask for"))
                        .hint(format!("say which: {}", names.join(", "))),
                )
            }
            (None, _, []) => Err(Failure::usage(format!(
                "there is no resource {resource}, or none that you may know of"
            ))
            .hint("daypass ls")),
            (None, ..) => Err(Failure::new(
                Exit::NOT_ELIGIBLE,
                format!("no role of {resource} is open to you"),
            )
            .hint(format!("daypass ls {resource} says why, and who to ask"))),
        }
    }
}

/// Whether it depends on a start, and so is not to be had now.
fn later(how: &How) -> bool {
    match how {
        How::Instant { depends, .. } | How::Reviewed { depends, .. } => depends
            .as_ref()
            .is_some_and(|depends| depends.on.iter().any(|on| on == "start")),
        How::Closed { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_resource_with_or_without_a_role() {
        let target = |text: &str| text.parse::<Target>().map(|target| target.to_string());
        assert_eq!(target("orders-prod").unwrap(), "orders-prod");
        assert_eq!(target("orders-prod/read").unwrap(), "orders-prod/read");
        for bad in ["", "/read", "orders/", "a/b/c", "a b"] {
            assert!(target(bad).is_err(), "{bad}");
        }
    }
}
