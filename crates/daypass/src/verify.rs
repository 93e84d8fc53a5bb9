//! `daypass audit verify --store` and `--config`: the log of a store, what was signed of it, and its tables against it.

use daypass_cli::{Format, Global, VerifyArgs};
use daypass_server::config::ServerConfig;
use daypass_store::{Error, Expect, Verified, verify_sqlite};

use crate::failure::Failure;
use crate::terminal::say;

/// Checks it. Nothing is written to the store, and a server may be at work on it.
pub(crate) async fn run(args: VerifyArgs, global: Global) -> Result<(), Failure> {
    if global.json || matches!(global.output, Format::Json | Format::Yaml) {
        return Err(
            Failure::usage("what is found in a store is told in words only, and by the exit code")
                .hint("without -o json; or daypass audit verify --key FILE -o json, which asks the server"),
        );
    }
    if !args.trust.witness.is_empty() {
        return Err(Failure::usage("witnesses' signatures are demanded of what a server shows, not of a store")
            .hint("daypass audit verify --key FILE --witness FILE, which asks the server; or an export: daypass audit export --dir log --witnessed"));
    }
    let told = |(what, hint): (String, &'static str)| Failure::error(what).hint(hint);
    let keys = args.trust.keys().map_err(told)?;
    let seen = args.trust.seen(&keys).map_err(told)?;
    let count = seen.len();
    let expect = Expect { keys, seen };
    let verified = match (&args.store, &args.config) {
        (Some(file), _) => verify_sqlite(file, expect).await.map_err(unsound)?,
        (None, Some(file)) => match daypass_server::verify(&ServerConfig::load(file)?, expect).await {
            Err(daypass_server::StartError::Store(error)) => return Err(unsound(error)),
            other => other?,
        },
        (None, None) => return Err(Failure::usage("which store?").hint("daypass audit verify --store FILE")),
    };
    tell(&verified, count);
    Ok(())
}

fn unsound(error: Error) -> Failure {
    match error {
        found @ Error::Differs { .. } => Failure::error(format!("the store is not sound: {found}"))
            .hint("keep a copy of the store as it is; docs/audit.md says what each check finds, and what it can mean"),
        other => other.into(),
    }
}

fn tell(verified: &Verified, seen: usize) {
    let Verified {
        head,
        waiting,
        checkpoints,
        signed,
        signed_at,
        newest,
        followed,
        texts,
        texts_missing,
    } = verified;
    let last = newest.map_or_else(String::new, |at| format!(", the newest event of {at}"));
    say(format!("✓ {} entries, head {}{last}", head.size, head.root));
    match signed {
        Some(size) => {
            let at = signed_at.map_or_else(String::new, |at| format!(", the last of them of {at}"));
            say(format!(
                "✓ signed: {checkpoints} checkpoints, the newest of {size} entries{at}"
            ));
            let since = head.size - size.min(&head.size);
            if since + waiting > 0 {
                say(format!("! {} entries since are not signed yet", since + waiting));
            }
        }
        None => say("! the log is empty, and nothing of it is signed"),
    }
    for one in followed {
        say(format!(
            "! {} announced {} in entry {}: the log's key was rotated. If the former was ever stolen, that proves nothing; have the \
             present one from the operator",
            one.from, one.to, one.index
        ));
    }
    if seen > 0 {
        say(format!("✓ it goes on from what you saw ({seen})"));
    }
    say(
        "✓ each event follows from those before it, and the tables hold what they made (docs/audit.md: those that no event makes)",
    );
    let missing = match texts_missing {
        0 => String::new(),
        n => format!("; the words of {n} more are missing: erased, or taken away"),
    };
    say(format!(
        "✓ {texts} texts of people are those that were written{missing}"
    ));
}
