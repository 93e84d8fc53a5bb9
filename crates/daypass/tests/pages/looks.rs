//! Every screen: nobody is kept out by how it is made, nothing is wider than a phone, and no text of anybody's is taken for more than text.

use std::panic::AssertUnwindSafe;

use serde_json::json;

use crate::axe;
use crate::gated;
use crate::house::{House, Settings, Store};
use crate::person::{Having, Person};
use crate::target::Session;
use crate::world;

/// The screens that show something to everybody, and those of auditors.
const SCREENS: [&str; 10] = [
    "/",
    "/catalogue",
    "/ask/orders-prod/write",
    "/ask/orders-prod/write?for=9h",
    "/approvals",
    "/sessions",
    "/account",
    "/palette",
    "/who",
    "/break-glass/orders-prod/read",
];
const OF_AUDITORS: [&str; 9] = [
    "/sessions?all=1",
    "/audit",
    "/audit/verify",
    "/health",
    "/who",
    "/reports",
    "/policy",
    "/policy/simulate?who=ana&what=orders-prod/write&for=1h",
    "/policy/revisions",
];

/// A house in which there is something to see everywhere, with this for every free text; a grant's request and one that waits.
#[track_caller]
fn full(text: &str) -> (House, [String; 2], Session) {
    let house = gated::house(Store::Sqlite);
    let policy = std::fs::read_to_string(house.file("policy/daypass.yaml")).unwrap();
    let emergency = "  - {name: emergency, allow: engineers, to: {env: production}, max: 30m, break_glass: {page: security, review_by: security, within: 24h}}\n";
    let policy = policy
        .replace("\nrules:\n", &format!("\nrules:\n{emergency}"))
        .replace("defaults: {", "defaults: {delegates: [security], cool_down: 0, ");
    house.write("policy/daypass.yaml", &policy);
    world::apply(&house);
    let ana = house.api("ana");
    let ask = |path: &str, item: &str, duration: &str| {
        let (resource, role) = item.split_once('/').unwrap();
        let ask = json!({"items": [{"resource": resource, "role": role}], "reason": text, "ticket": "PAY-7", "duration": duration});
        ana.post(path, &ask).of(201)
    };
    let held = ask("/api/v1/requests", "orders-gate/read", "10m");
    let grant = held["grant"].as_str().unwrap();
    house.until_state(grant, "active");
    let mut credential = house.credentials(grant);
    credential["fields"]["application_name"] = json!(text);
    let session = Session::open(&credential).unwrap();
    session
        .ask(&format!("SELECT 1::bigint -- {}", text.replace('\n', " ")))
        .unwrap();
    ask("/api/v1/break-glass", "orders-prod/read", "5m");
    let answered = ask("/api/v1/requests", "orders-prod/write", "20m");
    // Before the other one is denied: that is not to be asked for again at once.
    ask("/api/v1/requests", "orders-prod/write", "15m");
    let review = json!({"decision": "deny", "digest": answered["digest"], "comment": text});
    let path = format!("/api/v1/requests/{}/reviews", answered["id"].as_str().unwrap());
    house.api("bo").post(&path, &review).of(200);
    let until = daypass_server::edge::now() + daypass_core::time::Span::hours(24);
    let away = json!({"to": "cy", "until": until.to_string(), "reason": text});
    house.api("bo").post("/api/v1/delegations", &away).of(201);
    let ids = [&held, &answered].map(|one| one["id"].as_str().unwrap().to_owned());
    (house, ids, session)
}

/// Who looks at which screens.
fn screens(house: &House, requests: &[String; 2]) -> [(&'static str, Vec<String>); 3] {
    let requests = || requests.iter().map(|id| format!("/requests/{id}"));
    let sessions = house.run("dee", &["session", "ls"]);
    let session = format!("/sessions/{}", sessions[0]["id"].as_str().unwrap());
    let into = ["", "/recording", "/recording?words=select", "/watch"];
    let into = into.map(|more| format!("{session}{more}"));
    let all = |screens: &[&str]| {
        screens
            .iter()
            .map(|screen| (*screen).to_owned())
            .collect::<Vec<_>>()
    };
    [
        ("ana", all(&SCREENS).into_iter().chain(requests()).collect()),
        ("cy", all(&["/approvals", "/account"])),
        (
            "dee",
            all(&OF_AUDITORS)
                .into_iter()
                .chain(requests())
                .chain(into)
                .collect(),
        ),
    ]
}

#[test]
fn nobody_is_kept_out() {
    let (house, ids, _session) = full("PAY-7: fix a stuck order");
    let nobody = Person::comes(&house, "nobody", Having::default());
    nobody.goes("/sign-in");
    axe::finds_nothing(&nobody);
    for (name, screens) in screens(&house, &ids) {
        let person = Person::enters(&house, name);
        for screen in screens {
            person.goes(&screen);
            axe::finds_nothing(&person);
        }
    }
}

#[test]
fn a_phone_is_wide_enough() {
    let (house, ids, _session) = full(&"a-word-that-is-longer-than-any-phone-is-wide".repeat(8));
    let phone = Having {
        width: 390,
        ..Having::default()
    };
    for (name, screens) in screens(&house, &ids) {
        let person = Person::enters_having(&house, name, phone);
        person.is_as_wide_as(phone.width);
        for screen in screens {
            person.goes(&screen);
            let wide = person.script("return document.documentElement.scrollWidth", &[]);
            assert!(wide.as_u64().unwrap() <= 390, "{screen} of {name} is {wide} wide");
        }
    }
}

/// What each of these would do, were it taken for more than text: add an element with this attribute, or set `pwned`.
const HOSTILE: &str = "<img src=x data-pwned onerror=pwned=1><script data-pwned>pwned=1</script>\"><svg data-pwned onload=pwned=1>' onfocus='pwned=1' \
                       autofocus='</textarea></title></style><b data-pwned>{{7*7}}${7*7}<!--&lt;i data-pwned&gt;]]>javascript:pwned=1//%3Cu%20data-pwned%3E";

#[test]
fn no_text_of_anybodys_is_more_than_text() {
    let (house, ids, _session) = full(HOSTILE);
    let mut shown = 0;
    for (name, screens) in screens(&house, &ids) {
        let person = Person::enters(&house, name);
        for screen in screens {
            person.goes(&screen);
            let found = person.script("return [document.querySelectorAll('[data-pwned]').length, typeof pwned, document.body.innerText.includes(arguments[0])]", &[HOSTILE]);
            assert_eq!(
                (&found[0], &found[1]),
                (&json!(0), &json!("undefined")),
                "{screen}"
            );
            shown += u32::from(found[2] == true);
            // Put in by the script, it is no more than that either.
            person.script("document.getElementById('live').dataset.old = ''; history.pushState(null, '', location.pathname + (location.search ? location.search + '&' : '?') + 'again=1'); dispatchEvent(new PopStateEvent('popstate'))", &[]);
            person.holds("!document.querySelector('[data-old]') && !document.querySelector('[data-pwned]') && typeof pwned === 'undefined'");
        }
    }
    assert!(
        shown >= 5,
        "it was looked at where it is shown: on {shown} screens"
    );
    // What comes back in a page because somebody was led to an address.
    let ana = Person::enters(&house, "ana");
    let hostile: String = HOSTILE.bytes().map(|byte| format!("%{byte:02X}")).collect();
    for place in [
        "/ask/orders-prod/read?reason=",
        "/catalogue?q=",
        "/palette?q=",
        "/sign-in?next=",
    ] {
        ana.goes(&format!("{place}{hostile}"));
        let found = ana.script(
            "return [document.querySelectorAll('[data-pwned]').length, typeof pwned]",
            &[],
        );
        assert_eq!(found, json!([0, "undefined"]), "{place}");
    }
}

/// That what a browser complains of fails a test, whatever else the test looked at.
#[test]
fn a_complaint_of_a_browser_fails_a_test() {
    let house = House::open(&Settings::on(Store::Sqlite));
    for (does, complaint) in [
        ("console.error('lost')", "lost"),
        ("setTimeout(() => { throw new Error('broken'); })", "broken"),
        ("fetch('/nowhere')", "404"),
        (
            "document.body.append(Object.assign(document.createElement('script'), {textContent: 'pwned = 1'}))",
            "Content Security Policy",
        ),
        (
            "document.body.setAttribute('style', 'color: red')",
            "Content Security Policy",
        ),
        (
            "new Image().src = 'http://127.0.0.1:9/x.png'",
            "Content Security Policy",
        ),
    ] {
        let person = Person::comes(&house, "nobody", Having::default());
        person.goes("/sign-in");
        person.script(does, &[]);
        // What was begun is through when the page answers again: its requests are made in order.
        person.long_script(
            "const done = arguments[0]; setTimeout(() => fetch('/sign-in').then(() => done(1)))",
        );
        let dropped = std::panic::catch_unwind(AssertUnwindSafe(move || drop(person)));
        let why = *dropped.expect_err(does).downcast::<String>().unwrap();
        assert!(
            why.contains("complained") && why.contains(complaint),
            "{does}: {why}"
        );
    }
}

#[test]
fn what_is_left_is_said_by_the_second_for_the_last_hour() {
    let house = House::open(&Settings::on(Store::Sqlite));
    let ana = Person::enters(&house, "ana");
    let put = "for (const [seconds, id] of [[-5, 'over'], [65.5, 'minute'], [3599.5, 'hour'], [7260.5, 'hours'], [172800, 'days']]) {
        const time = document.createElement('time');
        Object.assign(time, {id, dateTime: new Date(Date.now() + seconds * 1000).toISOString(), textContent: 'as the server says'});
        time.dataset.countdown = '';
        document.getElementById('main').append(time);
    }";
    ana.script(put, &[]);
    for (id, begins) in [
        ("over", "over"),
        ("minute", "1:0"),
        ("hour", "59:5"),
        ("hours", "2 h "),
        ("days", "as the server says"),
    ] {
        ana.holds(&format!(
            "document.getElementById('{id}').textContent.startsWith('{begins}')"
        ));
    }
    let soon = "return ['over', 'minute', 'hour', 'hours', 'days'].map(id => document.getElementById(id).classList.contains('soon'))";
    assert_eq!(ana.script(soon, &[]), json!([true, true, false, false, false]));
}
