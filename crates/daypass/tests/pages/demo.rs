//! The demo's pages: whoever has its key chooses who they are, sees what is theirs, and becomes somebody else; whoever has not, chooses nothing.

use rustix::process::Signal;

use crate::person::{Having, Person};
use crate::running::{Running, daypass};

#[test]
fn one_chooses_who_one_is_and_sees_what_waits_for_them() {
    let mut demo = Running::start(daypass(&["demo", "--no-open"]));
    // Ninety days take their time; what comes after them has its own.
    demo.says("entries in the log");
    demo.says("Ctrl-C here");
    let told = demo.told();
    let enter = told
        .split_whitespace()
        .find(|word| word.starts_with("http://") && word.contains("/demo/enter/"));
    let (base, key) = enter.unwrap().split_once("/demo/enter/").unwrap();

    let visitor = Person::visits(base, "visitor", Having::default());
    visitor.goes(&format!("/demo/enter/{key}"));
    visitor.clicks(".cast button[value=ana]");
    visitor.sees("#rail", "My access");
    visitor.sees(".cards time", "2:");
    visitor.sees("h2", "orders-prod");

    becomes(&visitor, "bo");
    visitor.goes("/approvals");
    visitor.sees("article", "eve");

    becomes(&visitor, "cy");
    visitor.goes("/approvals");
    visitor.sees(".chip", "overdue");

    becomes(&visitor, "dee");
    visitor.goes("/reports");
    visitor.sees("h2", "Busiest resources");
    visitor.holds("document.querySelectorAll('svg').length > 2");
    visitor.goes("/audit/verify");
    visitor.sees(".checks .chip", "holds");

    let stranger = Person::visits(base, "stranger", Having::default());
    stranger.goes("/sign-in");
    stranger.sees("h1", "Sign in");
    stranger.misses(".cast");
    assert!(demo.stop(Signal::INT).0.success());
}

/// By what stands on every page of the demo.
fn becomes(visitor: &Person, who: &str) {
    visitor.clicks(".personas summary");
    visitor.clicks(&format!(".personas button[value={who}]"));
    visitor.sees(".who", who);
}
