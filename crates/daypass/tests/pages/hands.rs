//! Without a pointer, and without a script.

use fantoccini::key::Key;
use serde_json::json;

use crate::house::{House, Settings, Store};
use crate::live;
use crate::person::{Having, Person};

/// Ana asks; the short form of her reason is what a reviewer recognises it by.
#[track_caller]
fn asks(house: &House, reason: &str) -> String {
    let asked = house.run(
        "ana",
        &["request", "orders-prod/write", "--for", "10m", "--reason", reason],
    );
    asked["id"].as_str().unwrap().to_owned()
}

#[test]
fn approvals_need_no_pointer() {
    let house = House::open(&Settings::on(Store::Sqlite));
    let (first, second, third) = (asks(&house, "one"), asks(&house, "two"), asks(&house, "three"));
    let bo = Person::comes(&house, "bo", Having::default());
    bo.goes("/approvals");
    // The field that is to be filled in first has the focus.
    bo.keys("bo");
    bo.keys(&Key::Tab.to_string());
    bo.keys(&house.passwords["bo"]);
    bo.keys(&Key::Enter.to_string());
    bo.arrives("/approvals");
    bo.sees(".ask", "three");

    // The first stop leads past what is on every page.
    bo.keys(&Key::Tab.to_string());
    bo.holds("document.activeElement.className === 'skip'");
    bo.keys(&Key::Enter.to_string());
    bo.holds("document.activeElement.id === 'main'");

    // A key answers nothing that nobody chose.
    live::counts(&bo);
    bo.keys("a");
    // The most urgent is the oldest here: they come in the order in which they were asked.
    let chosen = |id: &str| format!("document.activeElement.id === 'request-{id}'");
    bo.keys("j");
    bo.holds(&chosen(&first));
    bo.keys("j");
    bo.holds(&chosen(&second));
    bo.keys("k");
    bo.holds(&chosen(&first));
    // Nor does one that is held down.
    let held = json!({"type": "keyDown", "key": "a", "text": "a", "autoRepeat": true});
    bo.tells_browser("Input.dispatchKeyEvent", &held);
    assert_eq!(live::counted(&bo), 0);
    bo.keys("a");
    bo.misses(&format!("#request-{first}"));
    // What comes next has the focus, and is not answered before it can have been seen.
    bo.holds(&chosen(&second));
    bo.keys("a");
    bo.sees(".toast", "look again");
    assert_eq!(live::counted(&bo), 1);
    live::settles(&bo);

    // A denial wants a reason: its key leads there, and Enter in the field sends nothing.
    bo.keys("d");
    bo.holds(&format!("document.activeElement.id === 'comment-{second}'"));
    bo.keys(&format!("use the replica{}", Key::Enter));
    assert_eq!(live::counted(&bo), 1);
    bo.keys(&Key::Tab.to_string().repeat(3));
    bo.holds("'deny' in document.activeElement.dataset");
    bo.keys(&Key::Enter.to_string());
    bo.misses(&format!("#request-{second}"));
    bo.holds(&chosen(&third));
    bo.keys(&Key::Enter.to_string());
    bo.arrives(&format!("/requests/{third}"));
    // Who came by a key has the focus at what the page is about.
    bo.holds(&chosen(&third));
    for (id, state) in [(&first, "pending"), (&second, "denied"), (&third, "pending")] {
        assert_eq!(house.run("dee", &["status", id])["state"], state);
    }

    // Tab leads to the buttons as well, in the order in which one reads, and each shows that it is there.
    let mut stops = Vec::new();
    bo.keys(&Key::Tab.to_string());
    while bo.script("return document.activeElement.dataset.approve === undefined", &[]) == true {
        stops.push(bo.script(
            "return document.activeElement.name || document.activeElement.tagName",
            &[],
        ));
        assert!(stops.len() < 20, "no way to the button: {stops:?}");
        bo.keys(&Key::Tab.to_string());
    }
    assert_eq!(
        bo.script(
            "return getComputedStyle(document.activeElement).outlineStyle",
            &[]
        ),
        "solid"
    );
    bo.keys(&Key::Enter.to_string());
    bo.arrives("/approvals");
    bo.sees("h2", "Nothing waits for you");
}

#[test]
fn the_palette_leads_anywhere() {
    let house = House::open(&Settings::on(Store::Sqlite));
    let id = asks(&house, "one");
    let bo = Person::enters(&house, "bo");
    let open = format!("{}k", Key::Control);
    bo.keys(&open);
    bo.sees("#palette li", "Catalogue");
    bo.keys("sessi");
    bo.sees("#palette li[aria-selected=true]", "Sessions");
    bo.keys(&Key::Enter.to_string());
    bo.arrives("/sessions");
    bo.keys(&open);
    bo.sees("#palette li", "Catalogue");
    bo.keys("waits write");
    bo.sees("#palette li[aria-selected=true]", "waits for you");
    bo.keys(&Key::Enter.to_string());
    bo.arrives(&format!("/requests/{id}"));
    bo.clicks("[data-palette]");
    bo.sees("#palette li", "Catalogue");
    bo.keys(&Key::Escape.to_string());
    bo.misses("#palette");
}

#[test]
fn everything_works_without_a_script() {
    let house = House::open(&Settings::on(Store::Sqlite));
    let without = Having {
        scripts: false,
        ..Having::default()
    };
    let [ana, bo, cy] = ["ana", "bo", "cy"].map(|name| Person::enters_having(&house, name, without));
    ana.goes("/palette?q=orders+write");
    ana.clicks("#found a[href='/ask/orders-prod/write']");
    ana.arrives("/ask/orders-prod/write");
    ana.types("#reason", "no script here");
    ana.types("#for", "10m");
    ana.clicks("form[data-preview] button.primary");
    let request = ana.arrives("/requests/");
    for reviewer in [&bo, &cy] {
        reviewer.goes("/approvals");
        reviewer.sees("blockquote", "no script here");
        reviewer.clicks("[data-approve]");
        reviewer.sees("h2", "Nothing waits for you");
    }
    let asked = house.run("ana", &["status", request.trim_start_matches("/requests/")]);
    house.until_state(asked["grant"].as_str().unwrap(), "active");
    ana.goes("/");
    ana.sees("article.grant .chip", "active");
    ana.sees(".command code", "daypass connect orders-prod/write");
    assert_eq!(
        ana.script(
            "return [...document.querySelectorAll('[data-copy], .keys')].every(one => one.hidden)",
            &[]
        ),
        true,
        "what needs a script is not shown"
    );
    ana.clicks("article.grant form[action$='/release'] button");
    ana.misses("article.grant .chip.active");
    ana.goes("/account");
    ana.clicks("form[action='/sign-out'] button");
    ana.arrives("/sign-in");
}
