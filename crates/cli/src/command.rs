//! The list of client commands.

use clap::Subcommand;

use crate::commands::access::AccessCommand;
use crate::commands::audit::AuditCommand;
use crate::commands::break_glass::{BreakGlassArgs, ReviewArgs};
use crate::commands::change::ChangeCommand;
use crate::commands::completion::CompletionArgs;
use crate::commands::confirm::ConfirmArgs;
use crate::commands::connect::{ConnectArgs, ExecArgs};
use crate::commands::delegate::DelegateArgs;
use crate::commands::doctor::DoctorArgs;
use crate::commands::grants::{ExtendArgs, ReleaseArgs, RevokeArgs};
use crate::commands::groups::GroupCommand;
use crate::commands::keys::KeysCommand;
use crate::commands::locks::{LockArgs, LocksArgs, UnlockArgs};
use crate::commands::login::{LoginArgs, LogoutArgs, WhoamiArgs};
use crate::commands::ls::LsArgs;
use crate::commands::people::UserCommand;
use crate::commands::policy::PolicyCommand;
use crate::commands::report::ReportArgs;
use crate::commands::request::{CancelArgs, RequestArgs};
use crate::commands::review::{ApproveArgs, DenyArgs, InboxArgs};
use crate::commands::services::ServiceCommand;
use crate::commands::session::SessionCommand;
use crate::commands::ssh::{SshArgs, SshCertificateArgs, SshConfigArgs, SshThroughArgs};
use crate::commands::ssh_host::SshHostCommand;
use crate::commands::ssh_key::SshKeyCommand;
use crate::commands::status::StatusArgs;
use crate::commands::tickets::TicketCommand;
use crate::commands::tokens::TokenCommand;
use crate::commands::why::WhyArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// The client commands of Daypass, in the order in which help shows them.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Log in to a server and remember the session
    Login(LoginArgs),
    /// End the session and forget it
    Logout(LogoutArgs),
    /// Prove anew who you are, where the policy wants that
    Confirm(ConfirmArgs),
    /// Show who you are to the server
    Whoami(WhoamiArgs),
    /// List what you may ask for, and what it takes
    Ls(LsArgs),
    /// Ask for access
    Request(RequestArgs),
    /// Take access in an emergency; somebody else looks at it afterwards
    BreakGlass(BreakGlassArgs),
    /// Show what you hold and wait for, with countdowns
    Status(StatusArgs),
    /// List requests that wait for your review
    Inbox(InboxArgs),
    /// Agree to a request
    Approve(ApproveArgs),
    /// Say no to a request
    Deny(DenyArgs),
    /// Record that you looked at what was done in an emergency
    Review(ReviewArgs),
    /// Let somebody else review in your place while you are away
    Delegate(DelegateArgs),
    /// Ask for more time on a grant
    Extend(ExtendArgs),
    /// Give a grant back
    Release(ReleaseArgs),
    /// End a grant early
    Revoke(RevokeArgs),
    /// Take a request of yours back
    Cancel(CancelArgs),
    /// Get in: ask first if needed, wait, run the target's own client
    #[command(visible_alias = "psql")]
    Connect(ConnectArgs),
    /// Run a command with a grant's credentials, and give the grant back when it ends
    Exec(ExecArgs),
    /// Log in to a host: ask first if needed, wait, run ssh with a certificate
    Ssh(SshArgs),
    /// Print what lets plain ssh, scp, rsync and Ansible use your grants
    SshConfig(SshConfigArgs),
    /// Have a fresh certificate at hand for a host; plain ssh calls this
    #[command(hide = true)]
    SshCertificate(SshCertificateArgs),
    /// Go through the gateway; plain ssh calls this
    #[command(hide = true)]
    SshThrough(SshThroughArgs),
    /// Have keys of your own open the gateway
    #[command(subcommand)]
    SshKey(SshKeyCommand),
    /// On a host: fetch whom it lets in and which certificates it refuses
    #[command(subcommand)]
    SshHost(SshHostCommand),
    /// See and end connections that go through a gateway
    #[command(subcommand)]
    Session(SessionCommand),
    /// Check, test, explain and apply policies
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Say why somebody has access, or had it: by which request, by whose agreement
    Why(WhyArgs),
    /// See who has what
    #[command(subcommand)]
    Access(AccessCommand),
    /// Say what was asked for in a period, and what became of it
    Report(ReportArgs),
    /// Look at changes of the policy that others must agree to
    #[command(subcommand)]
    Change(ChangeCommand),
    /// Read the audit trail, and verify it
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Lock a person or a resource: what is held ends at once
    Lock(LockArgs),
    /// Unlock a person or a resource
    Unlock(UnlockArgs),
    /// List what is locked, by whom and why
    Locks(LocksArgs),
    /// Manage the people of the local directory
    #[command(subcommand)]
    User(UserCommand),
    /// Manage groups
    #[command(subcommand)]
    Group(GroupCommand),
    /// Manage service accounts: programs, each with a person who answers for it
    #[command(subcommand)]
    Service(ServiceCommand),
    /// Manage API tokens and sessions
    #[command(subcommand)]
    Token(TokenCommand),
    /// Tell what became of tickets
    #[command(subcommand)]
    Ticket(TicketCommand),
    /// Look after the connectors' own secrets
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Look for what does not work, here and at the server
    Doctor(DoctorArgs),
    /// Print a completion script for your shell
    Completion(CompletionArgs),
}

impl Command {
    /// `whole` is the program's full definition, which completions are made from.
    pub(crate) async fn run(
        self,
        context: &Context,
        whole: impl FnOnce() -> clap::Command,
    ) -> Result<Exit, Failure> {
        match self {
            Self::Login(args) => args.run(context).await,
            Self::Logout(args) => args.run(context).await,
            Self::Confirm(args) => args.run(context).await,
            Self::Whoami(args) => args.run(context).await,
            Self::Ls(args) => args.run(context).await,
            Self::Request(args) => args.run(context).await,
            Self::BreakGlass(args) => args.run(context).await,
            Self::Status(args) => args.run(context).await,
            Self::Inbox(args) => args.run(context).await,
            Self::Approve(args) => args.run(context).await,
            Self::Deny(args) => args.run(context).await,
            Self::Review(args) => args.run(context).await,
            Self::Delegate(args) => args.run(context).await,
            Self::Extend(args) => args.run(context).await,
            Self::Release(args) => args.run(context).await,
            Self::Revoke(args) => args.run(context).await,
            Self::Cancel(args) => args.run(context).await,
            Self::Connect(args) => args.run(context).await,
            Self::Exec(args) => args.run(context).await,
            Self::Ssh(args) => args.run(context).await,
            Self::SshConfig(args) => args.run(context),
            Self::SshCertificate(args) => args.run(context).await,
            Self::SshThrough(args) => args.run(context).await,
            Self::SshKey(command) => command.run(context).await,
            Self::SshHost(command) => command.run(context).await,
            Self::Session(command) => command.run(context).await,
            Self::Policy(command) => command.run(context).await,
            Self::Why(args) => args.run(context).await,
            Self::Access(command) => command.run(context).await,
            Self::Report(args) => args.run(context).await,
            Self::Change(command) => command.run(context).await,
            Self::Audit(command) => command.run(context).await,
            Self::Lock(args) => args.run(context).await,
            Self::Unlock(args) => args.run(context).await,
            Self::Locks(args) => args.run(context).await,
            Self::User(command) => command.run(context).await,
            Self::Group(command) => command.run(context).await,
            Self::Service(command) => command.run(context).await,
            Self::Token(command) => command.run(context).await,
            Self::Ticket(command) => command.run(context).await,
            Self::Keys(command) => command.run(context).await,
            Self::Doctor(args) => args.run(context).await,
            Self::Completion(args) => args.run(whole()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::context::Global;
    use crate::output::Format;

    /// As the `daypass` binary embeds it.
    #[derive(Debug, Parser)]
    #[command(name = "daypass")]
    struct Program {
        #[command(flatten)]
        global: Global,
        #[command(subcommand)]
        command: Option<Command>,
    }

    fn parse(line: &str) -> Result<Program, clap::Error> {
        Program::try_parse_from(std::iter::once("daypass").chain(line.split_whitespace()))
    }

    #[test]
    fn the_definition_is_sound() {
        <Program as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example_of_itself() {
        fn check(command: &clap::Command, name: &str) {
            let mut below = command.get_subcommands().peekable();
            if below.peek().is_none() {
                let help = command
                    .get_after_help()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                assert!(help.contains("Examples:"), "{name} has no examples");
                let own = name.rsplit(' ').next().unwrap();
                assert!(
                    help.contains("daypass") && help.contains(own),
                    "{name}'s examples do not use it"
                );
            }
            below.for_each(|command| check(command, &format!("{name} {}", command.get_name())));
        }
        let whole = <Program as clap::CommandFactory>::command();
        whole
            .get_subcommands()
            .for_each(|command| check(command, &format!("daypass {}", command.get_name())));
    }

    #[test]
    fn what_people_type_is_taken() {
        for line in [
            "",
            "status",
            "-o json",
            "status --json",
            "status G7K2M9 -o wide",
            "login ana --server https://d.example.com --password-stdin",
            "confirm",
            "confirm --password-stdin",
            "ls --env production --instant orders-prod",
            "request a/b c/d --for 1h30m --ticket PAY-7 --wait",
            "request a/b --wait=15m --start +2h",
            "request a/b --dry-run",
            "request env:staging/debug a/b --wait",
            "break-glass env:staging/debug --reason x",
            "break-glass a/b --reason x --for 30m --wait=1m",
            "break-glass a/b --dry-run",
            "review R7K2M --comment ok --revoke --yes",
            "approve R7K2M --for 30m --only a/b --comment ok --yes",
            "deny R7K2M --reason no",
            "extend orders-prod --for 30m",
            "release",
            "psql orders-prod/read -- -c select",
            "connect orders-prod --no-input -q --wait 15m",
            "exec orders-prod/read --for 5m --reason x --release -- ./job --for 3",
            "ssh web-1/deploy -- uptime",
            "ssh web-1 --host web-1.internal --reason x",
            "ssh-config *.internal web-?.example.com --install",
            "ssh-certificate --for web-1.internal --user deploy",
            "ssh-host sync fleet web-1.internal --dir /etc/ssh/daypass --once",
            "ssh-host accept --reason x --key k.pub --yes --dir /etc/ssh/daypass",
            "policy check",
            "policy test policy/ --online",
            "policy plan policy/ --people",
            "policy explain ana a/b c/d --for 1h --at +2h --start 2026-03-07T22:10:00+01:00 --from 10.0.0.1 --ticket X --break-glass",
            "policy explain ana a/b --file policy/",
            "policy schema",
            "policy fmt --check policy/",
            "why ana orders-prod",
            "why ana orders-prod/write --at 2026-03-07T22:10:00+01:00",
            "access ls",
            "access ls --person ana --group a --resource b --env c --label team=payments --limit 5",
        ] {
            if let Err(error) = parse(line) {
                panic!("{line}: {error}");
            }
        }
    }

    #[test]
    fn what_auditors_and_administrators_type_is_taken() {
        for line in [
            "access drift",
            "report",
            "report --since 7d --until 24h --env production --csv busiest",
            "audit ls R7K2M --since 24h --limit 5",
            "change ls --state pending",
            "change show C7K2M9",
            "approve C7K2M9 --comment ok",
            "user add ana --group a --group b --manager bo --role auditor",
            "user groups ana --remove a",
            "user manager ana --none",
            "user mail ana ana@example.com",
            "user mail ana --none",
            "user handle ana entra 7f1c-ana",
            "user handle ana entra --none",
            "user role ana administrator",
            "group add security cy di",
            "token create x --scope read --scope request --for 30d --as ci",
            "keys rotate pg-main",
            "lock ana --reason stolen",
            "lock orders --resource --reason x",
            "unlock ana --person --reason back",
            "locks",
            "doctor",
            "ticket closed PAY-7",
            "token create jira --scope tickets",
            "completion bash",
        ] {
            if let Err(error) = parse(line) {
                panic!("{line}: {error}");
            }
        }
    }

    #[test]
    fn what_people_type_about_programs_and_sessions_is_taken() {
        for line in [
            "session ls",
            "session ls --live --mine --grant G7K2M9 --limit 5",
            "session kill S7K2M9 --reason x",
            "session replay S7K2M9 --asciicast out.cast --channel 2",
            "session replay S7K2M9 --search sudo",
            "ssh-key add k.pub --name laptop --for 30d",
            "ssh-key ls",
            "ssh-key rm T7K2M9",
            "ssh-through --for web-1.internal --user deploy",
            "exec web/deploy --host a --host b --parallel 4 -- uptime",
            "service add ci --owner bo --display CI",
            "service ls --all",
            "service show ci",
            "service owner ci cy",
            "service token ci nightly",
            "service token ci nightly --scope read --for 90d",
            "service deactivate ci",
            "service reactivate ci",
        ] {
            if let Err(error) = parse(line) {
                panic!("{line}: {error}");
            }
        }
    }

    #[test]
    fn a_delegation_is_made_listed_and_ended() {
        for line in [
            "delegate",
            "delegate --all",
            "delegate --end",
            "delegate --end ana",
            "delegate bo --until +14d --reason holiday",
            "delegate bo --from 2026-08-01T00:00:00Z --until 2026-08-15T00:00:00Z",
        ] {
            if let Err(error) = parse(line) {
                panic!("{line}: {error}");
            }
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for line in [
            "request",
            "request orders-prod",
            "exec orders-prod",
            "exec orders-prod ./job",
            "request env:staging",
            "request env:/debug",
            "request a/b --for 1",
            "request a/b --dry-run --wait",
            "deny R7K2M",
            "delegate --until +14d",
            "delegate bo --until tomorrow",
            "delegate bo --from +1h",
            "delegate bo --end --until +1d",
            "delegate bo --all",
            "delegate --end --all",
            "policy explain ana",
            "report --csv nothing",
            "report --since yesterday",
            "why ana",
            "why ana a/b --at yesterday",
            "break-glass a/b",
            "break-glass a/b --reason x --start +2h",
            "review R7K2M",
            "lock ana",
            "unlock ana",
            "lock ana --person --resource --reason x",
            "extend G7K2M",
            "user add -x",
            "user add ci --service",
            "service add ci",
            "service owner ci",
            "service token ci",
            "user groups ana",
            "user manager ana",
            "user mail ana",
            "user handle ana entra",
            "user handle ana --none",
            "token create x",
            "status --json -o yaml",
            "request a/b --reason",
            "ssh",
            "ssh-config",
            "ssh-certificate --for web-1",
            "ssh-host sync fleet",
            "ssh-host accept",
            "ssh-key add",
            "ssh-key rm",
            "session kill S7K2M9",
            "session kill --reason x",
            "nonsense",
        ] {
            let error = parse(line).err().unwrap_or_else(|| panic!("{line} was taken"));
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn global_options_may_stand_anywhere() {
        for line in ["--json -q ls", "ls --json -q"] {
            let program = parse(line).unwrap();
            assert!(program.global.json && program.global.quiet);
            assert_eq!(program.global.output, Format::Table);
        }
    }
}
