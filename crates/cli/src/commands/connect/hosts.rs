//! `exec` for hosts: one command on each host of a grant, some at a time, and a table of how it went.

use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;

use daypass_api::grant::Grant;
use daypass_api::ssh::Certificate;
use daypass_api::{Client, Item};
use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

use crate::commands::ssh::{Keep, certified, login, program};
use crate::context::Context;
use crate::edge;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::line::{Field, Grid, Line, Style};

/// The longest line that is waited for before it is shown, in bytes.
const LONGEST: usize = 64 * 1024;

/// On which hosts, as which user, and how many at a time.
#[derive(Debug)]
pub(super) struct On<'a> {
    pub(super) hosts: &'a [String],
    pub(super) user: Option<&'a str>,
    pub(super) at_once: usize,
}

/// How it went on one host.
#[derive(Debug, Serialize)]
struct Ran {
    host: String,
    /// The command's exit code; 255 where ssh did not get there, nothing where it was ended by a signal.
    exit: Option<i32>,
    took_ms: u64,
}

/// Runs a command on the hosts of an item: all of them, or those that are named. Done where it ended well on each.
pub(super) async fn run(
    context: &Context,
    client: &Client,
    (grant, item): (&Grant, &Item),
    on: On<'_>,
    command: &[OsString],
) -> Result<Exit, Failure> {
    let (ssh, keep) = (program(&context.env.path, "ssh")?, Keep::open(context).await?);
    let certificate = certified(client, &keep, (grant.id, item), edge::now()).await?;
    let hosts = named(&certificate, on.hosts)?;
    let user = user(&certificate, on.user)?;
    let file = keep.for_item(grant.id, &certificate)?;
    let line = shell_line(command)?;
    let running = hosts.into_iter().map(|host| {
        let mut command = login(&ssh, &keep, (&certificate, &file), (&user, &host));
        there(&mut command, &line);
        let width = certificate.hosts.iter().map(String::len).max();
        async move {
            // Nobody could type to all of them at once.
            command
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .kill_on_drop(true);
            one(context, host, command, width.unwrap_or_default()).await
        }
    });
    // In the order in which they were named.
    let all: Vec<Result<Ran, Failure>> = stream::iter(running).buffered(on.at_once.max(1)).collect().await;
    let all = all.into_iter().collect::<Result<Vec<Ran>, Failure>>()?;
    let mut grid = Grid::new(["HOST", "EXIT", "TIME"]);
    for ran in &all {
        let (style, exit) = match ran.exit {
            Some(0) => (Style::Good, String::from("0")),
            Some(255) => (Style::Warn, String::from("255 (ssh)")),
            Some(code) => (Style::Warn, code.to_string()),
            None => (Style::Warn, String::from("signal")),
        };
        let took = Duration::from_millis(ran.took_ms);
        grid.row([
            Field::from(ran.host.as_str()),
            Field(style, exit),
            Field::from(format!("{:.1} s", took.as_secs_f64())),
        ]);
    }
    context.out.list(&all, |ran| ran.host.clone(), &grid, "no hosts");
    let well = all.iter().all(|ran| ran.exit == Some(0));
    Ok(if well { Exit::DONE } else { Exit::ERROR })
}

/// Has ssh run a line there. What begins like an option is none: ssh looks for some behind the host too.
fn there(command: &mut tokio::process::Command, line: &str) {
    command.args(["-o", "BatchMode=yes", "--", line]);
}

async fn one(
    context: &Context,
    host: String,
    mut command: tokio::process::Command,
    width: usize,
) -> Result<Ran, Failure> {
    let began = edge::monotonic();
    let cannot = |error: std::io::Error| Failure::error(format!("ssh cannot be started: {error}"));
    let mut child = command.spawn().map_err(cannot)?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let head = format!("{host:width$} │ ");
    let (_, _, status) = tokio::join!(
        tell(context, &head, Style::Plain, out),
        tell(context, &head, Style::Warn, err),
        child.wait()
    );
    let status = status.map_err(|error| Failure::error(format!("ssh was lost: {error}")))?;
    let took = edge::monotonic().saturating_duration_since(began);
    Ok(Ran {
        host,
        exit: status.code(),
        took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    })
}

/// Shows what a host says, line by line, each with its name. It goes where notes go: what is asked for is the table.
async fn tell(context: &Context, head: &str, style: Style, from: Option<impl AsyncRead + Unpin>) {
    let Some(from) = from else {
        return;
    };
    let mut from = BufReader::with_capacity(LONGEST, from);
    let mut line = Vec::new();
    loop {
        let Ok(some) = from.fill_buf().await else {
            return;
        };
        if some.is_empty() {
            break;
        }
        let (piece, ends) = match some.iter().position(|byte| *byte == b'\n') {
            Some(at) => (some.get(..at).unwrap_or_default(), 1),
            None => (some, 0),
        };
        line.extend_from_slice(piece);
        let used = piece.len() + ends;
        from.consume(used);
        if ends == 1 || line.len() >= LONGEST {
            say(context, head, style, &mut line);
        }
    }
    if !line.is_empty() {
        say(context, head, style, &mut line);
    }
}

fn say(context: &Context, head: &str, style: Style, line: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(line).trim_end_matches('\r').to_owned();
    line.clear();
    let line = Line::new().with(Style::Faint, head.to_owned()).with(style, text);
    context.out.note(line);
}

/// The hosts that are meant.
fn named(certificate: &Certificate, hosts: &[String]) -> Result<Vec<String>, Failure> {
    if hosts.is_empty() {
        return Ok(certificate.hosts.clone());
    }
    let find = |host: &String| {
        let mut known = certificate.hosts.iter();
        known
            .find(|known| known.eq_ignore_ascii_case(host))
            .cloned()
            .ok_or_else(|| {
                let known = certificate.hosts.join(", ");
                Failure::usage(format!(
                    "{} has no host {host}; it has {known}",
                    certificate.item.resource
                ))
            })
    };
    hosts.iter().map(find).collect()
}

fn user(certificate: &Certificate, wanted: Option<&str>) -> Result<String, Failure> {
    let found = match wanted {
        Some(wanted) => certificate.users.iter().find(|user| *user == wanted),
        None => certificate.users.first(),
    };
    found.cloned().ok_or_else(|| {
        let users = certificate.users.join(", ");
        Failure::usage("the role does not open that user").hint(format!("it opens {users}"))
    })
}

/// The command as a shell there takes it: one text as it is, several as words of their own.
fn shell_line(command: &[OsString]) -> Result<String, Failure> {
    let words: Option<Vec<&str>> = command.iter().map(|word| word.to_str()).collect();
    let words = words.ok_or_else(|| Failure::usage("a command for a host is text"))?;
    if let [only] = words.as_slice() {
        return Ok((*only).to_owned());
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    let quoted = words.iter().map(|word| {
        if !word.is_empty() && word.chars().all(plain) {
            return (*word).to_owned();
        }
        format!("'{}'", word.replace('\'', "'\\''"))
    });
    Ok(quoted.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &[&str]) -> String {
        let words: Vec<OsString> = words.iter().map(|word| OsString::from(*word)).collect();
        shell_line(&words).unwrap()
    }

    #[test]
    fn a_line_is_never_an_option_of_ssh_itself() {
        // It says what it would go by, and connects to nobody.
        let mut ssh = tokio::process::Command::new("ssh");
        ssh.args(["-G", "-F", "none", "-l", "root", "host.invalid"]);
        there(&mut ssh, "-oProxyCommand=id");
        let said = ssh.as_std_mut().output().unwrap();
        let said = String::from_utf8(said.stdout).unwrap().to_lowercase();
        assert!(said.contains("batchmode yes"), "{said}");
        assert!(!said.contains("proxycommand"), "{said}");
    }

    #[test]
    fn words_stay_words_and_one_text_is_the_shells() {
        assert_eq!(line(&["uptime; id"]), "uptime; id");
        assert_eq!(
            line(&["systemctl", "restart", "my app"]),
            "systemctl restart 'my app'"
        );
        assert_eq!(line(&["echo", "it's", "", "$HOME"]), r"echo 'it'\''s' '' '$HOME'");
        let words = ["echo", "it's", "a b", "$HOME;", "\\", "\n"];
        let said = std::process::Command::new("sh")
            .arg("-c")
            .arg(format!("printf '%s|' {}", line(&words[1..])))
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(said.stdout).unwrap(), "it's|a b|$HOME;|\\|\n|");
    }
}
