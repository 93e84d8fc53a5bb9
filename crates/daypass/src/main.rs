//! The one binary, `daypass`: server, demo, administration and every client command.

mod demo;
mod failure;
mod gateway;
mod init;
mod server;
mod signal;
mod terminal;
mod verify;
mod witness;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use daypass_cli::{AuditCommand, Command, Global};

use crate::failure::Failure;

/// Ask for production access, get it approved, lose it automatically, prove it.
#[derive(Debug, Parser)]
#[command(
    name = "daypass",
    version,
    after_help = "Without a command: `daypass status`, what you have and for how long.\n\
                  `daypass demo` shows the main job on this machine in half a minute."
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Option<Commands>,
}

#[derive(Debug, Subcommand)]
enum Commands {
    Demo(demo::Demo),
    Gateway(gateway::GatewayArgs),
    Init(init::Init),
    Server(server::Server),
    Witness(witness::WitnessArgs),
    #[command(flatten)]
    Client(daypass_cli::Command),
}

fn main() -> ExitCode {
    // Two providers are linked; without a choice the first TLS connection would panic. An error means that one is chosen.
    let _chosen = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let Cli { global, command } = Cli::parse();
    match command {
        None => client(global, None),
        // The one client command that looks into a store, which no client has.
        Some(Commands::Client(Command::Audit(AuditCommand::Verify(args)))) if args.is_local() => {
            here(|| verify::run(args, global))
        }
        Some(Commands::Client(command)) => client(global, Some(command)),
        Some(Commands::Init(init)) => here(|| init.run(global.no_input)),
        Some(Commands::Server(server)) => here(|| server.run()),
        Some(Commands::Gateway(gateway)) => here(|| gateway.run()),
        Some(Commands::Witness(witness)) => here(|| witness.run()),
        Some(Commands::Demo(demo)) => here(|| demo.run()),
    }
}

/// A command that asks a server: one thread is enough, and starts fastest.
fn client(global: Global, command: Option<daypass_cli::Command>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => ExitCode::from(
            runtime
                .block_on(daypass_cli::run(global, command, Cli::command))
                .code(),
        ),
        Err(error) => ended(Err(Failure::error(format!("no runtime: {error}")))),
    }
}

/// A command that does its work in this process.
fn here<F: Future<Output = Result<(), Failure>>>(work: impl FnOnce() -> F) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime {
        Ok(runtime) => ended(runtime.block_on(work())),
        Err(error) => ended(Err(Failure::error(format!("no runtime: {error}")))),
    }
}

fn ended(outcome: Result<(), Failure>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            terminal::say(&failure);
            ExitCode::from(failure.exit)
        }
    }
}
