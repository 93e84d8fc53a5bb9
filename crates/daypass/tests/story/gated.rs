//! A house with a gateway in it.

use std::process::Command;

use crate::house::{House, Settings, Store};
use crate::running::{ends_with, text};

/// A house with a gateway, and a resource that is reached through it only.
pub(crate) fn house(store: Store) -> House {
    let keys = tempfile::tempdir().unwrap();
    let file = keys.path().join("identity");
    let mut keygen = Command::new("age-keygen");
    ends_with(keygen.arg("-o").arg(&file), 0);
    let identity = std::fs::read_to_string(&file).unwrap();
    let public = identity
        .lines()
        .find_map(|line| line.strip_prefix("# public key: "))
        .unwrap();
    let more = format!(
        "reconcile: {{overdue_after: 1s, backoff_max: 2s}}\nsigning_key: {{file: secrets/log-key, state: data/log-key.signed}}\n\
         gateway:\n  name: house\n  apart: [{{name: edge, resources: [orders-gate], address: \"127.0.0.1:6\"}}, {{name: other, resources: [billing], address: \"127.0.0.1:7\"}}]\n  postgres: {{listen: \"127.0.0.1:0\"}}\n  \
         recordings: {{folder: data/recordings, recipients: [{public}], identity: secrets/identity}}"
    );
    let mut house = House::build(&Settings {
        more: Box::leak(more.into_boxed_str()),
        ..Settings::on(store)
    });
    house.secret("identity", &identity);
    let policy = text(&house.file("policy/daypass.yaml"));
    let policy = policy.replace(
        "\nrules:",
        "\n  - name: orders-gate\n    kind: postgres\n    connector: pg-main\n    owner: leads\n    labels: {env: gated}\n    \
         access: gateway\n    gateway: {values: true}\n    config: {database: orders}\n    roles:\n      \
         read: {member_of: [app_reader], connection_limit: 50, statements: {deny: [write]}}\n      write: {member_of: [app_writer]}\nrules:\n  \
         - {name: gated-read, allow: engineers, to: {env: gated}, roles: [read], approval: none, max: 2h}\n  \
         - {name: gated-write, allow: engineers, to: {env: gated}, roles: [write], approval: [{from: leads, within: 15m, else: deny}], max: 2h}",
    );
    house.write("policy/daypass.yaml", &policy);
    house.serve();
    house.move_in();
    let file = house.file("policy");
    ends_with(
        &mut house.as_admin(&["policy", "apply", file.to_str().unwrap(), "--yes"]),
        0,
    );
    house
}
