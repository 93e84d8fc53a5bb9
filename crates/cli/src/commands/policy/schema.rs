//! `policy schema`: the JSON Schema of the language, for editors.

use clap::Args;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::line::Line;

/// Print the JSON Schema of a policy file.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass policy schema > policy.schema.json

In the first line of each policy file, for editors with a YAML language server:
  # yaml-language-server: $schema=../policy.schema.json

An editor then completes and checks while you write. What only the whole policy can show, daypass policy check finds.")]
pub struct SchemaArgs {}

impl SchemaArgs {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        for line in daypass_policy::SCHEMA.lines() {
            context.out.line(&Line::from(line));
        }
        Ok(Exit::DONE)
    }
}
