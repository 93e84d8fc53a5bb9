//! Pages that change while somebody uses them: what is in their hands stays there, what was lost sight of is caught up with, and what went wrong is
//! said where it went wrong.

use fantoccini::key::Key;
use serde_json::json;

use crate::house::{House, Settings, Store};
use crate::person::Person;
use crate::world;

/// Waits until what is to be answered stands still long enough to be answered.
#[track_caller]
pub(crate) fn settles(person: &Person) {
    person.holds("document.querySelector('.settling') === null");
}

/// From now on, counts the forms that this page sends.
#[track_caller]
pub(crate) fn counts(person: &Person) {
    let counting = "const real = window.fetch; window.posts = 0;
        window.fetch = (what, how) => { if (how?.method === 'POST') window.posts += 1; return real(what, how); };";
    person.script(counting, &[]);
}

/// How many it sent.
#[track_caller]
pub(crate) fn counted(person: &Person) -> u64 {
    person.script("return window.posts", &[]).as_u64().unwrap()
}

/// Ana asks for write access; the request's name.
#[track_caller]
fn asks(house: &House, reason: &str) -> String {
    let item = json!([{"resource": "orders-prod", "role": "write"}]);
    let ask = json!({"items": item, "reason": reason, "duration": "10m"});
    let asked = house.api("ana").post("/api/v1/requests", &ask).of(201);
    asked["id"].as_str().unwrap().to_owned()
}

#[test]
fn what_is_in_somebodys_hands_stays_there() {
    let house = world::with(
        "  - {name: emergency, allow: engineers, to: {env: production}, max: 30m, break_glass: {page: security, review_by: security, within: 24h}}",
    );
    let takes = |role: &str| {
        let ask =
            json!({"items": [{"resource": "orders-prod", "role": role}], "reason": "down", "duration": "5m"});
        let taken = house.api("ana").post("/api/v1/break-glass", &ask).of(201);
        taken["id"].as_str().unwrap().to_owned()
    };
    let first = takes("write");
    let cy = Person::enters(&house, "cy");
    cy.goes("/approvals");
    let tick = format!("#request-{first} input[name=revoke]");
    cy.clicks(&tick);
    cy.script("document.activeElement.blur()", &[]);

    let second = takes("read");
    cy.sees("#news", "Something changed");
    cy.sees("#rail .badge", "2");
    cy.sees(".toast", "2 waiting for you");
    cy.misses(&format!("#request-{second}"));
    let ticked = format!("document.querySelector('{tick}').checked");
    assert_eq!(cy.script(&format!("return {ticked}"), &[]), true);

    // Shown when they say so; and the tick is still theirs.
    cy.clicks("#news button");
    cy.sees(&format!("#request-{second}"), "down");
    cy.misses("#news button");
    cy.holds(&ticked);
    let others = format!("!document.querySelector('#request-{second} input[name=revoke]').checked");
    cy.holds(&others);
}

#[test]
fn an_answer_that_comes_late_takes_nobody_back() {
    let house = House::open(&Settings::on(Store::Sqlite));
    let first = asks(&house, "one");
    let bo = Person::enters(&house, "bo");
    bo.goes(&format!("/requests/{first}"));
    let holding = "const real = window.fetch; window.late = [];
        window.fetch = async (what, how) => {
            const answer = await real(what, how);
            if (how?.method !== 'POST') await new Promise((go) => window.late.push(go));
            return answer;
        };
        window.goOn = () => { window.fetch = real; for (const go of window.late) go(); };";
    bo.script(holding, &[]);
    // What the page would be is on its way to him, as it was before he answered.
    asks(&house, "two");
    bo.holds("window.late.length > 0");
    bo.clicks("[data-approve]");
    bo.arrives("/approvals");
    bo.sees("blockquote", "two");
    bo.script("window.goOn()", &[]);
    asks(&house, "three");
    bo.sees(".ask blockquote", "three");
    assert_eq!(bo.place(), "/approvals");
    bo.misses(&format!("#request-{first}"));
}

#[test]
fn the_way_back_leads_to_a_page_and_brings_nothing_along() {
    let house = House::open(&Settings::on(Store::Sqlite));
    let ana = Person::enters(&house, "ana");
    ana.goes("/ask/orders-prod/write");
    ana.types("#reason", "one");
    ana.types("#for", "10m");
    ana.clicks("form[data-preview] button.primary");
    let request = ana.arrives("/requests/");
    ana.sees(".chip", "pending");
    ana.script("history.back()", &[]);
    ana.sees("#outlook", "leads");
    assert_eq!(ana.place(), "/ask/orders-prod/write");
    ana.types("#reason", "of this page alone");
    let another =
        "history.pushState(null, '', arguments[0]); window.dispatchEvent(new PopStateEvent('popstate'))";
    ana.script(another, &["/ask/orders-prod/read?for=9h"]);
    ana.holds(
        "document.querySelector('form[data-preview]').getAttribute('action') === '/ask/orders-prod/read'",
    );
    ana.holds("document.getElementById('reason').value === ''");
    ana.script(another, &[&request]);
    ana.sees(".chip", "pending");
}

#[test]
fn whoever_looks_away_sees_what_happened_once_they_look_again() {
    let mut house = House::open(&Settings::on(Store::Sqlite));
    let mut bo = Person::enters(&house, "bo");
    bo.goes("/approvals");
    asks(&house, "while he looks");
    bo.sees(".ask blockquote", "while he looks");
    let looks = |bo: &Person, away: &str| {
        let looking = "Object.defineProperty(document, 'hidden', { value: arguments[0] === 'away', configurable: true });
            document.dispatchEvent(new Event('visibilitychange'))";
        bo.script(looking, &[away]);
    };
    looks(&bo, "away");
    asks(&house, "while he is away");
    looks(&bo, "here");
    bo.sees(".ask blockquote", "while he is away");

    // The same where it was the server that was away.
    bo.means("ERR_");
    house.kill();
    house.serve();
    asks(&house, "right after the server came back");
    bo.sees(".ask blockquote", "right after the server came back");
}

#[test]
fn a_refusal_stands_at_its_form_and_takes_nothing() {
    let house = House::open(&Settings::on(Store::Sqlite));
    let grant = house.take("orders-prod/read", "10m", &["--wait"]);
    let mut ana = Person::enters(&house, "ana");
    ana.sees("article.grant .chip", "active");
    ana.clicks("article.grant summary");
    let field = format!("#longer-{grant}");
    ana.types(&field, "99h");
    ana.means("status of 4");
    ana.clicks("article.grant details button.primary");
    ana.sees("article.grant [data-refused][role=alert]", "h");
    ana.holds(&format!("document.querySelector('{field}').value === '99h'"));
    // What happens meanwhile takes neither away.
    asks(&house, "something else");
    ana.sees("#news", "Something changed");
    ana.sees("article.grant [data-refused][role=alert]", "h");

    // Where no page may copy, what would be is selected.
    ana.script(
        "Object.defineProperty(navigator, 'clipboard', { value: undefined })",
        &[],
    );
    ana.clicks("article.grant [data-copy]");
    ana.sees(".toast", "It is selected");
    ana.holds(
        "getSelection().toString() === document.querySelector('article.grant [data-copy]').dataset.copy",
    );
}

#[test]
fn the_log_is_not_moved_under_whoever_reads_it() {
    let house = House::open(&Settings::on(Store::Sqlite));
    let dee = Person::enters(&house, "dee");
    dee.goes("/audit?name=request.created");
    dee.sees("h2", "Nothing of that kind");
    asks(&house, "one");
    dee.sees("#news", "New events:");
    dee.sees("h2", "Nothing of that kind");
    dee.clicks("#news button");
    dee.sees(".timeline code", "request.created");
    dee.misses("#news button");
}

/// Writes a line at the head of the policy.
const WRITES: &str = "const area = document.getElementById('file-0'); area.value = '# mine\\n' + area.value;
    area.dispatchEvent(new Event('input', { bubbles: true }))";

#[test]
fn a_change_of_the_policy_waits_for_others_and_is_counted() {
    let house = House::open(&Settings::on(Store::Sqlite));
    let asks_security = "version: 1\npolicy: {approval: [{from: security, within: 4h}]}\n";
    house.write("policy/changes.yaml", asks_security);
    world::apply(&house);
    let [admin, cy] = ["admin", "cy"].map(|name| Person::enters(&house, name));
    admin.goes("/policy");
    admin.sees("#findings .chip", "Sound");
    admin.script(WRITES, &[]);
    admin.clicks("button[formaction='/policy/plan']");
    admin.sees("form.confirm h2", "Propose it?");
    admin.holds("sessionStorage.length === 1");
    admin.clicks("form.confirm button.primary");
    let change = admin.arrives("/changes/");
    admin.sees(".chip", "pending");
    // It is no draft any more.
    admin.holds("sessionStorage.length === 0");

    cy.sees("#rail .badge", "1");
    cy.sees(".toast", "1 waiting for you");
    cy.goes("/approvals");
    cy.keys("j");
    cy.keys(&Key::Enter.to_string());
    cy.arrives(&change);
    cy.holds("document.activeElement.matches('[data-item]')");
    counts(&cy);
    cy.keys("d");
    cy.holds("document.activeElement.id === 'comment'");
    cy.keys(&format!("fine{}", Key::Enter));
    assert_eq!(counted(&cy), 0, "Enter in a comment agrees to nothing");
    cy.clicks("[data-approve]");
    cy.sees(".chip", "applied");
    cy.misses("#rail .badge");
    cy.holds("document.activeElement.localName === 'h1'");
}

#[test]
fn a_draft_is_not_lost_by_a_slip() {
    let house = House::open(&Settings::on(Store::Sqlite));
    let admin = Person::enters(&house, "admin");
    let is_there = "document.getElementById('file-0').value.startsWith('# mine')";
    admin.goes("/policy");
    admin.misses("[data-kept]");
    admin.sees("#findings .chip", "Sound");
    admin.script(WRITES, &[]);
    admin.clicks("button[formaction='/policy/plan']");
    admin.arrives("/policy/plan");
    admin.clicks("button[formaction='/policy/check']");
    admin.holds("location.pathname === '/policy'");
    admin.holds(is_there);

    // Back asks first, and stays where one says so.
    let asking = "window.confirm = () => { window.asked = true; return false; }; history.back()";
    admin.script(asking, &[]);
    admin.holds("window.asked === true && location.pathname === '/policy'");
    admin.holds(is_there);

    // Gone all the same, it is offered; and dropped, it is gone.
    admin.goes("/catalogue");
    admin.goes("/policy");
    admin.sees("[data-kept]", "A draft of yours");
    admin.clicks("[data-take-up]");
    admin.holds(is_there);
    admin.misses("[data-kept]");
    admin.goes("/policy");
    admin.clicks("[data-drop]");
    admin.misses("[data-kept]");
    admin.goes("/policy");
    admin.sees("#findings .chip", "Sound");
    admin.misses("[data-kept]");
    assert_eq!(admin.script("return sessionStorage.length", &[]), 0);

    // What cannot be checked says so.
    admin.script(WRITES, &[]);
    admin.tells_browser("Network.clearBrowserCookies", &json!({}));
    admin.clicks(".steady button[formaction='/policy/check']");
    admin.sees("#findings", "You are signed out");
    admin.holds(is_there);
}
