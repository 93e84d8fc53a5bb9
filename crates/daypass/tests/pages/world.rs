//! Houses with more in them than the story's.

use crate::house::{House, Settings, Store};

/// A house whose policy has these rules first.
#[track_caller]
pub(crate) fn with(rules: &str) -> House {
    let house = House::open(&Settings::on(Store::Sqlite));
    let policy = std::fs::read_to_string(house.file("policy/daypass.yaml")).unwrap();
    // Its tests are about the rules that it had.
    let (policy, _) = policy.split_once("\ntests:").unwrap();
    let policy = policy.replace("\nrules:\n", &format!("\nrules:\n{rules}\n")) + "\n";
    house.write("policy/daypass.yaml", &policy);
    apply(&house);
    house
}

/// Puts what is in the policy's folder in force.
#[track_caller]
pub(crate) fn apply(house: &House) {
    let folder = house.file("policy");
    house.run("admin", &["policy", "apply", folder.to_str().unwrap(), "--yes"]);
}
