//! `user …`: the people of the local directory, and what every account of it has.

use std::collections::BTreeSet;

use clap::{Args, Subcommand, ValueEnum};
use daypass_api::lock::LockOn;
use daypass_api::person::{
    ChangeGroups, Kind, NewPerson, Person, PersonQuery, SetHandle, SetMail, SetManager, SetPassword, SetRole,
    SystemRole,
};
use daypass_api::{Client, Secret, client};
use daypass_core::name::Name;

use crate::ask;
use crate::commands::change;
use crate::context::{Context, pages};
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::ago;
use crate::line::{Field, Grid, Line, Style};

/// The most accounts that are listed.
pub(super) const MOST: usize = 100_000;

/// Manage the people of the local directory.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Make an account
    Add(AddArgs),
    /// List accounts
    Ls(LsArgs),
    /// Change somebody's groups
    Groups(GroupsArgs),
    /// Set somebody's manager
    Manager(ManagerArgs),
    /// Set what somebody may do in Daypass
    Role(RoleArgs),
    /// Set where mail for somebody goes
    Mail(MailArgs),
    /// Say what targets call somebody
    Handle(HandleArgs),
    /// Set a password: yours, or somebody's
    Password(PasswordArgs),
    /// Switch an account off; what it holds ends
    Deactivate(LoginArg),
    /// Switch an account on again
    Reactivate(LoginArg),
}

impl UserCommand {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        match self {
            Self::Add(args) => args.run(context).await,
            Self::Ls(args) => args.run(context).await,
            Self::Groups(args) => {
                let change = ChangeGroups {
                    add: args.add.into_iter().collect(),
                    remove: args.remove.into_iter().collect(),
                };
                answered(
                    context,
                    context.client()?.change_groups(&args.login, &change).await,
                )
            }
            Self::Manager(args) => {
                let manager = SetManager {
                    manager: args.manager,
                };
                answered(
                    context,
                    context.client()?.set_manager(&args.login, &manager).await,
                )
            }
            Self::Role(args) => {
                let role = SetRole {
                    role: args.role.into(),
                };
                answered(context, context.client()?.set_role(&args.login, &role).await)
            }
            Self::Mail(args) => {
                let mail = SetMail { mail: args.address };
                answered(context, context.client()?.set_mail(&args.login, &mail).await)
            }
            Self::Handle(args) => {
                let handle = SetHandle {
                    namespace: args.namespace,
                    id: args.id,
                };
                answered(context, context.client()?.set_handle(&args.login, &handle).await)
            }
            Self::Password(args) => args.run(context).await,
            Self::Deactivate(args) => {
                let person = context.client()?.deactivate(&args.login).await?;
                if !person.owns.is_empty() {
                    let what = format!(
                        "nobody answers for {} now, and what they hold ends: daypass service owner LOGIN PERSON",
                        person.owns.join(", ")
                    );
                    context.out.warn(what);
                }
                Ok(shown(context, &person))
            }
            Self::Reactivate(args) => answered(context, context.client()?.reactivate(&args.login).await),
        }
    }
}

/// A role in Daypass, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Role {
    /// Asks, reviews, uses
    Member,
    /// Reads everything, changes nothing
    Auditor,
    /// Manages people and policy, ends access early
    Administrator,
}

impl From<Role> for SystemRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Member => Self::Member,
            Role::Auditor => Self::Auditor,
            Role::Administrator => Self::Administrator,
        }
    }
}

/// Make an account.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass user add ana --display \"Ana Ruiz\" --group engineering --manager bo --mail ana@example.com
  openssl rand -base64 18 | tee /dev/stderr | daypass user add cy --group security --password-stdin

A program gets a service account: daypass service add LOGIN --owner PERSON
Where the policy covers people or groups, it is proposed: the answer is a change (C…) that others must agree to.")]
pub struct AddArgs {
    /// What they log in with
    login: Name,

    /// The name shown beside it
    #[arg(long, value_name = "NAME")]
    display: Option<String>,

    /// A group they belong to; may be given several times
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<Name>,

    /// The login of their manager
    #[arg(long, value_name = "LOGIN")]
    manager: Option<Name>,

    /// Where mail for them goes
    #[arg(long, value_name = "ADDRESS")]
    mail: Option<String>,

    /// What they may do in Daypass
    #[arg(long, value_enum, default_value = "member")]
    role: Role,

    /// Read the first password from the first line of stdin
    #[arg(long)]
    password_stdin: bool,
}

impl AddArgs {
    async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.client()?;
        let asks = self.password_stdin || context.may_ask();
        let prompt = format!("First password of {}", self.login);
        let password = if asks {
            Some(ask::password(context, self.password_stdin, &prompt, true)?)
        } else {
            None
        };
        let has_password = password.is_some();
        let login = self.login.clone();
        let made = client
            .add_person(&NewPerson {
                login: self.login,
                display: self.display,
                kind: Kind::Person,
                role: self.role.into(),
                groups: self.groups.into_iter().collect(),
                manager: self.manager,
                owner: None,
                mail: self.mail,
                password: password.map(Secret::new),
            })
            .await;
        if made.is_ok() && !has_password {
            let hint = format!("  it has no password yet: daypass user password {login}");
            context.out.note(Line::new().with(Style::Faint, hint));
        }
        answered(context, made)
    }
}

/// List accounts.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass user ls
  daypass user ls --group security
  daypass user ls --all -o wide")]
pub struct LsArgs {
    /// Only members of this group
    #[arg(long)]
    group: Option<Name>,

    /// Also accounts that were switched off
    #[arg(long)]
    all: bool,
}

impl LsArgs {
    async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.client()?;
        let group = self.group.as_ref().map(ToString::to_string);
        let people = pages(MOST, async |cursor| {
            let (group, inactive) = (group.clone(), self.all.then_some(true));
            client
                .people(&PersonQuery {
                    group,
                    inactive,
                    cursor,
                    ..PersonQuery::default()
                })
                .await
        })
        .await?;
        let locked = locked(&client).await?;
        let grid = grid(&people, &locked, context.out.is_wide());
        context.out.list(
            &people,
            |person| person.login.clone(),
            &grid,
            "nobody is like that",
        );
        Ok(Exit::DONE)
    }
}

/// Change somebody's groups.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass user groups ana --add eng-leads
  daypass user groups ana --add security --remove engineering

Who reviews must have settled since the last such change. Where the policy covers groups, it is proposed.")]
pub struct GroupsArgs {
    /// Whose
    login: Name,

    /// To join; may be given several times
    #[arg(long, value_name = "GROUP", required_unless_present = "remove")]
    add: Vec<Name>,

    /// To leave; may be given several times
    #[arg(long, value_name = "GROUP")]
    remove: Vec<Name>,
}

/// Set somebody's manager.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass user manager ana bo
  daypass user manager ana --none")]
pub struct ManagerArgs {
    /// Whose
    login: Name,

    /// The manager's login
    #[arg(required_unless_present = "none")]
    manager: Option<Name>,

    /// Nobody
    #[arg(long, conflicts_with = "manager")]
    none: bool,
}

/// Set where mail for somebody goes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass user mail ana ana@example.com
  daypass user mail ana --none

Who has no address gets no mail; docs/notices.md says what is sent.")]
pub struct MailArgs {
    /// Whose
    login: Name,

    /// The address
    #[arg(required_unless_present = "none")]
    address: Option<String>,

    /// Nowhere
    #[arg(long, conflicts_with = "address")]
    none: bool,
}

/// Say what targets call somebody.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass user handle ana entra 7f1c9c5e-0a0d-4a7e-9a0e-3c1d2b4f5a6b
  daypass user handle ana entra --none

Targets of that namespace give what ana gets to whom they call so. The connector's configuration names the namespace. What was given
to another handle of theirs ends. Where the policy covers people, it is proposed; to take a handle away never is.")]
pub struct HandleArgs {
    /// Whose: a person's or a service account's
    login: Name,

    /// The namespace, such as entra
    namespace: Name,

    /// What its targets call them
    #[arg(required_unless_present = "none")]
    id: Option<String>,

    /// Nothing
    #[arg(long, conflicts_with = "id")]
    none: bool,
}

/// Set what somebody may do in Daypass.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass user role di auditor
  daypass user role bo member

A role in Daypass gives no access to any resource: that is the policy's. Who reviews must have settled since it changed. Where the
policy covers people, it is proposed.")]
pub struct RoleArgs {
    /// Whose
    login: Name,

    /// The role from now on
    #[arg(value_enum)]
    role: Role,
}

/// Set a password: yours, or somebody's.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass user password
  daypass user password ana
  printf '%s\\n' \"$NEW\" | daypass user password ana --password-stdin              somebody else's
  printf '%s\\n' \"$NEW\" \"$PRESENT\" | daypass user password --password-stdin      yours: the new one, then the present one

All sessions and tokens of the account end. For your own, the present password is asked for as well. Where the policy covers credentials, somebody else's is proposed, and is as it was until others agree.")]
pub struct PasswordArgs {
    /// Whose; yours where nobody is named
    login: Option<Name>,

    /// Read the new password from the first line of stdin and, where it is your own, the present one from the second
    #[arg(long)]
    password_stdin: bool,
}

impl PasswordArgs {
    async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let client = context.client()?;
        let me = client.whoami().await?.person.login;
        let login = match self.login {
            Some(login) => login,
            None => me
                .parse()
                .map_err(|error| Failure::error(format!("the server's answer is odd: {error}")))?,
        };
        let own = login.as_str() == me;
        let (password, current) = if self.password_stdin {
            ask::two_passwords_from_stdin(own)?
        } else {
            let current = if own {
                Some(ask::password(context, false, "Your present password", false)?)
            } else {
                None
            };
            (
                ask::password(context, false, &format!("New password of {login}"), true)?,
                current,
            )
        };
        let body = SetPassword {
            current: current.map(Secret::new),
            password: Secret::new(password),
        };
        let set = client.set_password(&login, &body).await;
        if own && set.is_ok() {
            context.out.note("your sessions have ended: daypass login");
        }
        answered(context, set)
    }
}

/// Whose account.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass user deactivate ana
  daypass user reactivate ana")]
pub struct LoginArg {
    /// Whose
    login: Name,
}

/// The account as it is now, or the change that waits for others: it was proposed, which is no failure.
fn answered(context: &Context, outcome: Result<Person, client::Error>) -> Result<Exit, Failure> {
    answered_as(context, outcome, shown)
}

/// The same, with what shows the account.
pub(super) fn answered_as(
    context: &Context,
    outcome: Result<Person, client::Error>,
    shown: impl FnOnce(&Context, &Person) -> Exit,
) -> Result<Exit, Failure> {
    match outcome {
        Ok(person) => Ok(shown(context, &person)),
        Err(client::Error::Waits(proposed)) => {
            change::tell_proposed(context, &proposed);
            Ok(Exit::DONE)
        }
        Err(error) => Err(error.into()),
    }
}

fn shown(context: &Context, person: &Person) -> Exit {
    let grid = grid(
        std::slice::from_ref(person),
        &BTreeSet::new(),
        context.out.is_wide(),
    );
    if context.out.is_structured() {
        context.out.one(person, String::new, Vec::new);
    } else {
        context.out.list(
            std::slice::from_ref(person),
            |person| person.login.clone(),
            &grid,
            "",
        );
    }
    Exit::DONE
}

fn grid(people: &[Person], locked: &BTreeSet<String>, wide: bool) -> Grid {
    let mut head = vec!["LOGIN", "NAME", "ROLE", "MANAGER", "GROUPS", ""];
    if wide {
        head.extend(["MAIL", "HANDLES", "CHANGED", "ID"]);
    }
    let mut grid = Grid::new(head);
    for person in people {
        let groups: Vec<_> = person.groups.iter().map(Name::as_str).collect();
        let note = state(person, locked).unwrap_or_else(|| match &person.owner {
            Some(owner) => Field(Style::Faint, format!("service of {owner}")),
            None => Field::from(""),
        });
        let mut row = vec![
            Field(Style::Strong, person.login.clone()),
            Field::from(person.display.as_str()),
            Field::from(person.role.as_str()),
            Field::from(person.manager.as_deref().unwrap_or("–")),
            Field::from(groups.join(" ")),
            note,
        ];
        if wide {
            row.extend([
                Field::from(person.mail.as_deref().unwrap_or("–")),
                Field::from(handles(person)),
                Field::from(ago(person.changed_at, edge::now())),
                Field::from(person.id.to_string()),
            ]);
        }
        grid.row(row);
    }
    grid
}

/// The handles of an account, each with its namespace.
fn handles(person: &Person) -> String {
    let named = person.handles.iter();
    let named: Vec<_> = named.map(|(namespace, id)| format!("{namespace}={id}")).collect();
    if named.is_empty() {
        String::from("–")
    } else {
        named.join(" ")
    }
}

/// What keeps an account from everything, if something does.
pub(super) fn state(person: &Person, locked: &BTreeSet<String>) -> Option<Field> {
    let what = match (&person.orphaned, person.active) {
        (_, false) => "switched off",
        _ if locked.contains(&person.login) => "locked",
        (Some(_), true) => "orphaned service",
        (None, true) => return None,
    };
    Some(Field(Style::Bad, what.into()))
}

/// The logins of the accounts that are locked.
pub(super) async fn locked(client: &Client) -> Result<BTreeSet<String>, Failure> {
    let locks = client.locks().await?.items.into_iter();
    let person = |lock: daypass_api::lock::Lock| match lock.on {
        LockOn::Person(login) => Some(login),
        LockOn::Resource(_) => None,
    };
    Ok(locks.filter_map(person).collect())
}
