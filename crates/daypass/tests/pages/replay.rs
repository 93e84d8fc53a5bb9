//! What was done in a session is read, searched, played and watched; who may not look sees why; and nothing of it is more than text.

use crate::axe;
use crate::gate::Gate;
use crate::gated;
use crate::house::{House, Store};
use crate::person::{Having, Person};
use crate::target::Session;

/// What this would do, were it taken for more than text.
const HOSTILE: &str = "<img src=x data-pwned onerror=pwned=1><script data-pwned>pwned=1</script>";

#[track_caller]
fn is_text_alone(person: &Person) {
    person.holds("!document.querySelector('[data-pwned]') && typeof pwned === 'undefined'");
}

/// The newest session, as the auditor sees it.
#[track_caller]
fn newest(house: &House) -> String {
    let all = house.run("dee", &["session", "ls"]);
    all[0]["id"].as_str().unwrap().to_owned()
}

#[track_caller]
fn events(house: &House, name: &str) -> usize {
    let all = house.run("dee", &["audit", "ls", "--event", name]);
    all.as_array().unwrap().len()
}

#[test]
fn statements_are_read_searched_and_watched() {
    let house = gated::house(Store::Sqlite);
    let grant = house.take("orders-gate/read", "10m", &["--wait"]);
    let held = Session::open(&house.credentials(&grant)).unwrap();
    let asked = format!("SELECT 7::bigint -- {HOSTILE}");
    assert_eq!(held.ask(&asked).unwrap(), 7);
    held.tell("DELETE FROM orders").unwrap_err();

    let dee = Person::enters(&house, "dee");
    dee.goes("/sessions");
    dee.clicks("td a[href^='/sessions/']");
    let page = dee.arrives("/sessions/");
    dee.sees("dl", "under grant");
    assert_eq!(events(&house, "session.replayed"), 0, "nothing of it was shown");

    let recording = format!("{page}/recording");
    dee.finds(&recording, "#record-2");
    dee.sees("#record-1 .what", &asked);
    dee.sees("#record-2.warned .warn", "refused: ");
    is_text_alone(&dee);
    assert!(events(&house, "session.replayed") > 0);
    dee.types("#words", "delete FROM");
    dee.clicks("form[data-within] button");
    dee.misses("#record-1");
    dee.sees("#record-2 .what", "DELETE FROM orders");

    dee.goes(&format!("{page}/watch"));
    dee.sees("[data-said]", "You watch it live");
    assert_eq!(events(&house, "session.watched"), 1);
    held.ask(&format!("SELECT 8::bigint -- {HOSTILE}")).unwrap();
    dee.sees("[data-records] .what", "SELECT 8::bigint -- <img");
    is_text_alone(&dee);
    drop(held);
    dee.sees("[data-said]", "It is over here");

    // All of it without a script.
    let without = Having {
        scripts: false,
        ..Having::default()
    };
    let plain = Person::enters_having(&house, "dee", without);
    plain.goes(&format!("{recording}?words=bigint&from=2"));
    plain.sees(".what", "SELECT 8::bigint");
    plain.clicks("a[data-turn]");
    plain.sees("#record-1 .what", "SELECT 7::bigint");

    who_may_not_look_sees_why(&house, &page);
}

/// The holder sees that the session was there, and not into it; others do not know of it.
#[track_caller]
fn who_may_not_look_sees_why(house: &House, page: &str) {
    let mut ana = Person::enters(house, "ana");
    ana.means("status of 403");
    ana.goes(page);
    ana.sees("dl", "orders-gate/read");
    ana.goes(&format!("{page}/recording"));
    ana.sees("#failure", "for auditors");
    ana.misses(".records");
    let mut bo = Person::enters(house, "bo");
    bo.means("status of 404");
    for more in ["", "/recording", "/watch"] {
        bo.goes(&format!("{page}{more}"));
        bo.sees("#failure", "there is no session");
    }
}

#[test]
fn a_terminal_is_played_as_it_was_and_searched() {
    let gate = Gate::open();
    let key = gate.own_key("ana");
    let shows = format!("printf '\\033[1;31mcrimson\\033[0m {HOSTILE}\\r\\n'; sleep 3; echo later");
    let output = gate
        .ssh(&key, "web-1/shell")
        .args(["-tt", &shows])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let recording = format!("/sessions/{}/recording", newest(&gate.house));

    let dee = Person::enters(&gate.house, "dee");
    dee.finds(&recording, ".records .what");
    dee.sees(".records .what", "crimson <img");
    dee.clicks("[data-play]");
    dee.sees(".screen .f1.bold", "crimson");
    // Three seconds in which nothing happens take half of one.
    dee.sees(".screen", "later");
    dee.sees("[data-play]", "Play");
    is_text_alone(&dee);
    axe::finds_nothing(&dee);
    dee.types("#words", "CRIMSON");
    dee.clicks("form[data-within] button");
    // The first is the command, from before anything was shown.
    dee.clicks(".hits li:last-child a[data-jump]");
    dee.holds("!document.querySelector('.screen').textContent.includes('later')");
    dee.sees(".screen", "crimson");

    let mut held = gate.held(&key, "web-1/shell");
    let admin = Person::enters(&gate.house, "admin");
    admin.goes(&format!("/sessions/{}/watch", newest(&gate.house)));
    admin.sees("[data-said]", "You watch it live");
    admin.types("#why", "seen enough");
    admin.clicks("button.danger");
    admin.sees(".chip", "over");
    assert!(!held.wait().unwrap().success());
}
