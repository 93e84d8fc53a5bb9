//! The log: what happened is found, and that nothing was changed is verified.

use crate::house::{House, Settings, Store};
use crate::person::Person;

#[test]
fn an_auditor_finds_what_happened_and_verifies_it() {
    let house = House::open(&Settings {
        more: "reconcile: {overdue_after: 1s, backoff_max: 2s}\nsigning_key: {file: secrets/log-key}",
        ..Settings::on(Store::Sqlite)
    });
    house.take("orders-prod/read", "10m", &["--wait"]);
    let mut dee = Person::enters(&house, "dee");
    dee.goes("/audit");
    dee.sees(".timeline code", "grant.activated");
    dee.types("#name", "request.created");
    dee.clicks("form.filters button");
    dee.arrives("/audit?name=request.created");
    dee.misses(".timeline li:nth-child(2)");
    dee.clicks(".timeline summary");
    dee.sees(".timeline pre", "orders-prod");

    // What happened just now may not be signed yet.
    dee.means("404");
    dee.finds("/audit/verify", ".checks");
    dee.sees(".checks li", "is signed by its key");
    dee.sees(".checks li", "add up to that head");
    dee.sees(".checks li", "for the first time");
    house.take("orders-prod/read", "11m", &[]);
    dee.goes("/audit/verify");
    dee.sees(".checks li", "that this browser saw before");
    dee.misses(".checks .chip.bad");

    // Who may not read the log is told so, and has no tab for it.
    let mut ana = Person::enters(&house, "ana");
    ana.misses("#rail a[href='/audit']");
    ana.means("403");
    ana.goes("/audit");
    ana.sees("#failure", "member");
}
