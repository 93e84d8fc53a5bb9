//! The simulation as a command.

fn main() -> std::process::ExitCode {
    daypass_sim::command_line(std::env::args_os().skip(1))
}
