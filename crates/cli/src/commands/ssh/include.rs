//! Where `~/.ssh/config` includes what `ssh-config --install` wrote. ssh takes the first value that it finds for each option, and
//! an `Include` below a `Host` or `Match` holds only there: so it has to be the first line that says something.

/// The file, beside `~/.ssh/config`.
pub(super) const FILE: &str = "daypass.conf";

/// How a configuration includes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Included {
    /// Before everything else.
    First,
    /// Below something else, on this line (from 1).
    Late(usize),
    /// Not at all.
    No,
}

/// How this configuration includes it.
pub(super) fn included(config: &str) -> Included {
    let says = |line: &&str| !line.is_empty() && !line.starts_with('#');
    let lines = config.lines().map(str::trim).enumerate();
    let mut lines = lines.filter(|(_, line)| says(line)).enumerate();
    match lines.find(|(_, (_, line))| names_it(line)) {
        Some((0, _)) => Included::First,
        Some((_, (line, _))) => Included::Late(line + 1),
        None => Included::No,
    }
}

/// Whether a line includes the file, by whatever path: `Include daypass.conf`, `include="~/.ssh/daypass.conf"`.
fn names_it(line: &str) -> bool {
    let end = line.find(|c: char| c.is_whitespace() || c == '=' || c == '"');
    let (keyword, files) = line.split_at(end.unwrap_or(line.len()));
    let mut files = files.split(|c: char| c.is_whitespace() || c == '=' || c == '"');
    keyword.eq_ignore_ascii_case("include") && files.any(|file| file.rsplit('/').next() == Some(FILE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_first_counts_everywhere() {
        for (config, expect) in [
            ("Include daypass.conf\nHost x\n", Included::First),
            ("# mine\n\n  include ~/.ssh/daypass.conf\n", Included::First),
            ("Include=\"%d/.ssh/daypass.conf\"\n", Included::First),
            ("Include other.conf daypass.conf\n", Included::First),
            ("Host x\n  User ana\nInclude daypass.conf\n", Included::Late(3)),
            ("ControlPath ~/.ssh/%C\nInclude daypass.conf\n", Included::Late(2)),
            ("# Include daypass.conf\n", Included::No),
            ("Include not-daypass.conf\n", Included::No),
            ("Includes daypass.conf\n", Included::No),
            ("", Included::No),
        ] {
            assert_eq!(included(config), expect, "{config:?}");
        }
    }
}
