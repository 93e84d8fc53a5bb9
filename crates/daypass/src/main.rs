//! The one binary, `daypass`: server, demo, administration and every client command.

fn main() {}
