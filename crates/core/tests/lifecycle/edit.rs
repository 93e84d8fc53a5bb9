//! Edits of accounts: what they lead to, what they replace, what they wait for, and that nobody agrees to one of their own.

use std::collections::BTreeSet;

use daypass_core::change::{Change as Proposed, Event, Proposal};
use daypass_core::edit::{Act, Area, Edit};
use daypass_core::event::{Actor, Event as Happened, Subject, What};
use daypass_core::handle::{self, Handle, Handles};
use daypass_core::id::{ChangeId, TokenId};
use daypass_core::name::Name;
use daypass_core::person::{Change, Kind, Person, SystemRole};
use daypass_core::refusal::{Code, Refusal};
use daypass_core::review::{Decision, Review, Step, Voter};
use daypass_core::text::{Hash, Prose};
use daypass_core::time::{Span, Timestamp};
use daypass_core::world::World;

use crate::samples::{at, person, step};

fn groups(names: &[&str]) -> BTreeSet<Name> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn account(n: u8, login: &str, role: SystemRole) -> Person {
    Person {
        role,
        groups: groups(&["engineering"]),
        changed_at: at(0),
        manager_since: at(0),
        ..Person::new(
            person(n),
            Kind::Person,
            Prose::new([n; 16], login),
            Prose::new([n; 16], login),
        )
    }
}

fn world(people: &[Person]) -> World {
    World {
        people: people.iter().map(|one| (one.id, one.clone())).collect(),
        ..World::default()
    }
}

fn of(n: u8, act: Act) -> Edit {
    Edit {
        person: person(n),
        act,
    }
}

fn joins(join: &[&str], leave: &[&str]) -> Act {
    Act::Groups {
        join: groups(join),
        leave: groups(leave),
    }
}

fn role(from: SystemRole, to: SystemRole) -> Act {
    Act::Role { from, to }
}

fn named(text: &str) -> Handle {
    text.parse().unwrap()
}

fn called(from: Option<&str>, to: Option<&str>) -> Act {
    Act::Handle {
        namespace: "entra".parse().unwrap(),
        from: from.map(named),
        to: to.map(named),
    }
}

#[track_caller]
fn refused(edit: &Edit, world: &World) -> Code {
    edit.follows(world, at(9)).unwrap_err().code
}

#[test]
fn what_is_done_is_what_was_said_and_only_to_what_it_was_said_of() {
    let ana = account(1, "ana", SystemRole::Member);
    let root = account(2, "root", SystemRole::Administrator);
    let there = world(&[ana.clone(), root.clone()]);
    let edit = of(1, joins(&["security"], &["engineering"]));
    let expect = Change::Groups {
        groups: groups(&["security"]),
    };
    assert_eq!(edit.follows(&there, at(9)).unwrap(), expect);
    let others = [
        joins(&["engineering"], &[]),
        joins(&[], &["security"]),
        role(SystemRole::Auditor, SystemRole::Administrator),
        Act::Manager {
            from: Some(person(2)),
            to: None,
        },
        Act::Mail {
            from: Some(Prose::new([0; 16], "a@example.com")),
            to: None,
        },
        Act::Reactivate {
            role: SystemRole::Member,
            groups: groups(&["engineering"]),
            handles: [].into(),
        },
        called(Some("7f1c"), None),
    ];
    for act in others {
        assert_eq!(refused(&of(1, act.clone()), &there), Code::Stale, "{act:?}");
    }
    // Whoever was switched off meanwhile gets nothing any more.
    let off = world(&[Person { active: false, ..ana }]);
    let token = Act::Token {
        owner: person(2),
        token: TokenId::from_bytes([1; 10]),
        name: Prose::new([0; 16], "nightly"),
        scopes: [String::from("read")].into(),
        lifetime: Span::hours(1),
    };
    for act in [joins(&["security"], &[]), Act::Password, token.clone()] {
        assert_eq!(refused(&of(1, act.clone()), &off), Code::Stale, "{act:?}");
    }
    let theirs = world(&[Person {
        owner: Some(person(2)),
        ..account(1, "ci", SystemRole::Member)
    }]);
    assert_eq!(
        refused(&of(1, token.clone()), &there),
        Code::Stale,
        "another answers for it"
    );
    let issued = of(1, token).follows(&theirs, at(9)).unwrap();
    assert!(
        matches!(issued, Change::TokenIssued { expires_at, .. } if expires_at == at(9) + Span::hours(1)),
        "it counts from then: {issued:?}"
    );
    let nobody = of(7, Act::Password);
    assert_eq!(refused(&nobody, &there), Code::Stale);
}

#[test]
fn a_login_is_one_accounts_and_the_last_administrator_stays() {
    let ana = account(1, "ana", SystemRole::Member);
    let root = account(2, "root", SystemRole::Administrator);
    let added = |login: &str| {
        let person = Box::new(account(3, login, SystemRole::Member));
        of(
            3,
            Act::Add {
                person,
                password: false,
            },
        )
    };
    let there = world(&[ana.clone(), root.clone()]);
    assert_eq!(refused(&added("ANA"), &there), Code::Exists);
    let Change::Added { person: made } = added("eve").follows(&there, at(9)).unwrap() else {
        panic!("it is made");
    };
    assert_eq!((made.changed_at, made.manager_since), (at(9), at(9)));
    let gone = Person {
        id: person(4),
        active: false,
        ..ana.clone()
    };
    let back = of(
        4,
        Act::Reactivate {
            role: SystemRole::Member,
            groups: groups(&["engineering"]),
            handles: [].into(),
        },
    );
    assert_eq!(refused(&back, &world(&[ana.clone(), gone.clone()])), Code::Exists);
    assert_eq!(back.follows(&world(&[gone]), at(9)).unwrap(), Change::Reactivated);
    let down = of(2, role(SystemRole::Administrator, SystemRole::Member));
    assert_eq!(refused(&down, &there), Code::InUse);
    let second = account(5, "max", SystemRole::Administrator);
    assert!(down.follows(&world(&[root, second]), at(9)).is_ok());
    let own = of(
        1,
        Act::Manager {
            from: None,
            to: Some(person(1)),
        },
    );
    assert_eq!(refused(&own, &there), Code::Invalid);
}

/// A target would count two accounts of one handle as one person.
#[test]
fn a_handle_is_one_accounts_in_its_namespace() {
    let [ana, bo] = [(1, "ana"), (2, "bo")].map(|(n, login)| account(n, login, SystemRole::Member));
    let entra = |text: &str| Handles::from([("entra".parse().unwrap(), named(text))]);
    let bo = Person {
        handles: entra("7F1C-B"),
        ..bo
    };
    let there = world(&[ana.clone(), bo.clone()]);
    let taken = of(1, called(None, Some("7f1c-b")));
    assert_eq!(refused(&taken, &there), Code::Exists, "whatever its case");
    let elsewhere = Act::Handle {
        namespace: "aws".parse().unwrap(),
        from: None,
        to: Some(named("7F1C-B")),
    };
    assert!(of(1, elsewhere.clone()).follows(&there, at(9)).is_ok());
    let free = of(1, called(None, Some("7f1c-a")));
    let change = free.follows(&there, at(9)).unwrap();
    let now = ana.clone().evolve(&change, Actor::Person(person(5)), at(9));
    assert_eq!((now.handles, now.changed_at), (entra("7f1c-a"), at(9)));
    assert!(now.behind.hand(person(5), at(9)).is_some());
    // Of one that is switched off nobody asks for anything; it comes back to its handle or not at all.
    let off = Person { active: false, ..bo };
    assert!(taken.follows(&world(&[ana.clone(), off.clone()]), at(9)).is_ok());
    let has = Person {
        handles: entra("7f1c-b"),
        ..ana
    };
    let back = |handles| Act::Reactivate {
        role: SystemRole::Member,
        groups: groups(&["engineering"]),
        handles,
    };
    let returns = of(2, back(off.handles.clone()));
    assert_eq!(refused(&returns, &world(&[has, off.clone()])), Code::Exists);
    assert!(returns.follows(&world(std::slice::from_ref(&off)), at(9)).is_ok());
    assert_eq!(refused(&of(2, back(entra("other"))), &world(&[off])), Code::Stale);
    assert!(taken.meets(&of(3, called(None, Some("7F1C-b")))));
    assert!(!taken.meets(&of(1, elsewhere)));
}

#[test]
fn few_handles_are_kept_of_one_account() {
    let many = (0..handle::MOST).map(|n| (format!("ns{n}").parse().unwrap(), named(&format!("h{n}"))));
    let ana = Person {
        handles: many.collect(),
        ..account(1, "ana", SystemRole::Member)
    };
    let there = world(&[ana]);
    assert_eq!(refused(&of(1, called(None, Some("x"))), &there), Code::Invalid);
    let other = Act::Handle {
        namespace: "ns0".parse().unwrap(),
        from: Some(named("h0")),
        to: Some(named("x")),
    };
    assert!(of(1, other).follows(&there, at(9)).is_ok());
}

/// A new account in a group has joined it: who covers groups covers that too.
#[test]
fn what_covers_an_edit() {
    let ana = account(1, "ana", SystemRole::Member);
    let plain = Person {
        groups: groups(&[]),
        ..ana.clone()
    };
    let add = |person: &Person| Act::Add {
        person: Box::new(person.clone()),
        password: true,
    };
    let areas = |act: Act| of(1, act).areas();
    assert_eq!(areas(add(&ana)), [Area::People, Area::Groups].into());
    assert_eq!(areas(add(&plain)), [Area::People].into());
    assert_eq!(areas(joins(&["a"], &[])), [Area::Groups].into());
    assert_eq!(areas(Act::Password), [Area::Credentials].into());
    let promoted = role(SystemRole::Member, SystemRole::Administrator);
    assert_eq!(areas(promoted), [Area::People].into());
    assert_eq!(areas(called(None, Some("a"))), [Area::People].into());
    assert_eq!(areas(called(Some("a"), Some("b"))), [Area::People].into());
    assert_eq!(
        areas(called(Some("a"), None)),
        [].into(),
        "whoever loses one gets less"
    );
}

fn proposed(edit: Edit) -> Proposed {
    let proposal = Proposal::Directory { edit: Box::new(edit) };
    let id = ChangeId::from_bytes([1; 10]);
    Proposed::new(
        id,
        person(9),
        proposal,
        Hash::of(b"p"),
        vec![step("leads", 1)],
        at(0),
    )
    .unwrap()
}

fn yes(change: &Proposed, who: u8) -> Result<Event, Refusal> {
    let review = Review {
        reviewer: person(who),
        on_behalf: None,
        step: 0,
        decision: Decision::Approve {
            duration: None,
            items: None,
        },
        digest: change.digest,
        comment: None,
        at: Timestamp::EPOCH,
    };
    let anybody = |_: &Step, _: bool, _: Voter<'_>| Ok(None);
    change.review(review, Some(Hash::of(b"p")), &anybody, at(1))
}

/// Whatever the policy says: who would be changed has no say in it.
#[test]
fn nobody_agrees_to_a_change_of_their_own_account() {
    let change = proposed(of(1, role(SystemRole::Member, SystemRole::Administrator)));
    for who in [1, 9] {
        assert_eq!(yes(&change, who).unwrap_err().code, Code::OwnRequest, "{who}");
    }
    assert!(matches!(yes(&change, 2).unwrap(), Event::Applied { .. }));
}

#[test]
fn the_digest_binds_every_part_of_an_edit() {
    let ana = Box::new(account(1, "ana", SystemRole::Member));
    let administrator = Box::new(account(1, "ana", SystemRole::Administrator));
    let add = |person: &Person, password| Act::Add {
        person: Box::new(person.clone()),
        password,
    };
    let edits = [
        of(1, joins(&["a"], &[])),
        of(2, joins(&["a"], &[])),
        of(1, joins(&["b"], &[])),
        of(1, joins(&[], &["a"])),
        of(1, role(SystemRole::Member, SystemRole::Auditor)),
        of(1, role(SystemRole::Member, SystemRole::Administrator)),
        of(1, add(&ana, true)),
        of(1, add(&ana, false)),
        of(1, add(&administrator, true)),
        of(1, Act::Password),
    ];
    let digests: BTreeSet<Hash> = edits.iter().map(|edit| proposed(edit.clone()).digest).collect();
    assert_eq!(digests.len(), edits.len());
}

#[test]
fn the_names_in_it_are_bound_by_hash_and_come_back() {
    let ana = Person {
        mail: Some(Box::new(Prose::new([7; 16], "zoe@example.com"))),
        ..account(1, "zoe", SystemRole::Member)
    };
    let change = proposed(of(
        1,
        Act::Add {
            person: Box::new(ana),
            password: true,
        },
    ));
    let what = What::Change(Event::Proposed {
        change: Box::new(change.clone()),
    });
    assert_eq!(what.prose().len(), 3);
    let event = Happened::new(at(0), Actor::System, Subject::Change(change.id), what);
    let bytes = event.canonical().unwrap();
    assert!(
        !String::from_utf8(bytes.clone()).unwrap().contains("zoe"),
        "no name is in the log"
    );
    let mut read: Happened = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(read.what.prose_mut().len(), 3);
    let mut world = World::default();
    world.apply(&read).unwrap();
    assert_eq!(world.changes.values().next().unwrap().digest, change.digest);
}

/// Else an auditor, who reviews nothing, is made a member and agrees at once.
#[test]
fn another_role_settles_as_another_group_does() {
    let ana = account(1, "ana", SystemRole::Auditor);
    let role = Change::Role {
        role: SystemRole::Member,
    };
    assert_eq!(ana.evolve(&role, Actor::System, at(5)).changed_at, at(5));
}
