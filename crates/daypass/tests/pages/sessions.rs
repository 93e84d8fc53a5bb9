//! Somebody is connected: it is seen as it happens, and cut with a reason; and one's own sessions with Daypass.

use crate::gated;
use crate::house::{House, Settings, Store};
use crate::person::Person;
use crate::target::Session;

#[test]
fn who_is_connected_is_seen_at_once_and_cut_with_a_reason() {
    let house = gated::house(Store::Sqlite);
    let admin = Person::enters(&house, "admin");
    admin.goes("/sessions");
    admin.sees("h2", "Nobody is connected");

    let grant = house.take("orders-gate/read", "10m", &["--wait"]);
    let held = Session::open(&house.credentials(&grant)).unwrap();
    assert_eq!(held.ask("SELECT count(*) FROM orders").unwrap(), 2);
    admin.sees("h2", "ana on orders-gate/read");
    admin.sees("td .chip", "live");
    admin.types("td input[name=reason]", "wrong database");
    admin.clicks("td button.danger");
    held.until_gone();
    admin.sees("h2", "Nobody is connected");
    admin.clicks(".tabs a[href='/sessions?all=1']");
    admin.sees("td", "killed");
}

#[test]
fn one_comes_in_by_password_alone_and_leaves_everywhere() {
    let house = House::open(&Settings::on(Store::Sqlite));
    let mut ana = Person::comes(&house, "ana", crate::person::Having::default());
    // Whoever follows a link in a mail comes back to it.
    ana.goes("/ask/orders-prod/read");
    ana.arrives("/sign-in?next=");
    ana.means("401");
    ana.signs_in("ana", "guessed wrongly");
    ana.sees("#failure", "wrong");
    ana.holds("document.getElementById('login').value === 'ana'");
    ana.signs_in("ana", &house.passwords["ana"]);
    ana.arrives("/ask/orders-prod/read");
    assert_eq!(
        ana.script("return document.cookie", &[]),
        "",
        "no script has the session"
    );

    // Another browser of hers, which she ends from here: it is out with the next thing that it does.
    let other = Person::enters(&house, "ana");
    ana.goes("/account");
    ana.sees("h1", "Your account");
    let others = "[...document.querySelectorAll('li[id^=token-]')].filter(one => one.textContent.includes('browser')).length";
    ana.holds(&format!("{others} === 2"));
    other.goes("/account");
    // The newest is the other's; each list names them in the same order.
    let mine = house.run("ana", &["token", "ls"]);
    let browsers: Vec<&str> = mine
        .as_array()
        .unwrap()
        .iter()
        .filter(|token| token["name"] == "browser")
        .map(|token| token["id"].as_str().unwrap())
        .collect();
    let created = |id: &&&str| {
        let all = mine.as_array().unwrap();
        all.iter().find(|token| token["id"] == **id).unwrap()["created_at"].to_string()
    };
    let newest = browsers.iter().max_by_key(created).unwrap();
    ana.clicks(&format!("#token-{newest} button"));
    ana.misses(&format!("#token-{newest}"));
    other.goes("/catalogue");
    other.arrives("/sign-in");

    ana.clicks("form[action='/sign-out'] button");
    ana.arrives("/sign-in");
    ana.goes("/approvals");
    ana.arrives("/sign-in?next=/approvals");
}
