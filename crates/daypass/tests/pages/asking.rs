//! From asking to the end of access: two approvals, a denial, less than was asked for, an emergency, and a fresh proof where one is demanded.

use crate::house::{House, Settings, Store};
use crate::live;
use crate::person::Person;
use crate::world;

/// Ana asks for write access; the address of her request.
#[track_caller]
fn asks(ana: &Person, length: &str, reason: &str) -> String {
    ana.goes("/catalogue");
    ana.clicks("a[href='/ask/orders-prod/write']");
    ana.sees("#outlook", "leads");
    ana.sees("#outlook", "security");
    ana.types("#reason", reason);
    ana.types("#for", length);
    ana.clicks("form[data-preview] button.primary");
    ana.arrives("/requests/")
}

#[test]
fn two_agree_and_the_access_is_there_until_somebody_ends_it() {
    let house = House::open(&Settings::on(Store::Sqlite));
    let [ana, bo, cy] = ["ana", "bo", "cy"].map(|name| Person::enters(&house, name));
    bo.goes("/approvals");
    bo.sees("h2", "Nothing waits for you");

    let request = asks(&ana, "10m", "PAY-7: fix a stuck order");
    ana.sees(".chip", "pending");

    // Nobody reloads: what waits appears, is told, and goes once it is answered.
    bo.sees(".ask blockquote", "PAY-7: fix a stuck order");
    bo.sees("#rail .badge", "1");
    bo.sees(".toast", "1 waiting for you");
    live::settles(&bo);
    bo.types(".ask input[name=comment]", "go on");
    bo.clicks("[data-approve]");
    bo.sees("h2", "Nothing waits for you");
    ana.sees(".steps li.approved", "go on");

    cy.goes(&request);
    cy.clicks("[data-approve]");
    cy.arrives("/approvals");

    ana.sees("section.grant .chip", "active");
    ana.sees(".toast", "orders-prod/write: active");
    ana.sees(".command code", "daypass connect orders-prod/write");
    let left = ana.reads("section.grant time[data-countdown]");
    assert!(left.starts_with("9:") || left.starts_with("10:"), "{left}");
    ana.holds(&format!(
        "document.querySelector('section.grant time[data-countdown]').textContent !== '{left}'"
    ));
    ana.goes("/");
    ana.sees("article.grant h2", "orders-prod/write");

    bo.goes(&request);
    bo.types("#why", "that was enough");
    bo.clicks("section.grant button.danger");
    bo.sees("section.grant .chip", "ended");
    ana.misses("article.grant");
    ana.sees("#live", "You have no access just now");
    ana.sees("#live", "Lately");

    // The same again, in the same words.
    ana.clicks(&format!("#live a[href='{request}']"));
    ana.clicks("article.request a.button[href^='/ask/']");
    ana.holds("document.getElementById('reason').value === 'PAY-7: fix a stuck order'");
    ana.holds("document.getElementById('for').value === '10m'");
}

#[test]
fn who_is_denied_reads_why() {
    let house = House::open(&Settings::on(Store::Sqlite));
    let [ana, bo] = ["ana", "bo"].map(|name| Person::enters(&house, name));
    let request = asks(&ana, "1h", "curious");
    bo.goes(&request);
    bo.types("input[name=comment]", "use the replica");
    bo.clicks("[data-deny]");
    bo.arrives("/approvals");
    ana.sees(".chip", "denied");
    ana.sees(".steps li.denied", "bo denied");
    ana.sees(".steps li.denied q", "use the replica");
    ana.goes("/");
    ana.sees("#live", "You have no access just now");
}

#[test]
fn whoever_agrees_to_less_gives_less() {
    let house = House::open(&Settings::on(Store::Sqlite));
    let [ana, bo, cy] = ["ana", "bo", "cy"].map(|name| Person::enters(&house, name));
    let request = asks(&ana, "2h", "the whole import");
    bo.goes(&request);
    bo.types("input[name=for]", "20m");
    bo.clicks("[data-approve]");
    ana.sees(".steps li.approved", "for 20 min");
    cy.goes(&request);
    cy.clicks("[data-approve]");
    ana.sees("section.grant .chip", "active");
    let left = ana.reads("section.grant time[data-countdown]");
    assert!(left.starts_with("19:") || left.starts_with("20:"), "{left}");

    // What nobody may have is said while it is typed, and again where it is asked for all the same.
    let mut ana = ana;
    ana.goes("/ask/orders-prod/write");
    ana.types("#for", "3h");
    ana.sees("#outlook .problem", "2h");
    ana.types("#reason", "more");
    ana.means("status of 4");
    ana.clicks("form[data-preview] button.primary");
    ana.sees("form #failure", "2h");
    ana.types("#for", "long");
    ana.clicks("form[data-preview] button.primary");
    ana.sees("form #failure", "a number and a unit");
    // And given back.
    ana.goes("/");
    ana.clicks("article.grant form[action$='/release'] button");
    ana.misses("article.grant");
}

#[test]
fn an_emergency_is_taken_at_once_and_looked_at_afterwards() {
    let house = world::with(
        "  - name: emergency
    allow: engineers
    to: {env: production}
    max: 30m
    break_glass: {page: security, review_by: security, within: 24h}",
    );
    let [ana, cy] = ["ana", "cy"].map(|name| Person::enters(&house, name));
    ana.goes("/catalogue");
    ana.clicks("a[href='/break-glass/orders-prod/write']");
    ana.sees("#outlook", "security are told at once");
    ana.types("#reason", "checkout is down");
    ana.clicks("form[data-preview] button.danger");
    let request = ana.arrives("/requests/");
    ana.sees(".chip", "emergency");
    ana.sees("section.grant .chip", "active");
    ana.sees("article.request", "must look at it by");

    cy.goes("/approvals");
    cy.sees(".ask .chip", "emergency");
    cy.types(".look-back textarea", "not an emergency");
    cy.clicks(".look-back input[name=revoke]");
    cy.clicks(".look-back button.primary");
    cy.sees("h2", "Nothing waits for you");
    ana.sees("article.request q", "not an emergency");
    ana.sees("section.grant .chip", "ended");
    assert_eq!(ana.place(), request);
}

#[test]
fn where_a_fresh_proof_is_demanded_it_is_asked_for_and_all_goes_on() {
    let house = world::with(
        "  - {name: prod-fresh, allow: engineers, to: {env: production}, roles: [write], mfa: 1s, approval: none, max: 1h}",
    );
    let mut ana = Person::enters(&house, "ana");
    ana.goes("/ask/orders-prod/write");
    // The session that just began is proof enough until a second has passed.
    ana.holds("performance.now() > 1500");
    ana.types("#reason", "a look at <b>one</b> order & its \"state\"");
    ana.means("401");
    ana.clicks("form[data-preview] button.primary");
    ana.sees("h1", "Is it you?");
    ana.types("#proof", "guessed wrongly");
    ana.clicks("form.proof button.primary");
    ana.sees("#failure", "password");
    ana.types("#proof", &house.passwords["ana"]);
    ana.clicks("form.proof button.primary");
    ana.arrives("/requests/");
    ana.sees("blockquote", "a look at <b>one</b> order & its \"state\"");
    ana.sees("section.grant .chip", "active");
    assert_eq!(
        ana.script(
            "return document.body.innerHTML.includes(arguments[0])",
            &["quiet rivers"]
        ),
        false
    );
}
