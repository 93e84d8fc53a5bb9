//! The directory over HTTP.

use std::collections::BTreeSet;

use daypass_api::client::Error;
use daypass_api::grant::GrantState;
use daypass_api::person::{
    ChangeGroups, Kind, NewPerson, PersonQuery, SetHandle, SetManager, SetPassword, SetRole, SystemRole,
};
use daypass_api::{ProblemCode, Secret};
use daypass_core::name::Name;
use daypass_core::refusal::Code;
use futures_util::future::join_all;

use crate::bed::{Bed, PASSWORD};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn new(login: &str) -> NewPerson {
    NewPerson {
        login: name(login),
        display: None,
        kind: Kind::Person,
        role: SystemRole::Member,
        groups: BTreeSet::new(),
        manager: None,
        owner: None,
        mail: None,
        password: None,
    }
}

fn code<T: std::fmt::Debug>(outcome: Result<T, Error>) -> ProblemCode {
    outcome.unwrap_err().code().unwrap()
}

#[tokio::test]
async fn an_administrator_makes_and_changes_accounts() {
    let bed = Bed::start().await;
    let root = bed.client("root").await;
    let eve = root
        .add_person(&NewPerson {
            manager: Some(name("bo")),
            ..new("eve")
        })
        .await
        .unwrap();
    assert_eq!(
        (eve.login.as_str(), eve.manager.as_deref(), eve.active),
        ("eve", Some("bo"), true)
    );
    assert_eq!(code(root.add_person(&new("eve")).await), Code::Exists.into());
    assert_eq!(
        code(root.add_person(&new("EVE")).await),
        Code::Exists.into(),
        "a login that looks alike is alike"
    );
    let weak = NewPerson {
        password: Some(Secret::new("short")),
        ..new("mal")
    };
    assert_eq!(code(root.add_person(&weak).await), Code::Invalid.into());
    let service = NewPerson {
        kind: Kind::Service,
        password: Some(Secret::new(PASSWORD)),
        ..new("bot")
    };
    assert_eq!(code(root.add_person(&service).await), Code::Invalid.into());
}

fn handle(id: Option<&str>) -> SetHandle {
    SetHandle {
        namespace: name("entra"),
        id: id.map(str::to_owned),
    }
}

#[tokio::test]
async fn a_handle_is_one_accounts_and_is_taken_away_in_words() {
    let bed = Bed::start().await;
    let root = bed.client("root").await;
    let set = root
        .set_handle(&name("ana"), &handle(Some("7f1c-ana")))
        .await
        .unwrap();
    let known = set.handles.iter().map(|(of, id)| (of.as_str(), id.as_str()));
    assert_eq!(known.collect::<Vec<_>>(), [("entra", "7f1c-ana")]);
    let taken = root.set_handle(&name("bo"), &handle(Some("7F1C-ana"))).await;
    assert_eq!(code(taken), Code::Exists.into());
    let hostile = root.set_handle(&name("bo"), &handle(Some("a\u{202e}b"))).await;
    assert_eq!(code(hostile), Code::Invalid.into());
    // Whoever forgets the field does not thereby take it away.
    assert!(serde_json::from_str::<SetHandle>(r#"{"namespace": "entra"}"#).is_err());
    let none = serde_json::from_str::<SetHandle>(r#"{"namespace": "entra", "id": null}"#);
    assert_eq!(none.unwrap(), handle(None));
    let gone = root.set_handle(&name("ana"), &handle(None)).await.unwrap();
    assert!(gone.handles.is_empty());
    root.set_handle(&name("bo"), &handle(Some("7F1C-ana")))
        .await
        .unwrap();
}

#[tokio::test]
async fn roles_and_managers_change_but_the_last_administrator_stays() {
    let bed = Bed::start().await;
    let root = bed.client("root").await;
    let cy = root
        .set_role(
            &name("cy"),
            &SetRole {
                role: SystemRole::Auditor,
            },
        )
        .await
        .unwrap();
    assert_eq!(cy.role, SystemRole::Auditor);
    let cy = root
        .set_manager(&name("cy"), &SetManager { manager: None })
        .await
        .unwrap();
    assert_eq!(cy.manager, None);
    assert_eq!(
        code(
            root.set_role(
                &name("root"),
                &SetRole {
                    role: SystemRole::Member
                }
            )
            .await
        ),
        Code::InUse.into()
    );
    assert_eq!(code(root.deactivate(&name("root")).await), Code::InUse.into());
    let security = PersonQuery {
        group: Some("security".into()),
        ..PersonQuery::default()
    };
    let logins: Vec<_> = root
        .people(&security)
        .await
        .unwrap()
        .items
        .into_iter()
        .map(|one| one.login)
        .collect();
    assert_eq!(logins, ["cy"]);
}

#[tokio::test]
async fn changes_of_groups_at_the_same_time_do_not_undo_each_other() {
    let bed = Bed::start().await;
    let root = bed.client("root").await;
    let change = |n: usize| ChangeGroups {
        add: BTreeSet::from([name(&format!("g{n}"))]),
        remove: BTreeSet::new(),
    };
    let (login, changes) = (name("ana"), (0..12).map(change).collect::<Vec<_>>());
    let all = join_all(changes.iter().map(|change| root.change_groups(&login, change))).await;
    assert!(all.iter().all(Result::is_ok));
    let left = ChangeGroups {
        add: BTreeSet::new(),
        remove: BTreeSet::from([name("g0")]),
    };
    let ana = root.change_groups(&login, &left).await.unwrap();
    assert_eq!(
        ana.groups.len(),
        12,
        "engineering and eleven more: {:?}",
        ana.groups
    );
}

#[tokio::test]
async fn switching_an_account_off_ends_its_sessions_and_what_it_holds() {
    let bed = Bed::start().await;
    let grant = bed.granted().await;
    bed.reaches(grant, GrantState::Active).await;
    let ana = bed.client("ana").await;
    bed.client("root").await.deactivate(&name("ana")).await.unwrap();
    assert_eq!(code(ana.whoami().await), ProblemCode::Unauthenticated);
    let ended = bed.reaches(grant, GrantState::Ended).await;
    assert_eq!(ended.ended_reason.as_deref(), Some("ineligible"));
    let back = bed.client("root").await.reactivate(&name("ana")).await.unwrap();
    assert!(back.active);
    assert_eq!(
        code(ana.whoami().await),
        ProblemCode::Unauthenticated,
        "old sessions stay ended"
    );
}

#[tokio::test]
async fn a_password_is_changed_by_who_knows_it_or_an_administrator() {
    let bed = Bed::start().await;
    let session = bed.session("ana").await;
    let ana = bed.client_of(&session);
    let next = Secret::new("another quiet river");
    let wrong = SetPassword {
        current: Some(Secret::new("guess")),
        password: next.clone(),
    };
    assert_eq!(
        code(ana.set_password(&name("ana"), &wrong).await),
        ProblemCode::LoginFailed
    );
    let none = SetPassword {
        current: None,
        password: next.clone(),
    };
    assert_eq!(
        code(ana.set_password(&name("ana"), &none).await),
        ProblemCode::LoginFailed
    );
    assert_eq!(
        code(ana.set_password(&name("bo"), &none).await),
        Code::Forbidden.into()
    );
    let right = SetPassword {
        current: Some(Secret::new(PASSWORD)),
        password: next,
    };
    ana.set_password(&name("ana"), &right).await.unwrap();
    assert_eq!(
        code(ana.whoami().await),
        ProblemCode::Unauthenticated,
        "every session ends with the old password"
    );
}
