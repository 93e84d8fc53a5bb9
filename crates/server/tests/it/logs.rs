//! Secrets and people's words in every place where they are handled, then a search of all that was logged for them.

use std::collections::BTreeSet;

use daypass_api::grant::{GrantState, Revoke};
use daypass_api::login::{Login, NewToken};
use daypass_api::person::{Kind, NewPerson, SetPassword, SystemRole};
use daypass_api::{IDEMPOTENCY_KEY, Route, Scope, Secret};
use daypass_core::time::Span;

use crate::bed::{Bed, ask, log, soon};

const FIRST: &str = "canary-first-password";
const SECOND: &str = "canary-second-password";
const WRONG: &str = "canary-wrong-password";
const REASON: &str = "canary-reason of a person";
const NAME: &str = "Canary Display";

/// Passwords and tokens, right and wrong. Answers the secrets that were made on the way.
async fn identify(bed: &Bed) -> Vec<String> {
    let root = bed.session("root").await;
    let eve = NewPerson {
        login: "eve".parse().unwrap(),
        display: Some(NAME.into()),
        kind: Kind::Person,
        role: SystemRole::Member,
        groups: BTreeSet::from(["engineering".parse().unwrap()]),
        manager: Some("bo".parse().unwrap()),
        owner: None,
        mail: None,
        password: Some(Secret::new(FIRST)),
    };
    bed.client_of(&root).add_person(&eve).await.unwrap();
    for password in [WRONG, FIRST] {
        let body = Login {
            login: "eve".into(),
            password: Secret::new(password),
            profile: None,
        };
        let call = bed.call(Route::Login, &[], None).header(IDEMPOTENCY_KEY, "key");
        let _answer = call.json(&body).send().await.unwrap();
    }
    let session = bed.session("eve").await;
    let token = NewToken {
        name: "t".into(),
        scopes: [Scope::Read].into(),
        resources: [].into(),
        expires_in: Span::hours(1),
        login: None,
    };
    let token = bed.client_of(&session).add_token(&token).await.unwrap().secret;
    bed.client_of(token.expose()).whoami().await.unwrap();
    bed.client_of("dp_t_canary-guess").whoami().await.unwrap_err();
    vec![root, session, token.expose().to_owned()]
}

/// Access with its reasons and credentials. Answers the secret of the credentials.
async fn use_access(bed: &Bed) -> String {
    let eve = bed.client("eve").await;
    let mut wanted = ask("orders/write");
    wanted.reason = Some(REASON.into());
    let request = eve.add_request(&wanted).await.unwrap();
    bed.approve("bo", &request).await;
    let grant = bed.approve("cy", &request).await.grant.unwrap();
    bed.reaches(grant, GrantState::Active).await;
    let credential = eve.credentials(grant, &Default::default()).await.unwrap();
    eve.revoke(
        grant,
        &Revoke {
            reason: Some(REASON.into()),
        },
    )
    .await
    .unwrap();
    bed.reaches(grant, GrantState::Ended).await;
    let change = SetPassword {
        current: Some(Secret::new(FIRST)),
        password: Secret::new(SECOND),
    };
    eve.set_password(&"eve".parse().unwrap(), &change).await.unwrap();
    credential.secret.expose().to_owned()
}

#[tokio::test]
async fn no_secret_and_no_word_of_a_person_is_logged() {
    let bed = Bed::start().await;
    let mut secrets = identify(&bed).await;
    secrets.push(use_access(&bed).await);
    soon("the stop", bed.server.stop()).await;

    let text = String::from_utf8_lossy(&log()).into_owned();
    assert!(
        text.contains("\"answered\"") && text.contains("grant.activated"),
        "something is logged"
    );
    let words = [FIRST, SECOND, WRONG, REASON, NAME, "canary-guess"];
    for secret in secrets.iter().map(String::as_str).chain(words) {
        let line = text.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret} is in: {line:?}");
    }
}
