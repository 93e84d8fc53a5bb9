//! Lists, pages and prefixes.

use daypass_core::grant::{Evidence, Grant, Proof, Reason};
use daypass_core::id::RequestId;
use daypass_core::refusal::Code;
use daypass_core::time::Span;
use daypass_store::{Cursor, Error, GrantFilter, RequestFilter, Store};

use crate::bench::{Bench, on_every_engine};
use crate::story::*;

on_every_engine!(
    requests_are_listed_newest_first,
    grants_are_listed_by_holder_and_state,
    extensions_are_found_by_their_grant,
    a_unique_prefix_is_enough,
);

async fn requests_are_listed_newest_first(bench: Bench) {
    // Several at one instant: the id decides, and no page loses one.
    for n in 0..23 {
        let requester = person_id(n % 2);
        let steps: &[u32] = if n < 4 { &[] } else { &[1] };
        ask(
            &bench.store,
            Asked {
                requester,
                ..Asked::new(n, steps)
            },
        )
        .await
        .unwrap();
        if n % 5 == 0 {
            bench.advance(Span::seconds(1));
        }
    }
    let walk = async |filter: RequestFilter| {
        let (mut ids, mut after, mut pages) = (Vec::new(), None::<Cursor>, 0);
        loop {
            let page = bench
                .store
                .requests(filter.clone(), after.take(), 5)
                .await
                .unwrap();
            assert!(
                page.items
                    .iter()
                    .all(|request| !request.ask.reason.text().is_empty())
            );
            ids.extend(page.items.into_iter().map(|request| request.id));
            pages += 1;
            match page.next {
                // As a client would send it back.
                Some(next) => after = Some(next.to_string().parse().unwrap()),
                None => return (ids, pages),
            }
        }
    };
    let all = (0..23).rev().map(request_id).collect::<Vec<_>>();
    assert_eq!(walk(RequestFilter::default()).await, (all.clone(), 5));
    let mine = RequestFilter {
        requester: Some(person_id(1)),
        ..RequestFilter::default()
    };
    assert_eq!(
        walk(mine.clone()).await.0,
        all.iter()
            .copied()
            .filter(|id| id.bytes()[0] % 2 == 1)
            .collect::<Vec<_>>()
    );
    let pending = RequestFilter {
        state: Some(String::from("pending")),
        ..RequestFilter::default()
    };
    assert_eq!(walk(pending).await.0, all[..19]);
    let both = RequestFilter {
        state: Some(String::from("approved")),
        ..mine
    };
    assert_eq!(walk(both).await.0, [request_id(3), request_id(1)]);
    let unknown = RequestFilter {
        state: Some(String::from("';--")),
        ..RequestFilter::default()
    };
    assert_eq!(walk(unknown).await, (Vec::new(), 1));
}

/// Six grants of two people: the first ended, the third ending, the second and fourth being provisioned, the rest to come.
async fn six(store: &Store) {
    for n in 0..6 {
        ask(
            store,
            Asked {
                requester: person_id(n % 2),
                ..Asked::new(n, &[])
            },
        )
        .await
        .unwrap();
    }
    for n in 0..4 {
        change_grant(store, grant_id(n), Grant::begin).await.unwrap();
    }
    for n in [0, 2] {
        change_grant(store, grant_id(n), |grant, now| grant.end(Reason::Released, now))
            .await
            .unwrap();
    }
    let conclude = |grant: &Grant, _| {
        let item = grant.parts[0].item().clone();
        grant.conclude(vec![Evidence {
            item,
            proof: Proof::NeverProvisioned,
        }])
    };
    change_grant(store, grant_id(0), conclude).await.unwrap();
}

async fn grants_are_listed_by_holder_and_state(bench: Bench) {
    let store = &bench.store;
    six(store).await;
    let check = async |filter: GrantFilter, expected: &[u8]| {
        let page = store.grants(filter.clone(), None, 100).await.unwrap();
        let ids: Vec<_> = page.items.iter().map(|grant| grant.id.bytes()[0]).collect();
        assert_eq!(ids, expected, "{filter:?}");
    };
    let any = GrantFilter::default;
    let states = |states: &[&str]| states.iter().map(|state| (*state).to_owned()).collect::<Vec<_>>();
    check(any(), &[5, 4, 3, 2, 1, 0]).await;
    check(GrantFilter { open: true, ..any() }, &[5, 4, 3, 2, 1]).await;
    check(
        GrantFilter {
            holder: Some(person_id(0)),
            ..any()
        },
        &[4, 2, 0],
    )
    .await;
    check(
        GrantFilter {
            holder: Some(person_id(0)),
            open: true,
            ..any()
        },
        &[4, 2],
    )
    .await;
    check(
        GrantFilter {
            states: states(&["ended"]),
            ..any()
        },
        &[0],
    )
    .await;
    check(
        GrantFilter {
            states: states(&["ending", "activating"]),
            ..any()
        },
        &[3, 2, 1],
    )
    .await;
    check(
        GrantFilter {
            states: states(&["ended"]),
            open: true,
            ..any()
        },
        &[],
    )
    .await;
    let first = store.grants(any(), None, 4).await.unwrap();
    let second = store.grants(any(), first.next, 4).await.unwrap();
    assert_eq!((first.items.len(), second.items.len(), second.next), (4, 2, None));
    let live = store.live_grants_of(person_id(0)).await.unwrap();
    assert_eq!(
        live.iter().map(|grant| grant.id).collect::<Vec<_>>(),
        [grant_id(4)]
    );
}

async fn extensions_are_found_by_their_grant(bench: Bench) {
    let store = &bench.store;
    ask(store, Asked::new(1, &[])).await.unwrap();
    activate(store, 1).await;
    let before = store
        .grant(grant_id(1))
        .await
        .unwrap()
        .unwrap()
        .expires_at()
        .unwrap();
    for n in [2, 3] {
        ask(
            store,
            Asked {
                extends: Some(grant_id(1)),
                ..Asked::new(n, &[1])
            },
        )
        .await
        .unwrap();
    }
    let approved = review(store, request_id(3), person_id(9), YES, None)
        .await
        .unwrap();
    let extended = approved.world.grants.get(&grant_id(1)).unwrap();
    assert_eq!(extended.expires_at(), Some(before + Span::hours(1)));
    let asking = store.requests_extending(grant_id(1)).await.unwrap();
    assert_eq!(
        asking.iter().map(|request| request.id).collect::<Vec<_>>(),
        [request_id(2), request_id(3)]
    );
    assert_eq!(store.grant_of_request(request_id(3)).await.unwrap(), None);
    assert_eq!(store.requests_extending(grant_id(2)).await.unwrap(), []);
    store.verify().await.unwrap();
}

async fn a_unique_prefix_is_enough(bench: Bench) {
    let store = &bench.store;
    let ids: Vec<_> = [[0; 10], [0, 0, 0, 0, 1, 0, 0, 0, 0, 0], [255; 10]]
        .map(RequestId::from_bytes)
        .to_vec();
    for id in &ids {
        ask(
            store,
            Asked {
                id: *id,
                ..Asked::new(1, &[])
            },
        )
        .await
        .unwrap();
    }
    let [zero, near, far] = [0, 1, 2].map(|at: usize| ids[at]);
    assert_eq!(store.resolve_request(&far.short()).await.unwrap(), far);
    assert_eq!(store.resolve_request("rz").await.unwrap(), far);
    assert_eq!(store.resolve_request(&zero.to_string()).await.unwrap(), zero);
    assert_eq!(
        store.resolve_request(" rOOOOOOOi ").await.unwrap(),
        near,
        "as people mistype it"
    );
    assert_eq!(store.resolve_grant("gz").await.unwrap(), far.into());
    let Err(Error::Refused(several)) = store.resolve_request("R0").await else {
        panic!("two begin so")
    };
    assert_eq!(several.code, Code::Invalid);
    assert_eq!(several.what, format!("\"R0\" could be {zero}, {near}"));
    for none in ["", "RA", "G", "R0%", "R_", "gz0", "P0", &format!("{far}0")] {
        let Err(Error::Refused(refusal)) = store.resolve_request(none).await else {
            panic!("{none}")
        };
        assert_eq!(refusal.code, Code::NotFound, "{none}");
    }
}
