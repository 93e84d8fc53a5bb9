//! Takes the picture of the demo: runs the built binary and draws what it really printed as an SVG.
//!
//! `cargo build -p daypass && cargo run -p daypass --example record` writes `docs/demo.svg`. Nothing in the picture is
//! written by hand, and a demo whose story does not hold gives no picture. The picture follows the reader's light or dark
//! setting, has no script, and loads nothing.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Where the picture goes where nobody says.
const PICTURE: &str = "docs/demo.svg";
/// The size of the letters, and what one takes: 0.6 of it, as in nearly every monospaced font.
const FONT: f64 = 14.0;
const WIDE: f64 = 8.4;
/// From one line to the next.
const HIGH: f64 = 20.0;
/// Around the text.
const MARGIN: f64 = 20.0;

/// How a piece of text looks: a class of the picture's style sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Plain,
    Strong,
    Faint,
    Good,
    Bad,
    Command,
}

/// A piece of text, and the column that it begins in.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    column: usize,
    look: Look,
    text: String,
}

fn main() -> ExitCode {
    let to = std::env::args()
        .nth(1)
        .map_or_else(|| PathBuf::from(PICTURE), PathBuf::from);
    match record(&to) {
        Ok(lines) => {
            println!("{}: {lines} lines", to.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("✗ {error}");
            ExitCode::FAILURE
        }
    }
}

fn record(to: &Path) -> Result<usize, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let folder = own
        .parent()
        .and_then(Path::parent)
        .ok_or("this program is in no folder")?;
    let binary = folder.join("daypass");
    let output = Command::new(&binary)
        .args(["demo", "--once"])
        .env("CLICOLOR_FORCE", "1")
        .env_remove("NO_COLOR")
        .output()
        .map_err(|error| {
            format!(
                "{}: {error}; build it first: cargo build -p daypass",
                binary.display()
            )
        })?;
    if !output.status.success() {
        return Err(format!(
            "the demo ended with {}:\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    let printed = String::from_utf8(output.stdout).map_err(|error| error.to_string())?;
    let lines: Vec<Vec<Run>> = format!("\u{1b}[36m$ daypass demo --once\u{1b}[0m\n{printed}")
        .lines()
        .map(runs)
        .collect();
    std::fs::write(to, picture(&lines)).map_err(|error| format!("{}: {error}", to.display()))?;
    Ok(lines.len())
}

/// Takes a line apart by its colour sequences (ECMA-48, select graphic rendition).
fn runs(line: &str) -> Vec<Run> {
    let mut runs = Vec::new();
    let (mut column, mut look) = (0, Look::Plain);
    for (number, piece) in line.split("\u{1b}[").enumerate() {
        let mut text = piece;
        if number > 0 {
            let (code, rest) = piece.split_once('m').unwrap_or(("0", piece));
            (look, text) = (of(code), rest);
        }
        // Each gap of several spaces begins a piece anew: not every reader of SVG keeps them.
        for part in text.split("  ") {
            let words = part.trim_start_matches(' ');
            let indent = part.chars().count() - words.chars().count();
            let shown = words.trim_end();
            if !shown.is_empty() {
                runs.push(Run {
                    column: column + indent,
                    look,
                    text: shown.to_owned(),
                });
            }
            column += part.chars().count() + 2;
        }
        // There is one gap less than there are parts.
        column -= 2;
    }
    runs
}

fn of(code: &str) -> Look {
    match code {
        "1" => Look::Strong,
        "2" => Look::Faint,
        "31" => Look::Bad,
        "32" => Look::Good,
        "36" => Look::Command,
        _ => Look::Plain,
    }
}

fn class(look: Look) -> &'static str {
    match look {
        Look::Plain => "p",
        Look::Strong => "s",
        Look::Faint => "f",
        Look::Good => "g",
        Look::Bad => "b",
        Look::Command => "c",
    }
}

fn picture(lines: &[Vec<Run>]) -> String {
    let ends = lines
        .iter()
        .flatten()
        .map(|run| run.column + run.text.chars().count());
    let width = length(ends.max().unwrap_or(0)) + 2.0 * MARGIN;
    let height = f64::from(u32::try_from(lines.len()).unwrap_or(0)) * HIGH + 2.0 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" \
         aria-labelledby=\"title desc\" font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', \
         monospace\" font-size=\"{FONT}\">\n<title id=\"title\">daypass demo, as it ran</title>\n<desc id=\"desc\">{DESCRIPTION}\
         </desc>\n<style>{STYLE}</style>\n<rect class=\"paper\" x=\"1\" y=\"1\" width=\"{:.0}\" height=\"{:.0}\" rx=\"8\"/>\n",
        width - 2.0,
        height - 2.0,
    );
    for (number, line) in lines.iter().enumerate() {
        let y = MARGIN + HIGH * f64::from(u32::try_from(number).unwrap_or(0)) + FONT;
        for Run { column, look, text } in line {
            // The length is said, so that a font of another width still lines up.
            let _ = writeln!(
                svg,
                "<text class=\"{}\" x=\"{:.1}\" y=\"{y:.0}\" textLength=\"{:.1}\">{}</text>",
                class(*look),
                MARGIN + length(*column),
                length(text.chars().count()),
                escaped(text),
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}

const DESCRIPTION: &str = "A terminal. Ana, who has no access to a production database, asks for it for five seconds; her \
manager and somebody of security agree; a role appears in PostgreSQL and she works with it; at the deadline her open session \
is cut, a new login is refused, the role is gone, and the audit log tells all of it. Then she logs in to a host by a certificate, which \
the host refuses once she has given the access back.";

/// Each colour has a contrast of at least 4.5 to 1 on its paper (WCAG 2.2, 1.4.3).
const STYLE: &str = "text{white-space:pre;fill:#1f2328}.s{font-weight:700}.f{fill:#59636e}.g{fill:#116329}.b{fill:#a40e26}\
.c{fill:#0550ae}.paper{fill:#f6f8fa;stroke:#d1d9e0}@media(prefers-color-scheme:dark){text{fill:#e6edf3}.f{fill:#9198a1}\
.g{fill:#3fb950}.b{fill:#ff7b72}.c{fill:#79c0ff}.paper{fill:#0d1117;stroke:#3d444d}}";

fn length(characters: usize) -> f64 {
    f64::from(u32::try_from(characters).unwrap_or(0)) * WIDE
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_apart_by_its_colours() {
        let run = |column, look, text: &str| Run {
            column,
            look,
            text: text.to_owned(),
        };
        assert_eq!(
            runs("  \u{1b}[32m✓\u{1b}[0m a <b>  c    d "),
            [
                run(2, Look::Good, "✓"),
                run(4, Look::Plain, "a <b>"),
                run(11, Look::Plain, "c"),
                run(16, Look::Plain, "d")
            ]
        );
        assert_eq!(runs(""), []);
        assert!(picture(&[runs("a <b> & c")]).contains("a &lt;b&gt; &amp; c"));
    }
}
