//! The contract of [`Provider`](daypass_providers::Provider), tried sentence by sentence. Each case uses keys of its own.

use std::collections::BTreeSet;

use daypass_core::entitlement::{Fault, Spec};
use daypass_core::time::{Span, Timestamp};
use daypass_providers::{Credential, Inspection, Limit, Progress, Provider};
use secrecy::ExposeSecret as _;

use crate::stand::{Ability, Stand, Use, keys, spec_of};

/// Runs the whole suite. What a target cannot do by its nature (its capabilities say so) is left out.
pub(crate) async fn all(stand: &dyn Stand) {
    let own = stand.provider().capabilities();
    assert!(
        own.ceiling > Span::ZERO && own.ceiling <= Span::minutes(5),
        "a ceiling is stated"
    );
    is_there_until(stand).await;
    twice_is_once(stand).await;
    the_limit_moves_both_ways(stand).await;
    revoked_is_absent_and_revoking_again_succeeds(stand).await;
    never_provisioned_is_absent(stand).await;
    what_stood_before_is_not_adopted(stand).await;
    another_installation_is_not_adopted(stand).await;
    the_list_is_exactly_ours(stand).await;
    hostile_text_is_harmless(stand).await;
    what_is_in_the_way_of_one_is_in_nobody_elses(stand).await;
    if own.credential {
        credentials_work_and_are_fresh(stand).await;
        a_repeated_provisioning_keeps_the_credential(stand).await;
        what_the_spec_gave_before_is_taken_back(stand).await;
        sessions_are_cut(stand).await;
        a_credential_makes_nothing(stand).await;
    } else {
        there_is_no_credential(stand).await;
    }
    if own.own_expiry && own.credential {
        the_target_ends_it_itself(stand).await;
    }
    the_target_goes_down_and_comes_back(stand).await;
}

/// A case: its key, its spec, and what everything else looked like when it began.
struct Case<'a> {
    stand: &'a dyn Stand,
    provider: std::sync::Arc<dyn Provider>,
    key: String,
    spec: Spec,
    until: Timestamp,
}

impl<'a> Case<'a> {
    async fn begin(stand: &'a dyn Stand, grant: u8, name: &str) -> Self {
        println!("conformance: {name}");
        let (key, spec) = spec_of(stand, grant, stand.config(&[Ability::Read]));
        let until = stand.now().await + Span::hours(1);
        Self {
            stand,
            provider: stand.provider(),
            key,
            spec,
            until,
        }
    }

    async fn provision(&self) {
        let done = self
            .provider
            .provision(&self.key, &self.spec, "ana", self.until)
            .await;
        assert_eq!(done, Ok(Progress::Done));
    }

    async fn revoke(&self) {
        assert_eq!(
            self.provider.revoke(&self.key, Some(&self.spec)).await,
            Ok(Progress::Done)
        );
    }

    async fn until(&self) -> Option<Timestamp> {
        match self.provider.inspect(&self.key, Some(&self.spec)).await {
            Ok(Inspection::Present { until, residue }) => {
                assert_eq!(residue, Vec::<String>::new());
                until
            }
            other => panic!("{other:?} where it should be present"),
        }
    }

    async fn assert_absent(&self) {
        let absent = Ok(Inspection::Absent { residue: Vec::new() });
        assert_eq!(self.provider.inspect(&self.key, Some(&self.spec)).await, absent);
        assert_eq!(
            self.provider.inspect(&self.key, None).await,
            absent,
            "without its spec"
        );
    }

    async fn credential(&self) -> Credential {
        self.provider.credential(&self.key, &self.spec).await.unwrap()
    }

    async fn open(&self, credential: &Credential) -> Box<dyn Use> {
        self.stand.open(credential).await.expect("the credential works")
    }
}

async fn is_there_until(stand: &dyn Stand) {
    let case = Case::begin(stand, 1, "is there, until").await;
    case.provision().await;
    let until = case.until().await;
    match case.provider.capabilities().own_expiry {
        true => assert_eq!(until, Some(case.until)),
        false => assert!(until.is_none_or(|until| until <= case.until)),
    }
    case.revoke().await;
    case.assert_absent().await;
}

async fn twice_is_once(stand: &dyn Stand) {
    let case = Case::begin(stand, 2, "twice is once").await;
    case.provision().await;
    case.provision().await;
    assert_eq!(keys(&*case.provider).await, Ok(vec![case.key.clone()]));
    let first = case.until().await;
    assert_eq!(case.until().await, first, "inspecting changes nothing");
    case.revoke().await;
    case.assert_absent().await;
}

async fn the_limit_moves_both_ways(stand: &dyn Stand) {
    let mut case = Case::begin(stand, 3, "the limit moves both ways").await;
    let middle = case.until;
    for until in [
        middle,
        middle + Span::hours(2),
        middle - Span::minutes(30),
        middle + Span::millis(1),
    ] {
        case.until = until;
        case.provision().await;
        if case.provider.capabilities().own_expiry {
            assert_eq!(case.until().await, Some(until));
        }
    }
    case.revoke().await;
}

async fn revoked_is_absent_and_revoking_again_succeeds(stand: &dyn Stand) {
    let case = Case::begin(stand, 4, "revoked is absent").await;
    case.provision().await;
    case.revoke().await;
    case.assert_absent().await;
    case.revoke().await;
    assert_eq!(case.provider.revoke(&case.key, None).await, Ok(Progress::Done));
    case.assert_absent().await;
    case.provision().await;
    assert_eq!(
        case.provider.revoke(&case.key, None).await,
        Ok(Progress::Done),
        "complete without its spec"
    );
    case.assert_absent().await;
}

async fn never_provisioned_is_absent(stand: &dyn Stand) {
    let case = Case::begin(stand, 5, "never provisioned is absent").await;
    case.assert_absent().await;
    case.revoke().await;
    assert_eq!(case.provider.revoke(&case.key, None).await, Ok(Progress::Done));
    case.assert_absent().await;
}

async fn what_stood_before_is_not_adopted(stand: &dyn Stand) {
    let case = Case::begin(stand, 6, "what stood before is not adopted").await;
    stand.add_by_hand(&case.key).await;
    let before = stand.everything_else().await;
    let refused = case
        .provider
        .provision(&case.key, &case.spec, "ana", case.until)
        .await
        .unwrap_err();
    assert_eq!(refused.fault, Fault::AlreadyStanding);
    assert!(
        case.provider.credential(&case.key, &case.spec).await.is_err(),
        "no credential for it either"
    );
    case.revoke().await;
    let seen = case.provider.inspect(&case.key, Some(&case.spec)).await;
    assert!(
        matches!(seen, Ok(Inspection::Absent { .. })),
        "{seen:?}: nothing of ours is there"
    );
    assert!(!keys(&*case.provider).await.unwrap().contains(&case.key));
    assert_eq!(stand.everything_else().await, before, "it stands as it stood");
}

async fn another_installation_is_not_adopted(stand: &dyn Stand) {
    let case = Case::begin(stand, 7, "another installation is not adopted").await;
    let other = stand.other_installation();
    other
        .provision(&case.key, &case.spec, "ana", case.until)
        .await
        .unwrap();
    let refused = case
        .provider
        .provision(&case.key, &case.spec, "ana", case.until)
        .await
        .unwrap_err();
    assert_eq!(refused.fault, Fault::AlreadyStanding);
    case.revoke().await;
    assert!(!keys(&*case.provider).await.unwrap().contains(&case.key));
    assert!(
        keys(&*other).await.unwrap().contains(&case.key),
        "it is still there, for the other"
    );
    let seen = other.inspect(&case.key, Some(&case.spec)).await;
    assert!(matches!(seen, Ok(Inspection::Present { .. })), "{seen:?}");
    other.revoke(&case.key, Some(&case.spec)).await.unwrap();
    case.assert_absent().await;
}

async fn the_list_is_exactly_ours(stand: &dyn Stand) {
    println!("conformance: the list is exactly ours");
    let provider = stand.provider();
    assert_eq!(
        keys(&*provider).await,
        Ok(Vec::new()),
        "the cases before left nothing"
    );
    let until = stand.now().await + Span::hours(1);
    let made: Vec<_> = (10..15)
        .map(|n| spec_of(stand, n, stand.config(&[Ability::Read])))
        .collect();
    for (key, spec) in &made {
        provider.provision(key, spec, "ana", until).await.unwrap();
    }
    let listed = provider.list_managed().await.unwrap();
    let listed_keys: BTreeSet<_> = listed.keys().cloned().collect();
    assert_eq!(listed_keys, made.iter().map(|(key, _)| key.clone()).collect());
    for (key, spec) in &made {
        let seen = provider.inspect(key, Some(spec)).await.unwrap();
        let Inspection::Present { until: shown, .. } = seen else {
            panic!("{seen:?}");
        };
        let told = listed[key];
        assert!(
            told == Limit::Told(shown) || told == Limit::Untold,
            "{told:?} is listed, and {shown:?} shown"
        );
        provider.revoke(key, Some(spec)).await.unwrap();
    }
    assert_eq!(keys(&*provider).await, Ok(Vec::new()));
}

/// Text that ends a string or a name in one language or another, or is longer than a name may be.
pub(crate) const HOSTILE_TEXT: [&str; 9] = [
    "\"; DROP ROLE postgres; --",
    "'; DROP ROLE postgres; --",
    "\\'; --",
    "a\0b",
    "$$; --",
    "é中\u{202e}🙂",
    "../../etc/passwd",
    "",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
];

async fn hostile_text_is_harmless(stand: &dyn Stand) {
    let case = Case::begin(stand, 20, "hostile text is harmless").await;
    let before = stand.everything_else().await;
    for text in HOSTILE_TEXT {
        let done = case
            .provider
            .provision(&case.key, &case.spec, text, case.until)
            .await;
        assert_eq!(done, Ok(Progress::Done), "as a holder: {text:?}");
        assert_eq!(
            keys(&*case.provider).await,
            Ok(vec![case.key.clone()]),
            "{text:?}"
        );
        case.revoke().await;
        // As a key: none that we would make, and still one thing that can be made, found and removed.
        case.provider
            .provision(text, &case.spec, "ana", case.until)
            .await
            .unwrap();
        assert_eq!(
            keys(&*case.provider).await,
            Ok(vec![text.to_owned()]),
            "as a key: {text:?}"
        );
        case.provider.revoke(text, None).await.unwrap();
        let absent = Ok(Inspection::Absent { residue: Vec::new() });
        assert_eq!(
            case.provider.inspect(text, None).await,
            absent,
            "as a key: {text:?}"
        );
    }
    for config in stand.hostile() {
        let (key, spec) = spec_of(stand, 21, config);
        let refused = case
            .provider
            .provision(&key, &spec, "ana", case.until)
            .await
            .unwrap_err();
        let fitting = matches!(
            refused.fault,
            Fault::Misconfigured | Fault::NotFound | Fault::Denied
        );
        assert!(fitting, "{refused} for {:?} {:?}", spec.resource, spec.role);
        case.provider.revoke(&key, Some(&spec)).await.unwrap();
        let absent = Ok(Inspection::Absent { residue: Vec::new() });
        assert_eq!(
            case.provider.inspect(&key, Some(&spec)).await,
            absent,
            "{:?}",
            spec.role
        );
    }
    assert_eq!(stand.everything_else().await, before);
}

async fn what_is_in_the_way_of_one_is_in_nobody_elses(stand: &dyn Stand) {
    let case = Case::begin(stand, 22, "calls side by side").await;
    let many: Vec<_> = (30..38)
        .map(|n| spec_of(stand, n, stand.config(&[Ability::Read])))
        .collect();
    let provision = many
        .iter()
        .map(|(key, spec)| case.provider.provision(key, spec, "ana", case.until));
    for done in futures_util::future::join_all(provision).await {
        assert_eq!(done, Ok(Progress::Done));
    }
    let revoke = many
        .iter()
        .map(|(key, spec)| case.provider.revoke(key, Some(spec)));
    for done in futures_util::future::join_all(revoke).await {
        assert_eq!(done, Ok(Progress::Done));
    }
    assert_eq!(keys(&*case.provider).await, Ok(Vec::new()));
}

async fn credentials_work_and_are_fresh(stand: &dyn Stand) {
    let case = Case::begin(stand, 40, "credentials work and are fresh").await;
    case.provision().await;
    let first = case.credential().await;
    assert!(case.open(&first).await.may(Ability::Read).await);
    assert!(
        !case.open(&first).await.may(Ability::Write).await,
        "it gives what it says and no more"
    );
    let second = case.credential().await;
    assert_ne!(first.secret.expose_secret(), second.secret.expose_secret());
    assert!(
        stand.open(&first).await.is_none(),
        "the one before no longer works"
    );
    assert!(case.open(&second).await.may(Ability::Read).await);
    assert!(
        !format!("{second:?}").contains(second.secret.expose_secret()),
        "it does not print itself"
    );
    case.revoke().await;
    case.assert_absent().await;
}

async fn a_repeated_provisioning_keeps_the_credential(stand: &dyn Stand) {
    let mut case = Case::begin(stand, 41, "a repeated provisioning keeps the credential").await;
    case.provision().await;
    let credential = case.credential().await;
    let mut open = case.open(&credential).await;
    case.until = case.until + Span::hours(1);
    case.provision().await;
    assert!(open.may(Ability::Read).await, "the open session goes on");
    assert!(case.open(&credential).await.may(Ability::Read).await);
    case.revoke().await;
}

async fn what_the_spec_gave_before_is_taken_back(stand: &dyn Stand) {
    let mut case = Case::begin(stand, 42, "what the spec gave before is taken back").await;
    let reads = case.spec.clone();
    case.spec = spec_of(stand, 42, stand.config(&[Ability::Read, Ability::Write])).1;
    case.provision().await;
    let credential = case.credential().await;
    let mut open = case.open(&credential).await;
    assert!(open.may(Ability::Read).await && open.may(Ability::Write).await);
    case.spec = reads;
    case.provision().await;
    assert!(open.may(Ability::Read).await && !open.may(Ability::Write).await);
    case.revoke().await;
    case.assert_absent().await;
}

async fn sessions_are_cut(stand: &dyn Stand) {
    let case = Case::begin(stand, 43, "sessions are cut").await;
    case.provision().await;
    let credential = case.credential().await;
    let mut open = [
        case.open(&credential).await,
        case.open(&credential).await,
        case.open(&credential).await,
    ];
    assert!(open[0].may(Ability::Read).await);
    case.revoke().await;
    case.assert_absent().await;
    for session in &mut open {
        assert!(session.is_cut().await);
        assert!(!session.may(Ability::Read).await);
    }
    assert!(stand.open(&credential).await.is_none());
}

async fn a_credential_makes_nothing(stand: &dyn Stand) {
    let case = Case::begin(stand, 44, "a credential makes nothing").await;
    let refused = case.provider.credential(&case.key, &case.spec).await.unwrap_err();
    assert_eq!(refused.fault, Fault::NotFound, "before");
    case.assert_absent().await;
    case.provision().await;
    case.credential().await;
    case.revoke().await;
    let refused = case.provider.credential(&case.key, &case.spec).await.unwrap_err();
    assert_eq!(refused.fault, Fault::NotFound, "after");
    case.assert_absent().await;
}

async fn there_is_no_credential(stand: &dyn Stand) {
    let case = Case::begin(stand, 47, "there is no credential").await;
    case.provision().await;
    let refused = case.provider.credential(&case.key, &case.spec).await.unwrap_err();
    assert_eq!(refused.fault, Fault::Misconfigured);
    case.until().await;
    case.revoke().await;
}

async fn the_target_ends_it_itself(stand: &dyn Stand) {
    let mut case = Case::begin(stand, 45, "the target ends it itself").await;
    case.provision().await;
    let credential = case.credential().await;
    assert!(stand.open(&credential).await.is_some());
    // Moving the limit into the past stands for waiting until then.
    case.until = stand.now().await - Span::seconds(1);
    case.provision().await;
    assert!(
        stand.open(&credential).await.is_none(),
        "with Daypass doing nothing"
    );
    case.revoke().await;
    case.assert_absent().await;
}

async fn the_target_goes_down_and_comes_back(stand: &dyn Stand) {
    let case = Case::begin(stand, 46, "the target goes down and comes back").await;
    case.provision().await;
    stand.down().await;
    let provider = &case.provider;
    let mut faults = vec![
        provider
            .provision(&case.key, &case.spec, "ana", case.until)
            .await
            .map(drop),
        provider.revoke(&case.key, Some(&case.spec)).await.map(drop),
        provider.inspect(&case.key, Some(&case.spec)).await.map(drop),
        provider.list_managed().await.map(drop),
        provider.probe().await,
    ];
    if provider.capabilities().credential {
        faults.push(provider.credential(&case.key, &case.spec).await.map(drop));
    }
    for (index, fault) in faults.into_iter().enumerate() {
        assert_eq!(fault.unwrap_err().fault, Fault::Unavailable, "call {index}");
    }
    stand.up().await;
    assert_eq!(provider.probe().await, Ok(()));
    case.until().await;
    case.revoke().await;
    case.assert_absent().await;
}
