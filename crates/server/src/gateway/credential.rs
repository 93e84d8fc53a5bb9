//! Personal credentials for the gateway: a login and a password that nothing else takes, for a short while.
//!
//! The store keeps what a proof of it is checked by (SCRAM-SHA-256, RFC 5802), like PostgreSQL itself. The salt follows from the
//! login: all credentials of somebody have the same, and who has none, or does not exist, has one too, so that asking tells nothing.
//! The secrets are 256 random bits; a salt adds nothing to them.

use daypass_core::id::GrantId;
use daypass_core::time::{Span, Timestamp};
use daypass_engine::{Caller, Error, NewToken};
use daypass_gateway::scram::{Challenge, Salt, Verifier};
use daypass_store::{TokenKind, Verifier as Kept};
use secrecy::{ExposeSecret as _, SecretString};

use crate::app::Parts;
use crate::edge;
use crate::identity::token::{self, GATEWAY_PREFIX};

/// How many somebody may have at the same time; the oldest goes for a new one. Sessions that are open do not end by it.
const MOST: usize = 32;

pub(super) fn salt(app: &Parts, login: &str) -> Salt {
    let key = format!("daypass gateway {}", app.engine.store().installation());
    Salt::of(key.as_bytes(), login)
}

/// What whoever claims to be this is asked: the same for everybody, whether they exist or not.
pub(super) fn challenge(app: &Parts, login: &str, nonce: String) -> Challenge {
    Challenge::decoy(salt(app, login), nonce)
}

/// A new one: the login, the secret, which is shown this once, and until when it is taken. One for a `grant` opens sessions under that
/// and nothing else; one for none opens them under whatever its owner holds, and asks where they hold nothing.
///
/// # Errors
/// Where the account is switched off, or the store does not answer.
pub(crate) async fn issue(
    app: &Parts,
    caller: Caller,
    grant: Option<GrantId>,
    lifetime: Span,
) -> Result<(String, SecretString, Timestamp), Error> {
    let login = app.engine.current().directory.login(caller.person);
    make_room(app, caller).await?;
    let minted = token::mint(GATEWAY_PREFIX, edge::random());
    let salt = salt(app, &login);
    let secret = minted.secret.clone();
    // It takes milliseconds on purpose.
    let verifier = tokio::task::spawn_blocking(move || Verifier::of(&secret, salt)).await;
    let verifier = verifier.map_err(|error| daypass_store::Error::Unavailable(error.to_string()))?;
    let new = NewToken {
        hash: minted.hash,
        kind: TokenKind::Gateway {
            verifier: Kept(verifier.to_text().expose_secret().to_owned()),
            grant,
        },
        name: String::from("gateway"),
        lifetime,
    };
    let row = app.engine.issue_token(caller, caller.person, new).await?;
    Ok((login, minted.secret, row.expires_at))
}

/// Makes room for another: what has run out goes first, then the oldest that is for one grant, then the oldest of all.
async fn make_room(app: &Parts, caller: Caller) -> Result<(), Error> {
    let now = app.engine.store().now().await?;
    let mut rows = app.engine.store().tokens_of(caller.person).await?;
    rows.retain(|row| matches!(row.kind, TokenKind::Gateway { .. }));
    let spare = rows.len().saturating_sub(MOST - 1);
    rows.sort_by_key(|row| {
        let is_personal = matches!(row.kind, TokenKind::Gateway { grant: None, .. });
        (row.expires_at > now, is_personal, row.created_at)
    });
    for row in rows.into_iter().take(spare) {
        match app.engine.revoke_token(caller, row.id).await {
            // Somebody else made room at the same time.
            Err(Error::Refused(_)) | Ok(()) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
