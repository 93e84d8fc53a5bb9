//! The live stream: who is told what, coming back after a break, and its end.

use daypass_api::Route;
use daypass_api::client::EventStream;
use daypass_api::event::Event;
use daypass_core::person::{Kind, SystemRole};

use crate::bed::{Bed, next, problem, soon};

/// Everything up to the first event of this name.
async fn until(stream: &mut EventStream, name: &str) -> Vec<Event> {
    let mut seen = Vec::new();
    loop {
        seen.push(next(stream).await);
        if seen.last().is_some_and(|event| event.name == name) {
            return seen;
        }
    }
}

#[tokio::test]
async fn everybody_is_told_what_they_may_see_and_nothing_else() {
    let bed = Bed::start().await;
    bed.add("eve", Kind::Person, SystemRole::Member, Some("engineering"), None)
        .await;
    let streams = ["ana", "bo", "cy", "eve", "dee", "root"];
    let mut open = Vec::new();
    for login in streams {
        open.push(bed.client(login).await.events(None).await.unwrap());
    }
    let id = bed.granted().await;
    bed.reaches(id, daypass_api::grant::GrantState::Active).await;
    bed.client("ana").await.release(id).await.unwrap();
    // Eve's own, at the end, shows that nothing of ana's came before it.
    let [ana, bo, cy, eve, dee, root] = &mut open[..] else {
        panic!("six streams")
    };
    for stream in [ana, bo, cy, dee, root] {
        let names: Vec<_> = until(stream, "grant.ended")
            .await
            .into_iter()
            .map(|event| event.name)
            .collect();
        for name in ["request.created", "request.approved", "grant.activated"] {
            assert!(
                names.iter().any(|seen| seen == name),
                "{name} is not in {names:?}"
            );
        }
    }
    let eves = bed.client("eve").await;
    let mine = bed
        .client_of(&bed.session("eve").await)
        .add_request(&crate::bed::ask("staging/read"))
        .await
        .unwrap();
    for event in until(eve, "request.created").await {
        let own = event.subject.kind == "person" && event.subject.id == bed.id("eve").to_string();
        assert!(own || event.subject.id == mine.id.to_string(), "{event:?}");
    }
    drop(eves);
}

#[tokio::test]
async fn a_client_that_comes_back_misses_nothing() {
    let bed = Bed::start().await;
    let dee = bed.client("dee").await;
    let mut live = dee.events(None).await.unwrap();
    let id = bed.granted().await;
    let first = until(&mut live, "request.approved").await;
    let last = first.last().unwrap().seq;
    drop(live);
    bed.client("ana").await.release(id).await.unwrap();
    bed.reaches(id, daypass_api::grant::GrantState::Ended).await;
    let mut again = dee.events(Some(last)).await.unwrap();
    let rest = until(&mut again, "grant.ended").await;
    assert!(rest.iter().all(|event| event.seq > last));
    assert!(rest.is_sorted_by_key(|event| event.seq));
    assert!(
        rest.iter().any(|event| event.name == "grant.activated"),
        "{rest:?}"
    );
    let everything = until(&mut dee.events(Some(0)).await.unwrap(), "grant.ended").await;
    let indices: Vec<u64> = everything.iter().map(|event| event.seq).collect();
    assert_eq!(
        indices,
        (1..=*indices.last().unwrap()).collect::<Vec<_>>(),
        "no event is missing"
    );
}

#[tokio::test]
async fn a_stream_ends_with_its_session() {
    let bed = Bed::start().await;
    for how in ["deactivate", "password", "logout"] {
        let login = format!("temp-{how}");
        bed.add(&login, Kind::Person, SystemRole::Member, None, None)
            .await;
        let session = bed.session(&login).await;
        let mut stream = bed.client_of(&session).events(None).await.unwrap();
        let name = login.parse().unwrap();
        let root = bed.client("root").await;
        match how {
            "deactivate" => drop(root.deactivate(&name).await.unwrap()),
            "password" => {
                let new = daypass_api::person::SetPassword {
                    current: None,
                    password: daypass_api::Secret::new("another quiet river"),
                };
                root.set_password(&name, &new).await.unwrap();
            }
            _ => bed.client_of(&session).logout().await.unwrap(),
        }
        soon("the end of the stream", async {
            while stream.next().await.unwrap().is_some() {}
        })
        .await;
        assert!(bed.client_of(&session).whoami().await.is_err());
    }
}

#[tokio::test]
async fn a_place_that_is_none_is_refused() {
    let bed = Bed::start().await;
    let ana = bed.session("ana").await;
    let answer = bed
        .call(Route::Events, &[], Some(&ana))
        .header("last-event-id", "yesterday")
        .send()
        .await
        .unwrap();
    assert_eq!(problem(answer).await.status, 400);
}
