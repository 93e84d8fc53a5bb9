//! The client commands: bare verbs for daily use, nouns with verbs for administration.
//!
//! The `daypass` binary flattens [`Command`] into its own commands and [`Global`] into its own options, and hands both to
//! [`run`]. A command is one file in `commands/`: what it takes, its help, and what it does. Data goes to stdout, all else
//! to stderr; how a command ends is an [`Exit`].

mod ask;
mod clean;
mod command;
mod commands;
mod context;
mod durable;
mod edge;
mod environment;
mod exit;
mod failure;
mod find;
mod human;
mod line;
mod output;
mod pins;
mod profile;
mod wait;

pub use crate::command::Command;
pub use crate::commands::audit::AuditCommand;
pub use crate::commands::audit::trust::Trust;
pub use crate::commands::audit::verify::VerifyArgs;
pub use crate::commands::ssh_host::sync_host;
pub use crate::context::Global;
pub use crate::exit::Exit;
pub use crate::output::Format;

use crate::commands::status::StatusArgs;
use crate::context::Context;
use crate::environment::Environment;

/// Runs a command to its end; without one, `status`. Its output is written, its failure told.
///
/// `whole` is the program's full command line definition: completions are made from it.
pub async fn run(global: Global, command: Option<Command>, whole: impl FnOnce() -> clap::Command) -> Exit {
    let context = Context::new(global, Environment::read());
    let command = command.unwrap_or_else(|| Command::Status(StatusArgs::default()));
    let outcome = Box::pin(command.run(&context, whole)).await;
    outcome.unwrap_or_else(|failure| {
        context.out.failure(&failure);
        failure.exit
    })
}
