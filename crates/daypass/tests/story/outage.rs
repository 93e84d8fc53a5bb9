//! The target is stopped across a deadline: the access goes as soon as it answers, and until then everybody can see that it
//! has not gone.

use daypass_server::edge;
use daypass_testbed::postgres::Stop;

use crate::house::{House, Settings, Store, ended_as_seen, names, on_both_stores};
use crate::running::ends_with;
use crate::target::{Session, seconds};

on_both_stores!(a_target_stopped_across_the_deadline);

/// Twice the longest pause between two attempts, which is 2 s in this house, and what a busy machine takes.
const SOON: std::time::Duration = std::time::Duration::from_secs(15);

fn a_target_stopped_across_the_deadline(store: Store) {
    let mut house = House::open(&Settings::on(store));
    let grant = house.take("orders-prod/read", "6s", &["--wait"]);
    let held = Session::open(&house.credentials(&grant)).unwrap();
    // A call that the stop cut off might still take effect, for all that anybody knows: its absence would be believed only after
    // the provider's ceiling. That is another story.
    let told = house.until(&grant, "its deadline at the target", |grant| {
        grant["entitlements"][0]["until"] == grant["expires_at"]
    });
    assert_eq!(told["state"], "active");
    house.target.postgres.stop(Stop::Immediate).unwrap();
    assert_eq!(
        house.grant(&grant)["state"],
        "active",
        "it was stopped before the deadline"
    );
    held.until_gone();

    let overdue = house.until(&grant, "overdue", |grant| grant["overdue"] == true);
    assert_eq!(overdue["state"], "ending");
    assert_eq!(overdue["entitlements"][0]["overdue"], true);
    assert_ne!(
        overdue["entitlements"][0]["observed"], "absent",
        "nobody has seen it"
    );
    let (shown, _) = ends_with(&mut house.cli("ana", &["status"]), 0);
    assert!(shown.contains("OVERDUE"), "{shown}");
    let (shown, _) = ends_with(&mut house.cli("dee", &["status", &grant]), 0);
    assert!(shown.contains("OVERDUE"), "{shown}");
    let metrics = house.nobody().get("/metrics").body;
    assert!(metrics.contains("daypass_grants_overdue 1"), "{metrics}");
    assert!(
        metrics.contains("daypass_connector_up{connector=\"pg-main\"} 0"),
        "{metrics}"
    );
    let ready = house.nobody().get("/readyz");
    assert_eq!(
        ready.status, 200,
        "a target's outage is not the server's: {ready:?}"
    );

    house.target.postgres.start_again().unwrap();
    let answers = edge::instant();
    let ended = house.until_state(&grant, "ended");
    let took = answers.elapsed();
    ended_as_seen(&ended);
    assert_eq!(house.target.roles(), Vec::<String>::new());
    println!(
        "{store:?}: seen to be gone {} after the target answered again",
        seconds(took)
    );
    assert!(took < SOON, "{took:?}");
    let events = house.audit(&[&grant]);
    let told = names(&events);
    let place = |name| told.iter().position(|other| *other == name);
    assert!(place("grant.ending") < place("grant.overdue"), "{told:?}");
    assert!(
        place("grant.overdue") < place("entitlement.verified_absent"),
        "{told:?}"
    );
    assert!(place("grant.overdue").is_some(), "{told:?}");
    let failing = events.iter().find(|event| event["name"] == "entitlement.failing");
    assert!(failing.is_some(), "the log says why it took so long: {told:?}");
}
