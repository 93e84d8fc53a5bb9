//! `completion`: a script that makes the shell complete commands and options.

use std::io::Write as _;

use clap::Args;
use clap_complete::Shell;

use crate::exit::Exit;
use crate::failure::Failure;

/// Print a completion script.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daypass completion bash > ~/.local/share/bash-completion/completions/daypass
  daypass completion zsh > \"${fpath[1]}/_daypass\"
  daypass completion fish > ~/.config/fish/completions/daypass.fish")]
pub struct CompletionArgs {
    /// For which shell
    #[arg(value_enum)]
    shell: Shell,
}

impl CompletionArgs {
    pub(crate) fn run(&self, mut whole: clap::Command) -> Result<Exit, Failure> {
        let name = whole.get_name().to_owned();
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut whole, name, &mut script);
        match std::io::stdout().write_all(&script) {
            // Whoever reads it may have seen enough (`| head`).
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(Failure::error(format!("the script cannot be written: {error}")))
            }
            _ => Ok(Exit::DONE),
        }
    }
}
