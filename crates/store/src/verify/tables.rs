//! Which tables are held against the log, and which are not: each is named in one of the two lists.

/// Those whose every column that decides something follows from the log, or is held against what was signed.
#[cfg(test)]
const COMPARED: [&str; 22] = [
    "change_files",
    "changes",
    "checkpoints",
    "directory_state",
    "entitlements",
    "events",
    "grant_parts",
    "grants",
    "key_states",
    "legal_transitions",
    "locks",
    "log_head",
    "meta",
    "nodes",
    "outbox",
    "people",
    "policies",
    "policy_state",
    "request_items",
    "requests",
    "sessions",
    "texts",
];

/// Those that the log says nothing of. `docs/audit.md` says of each what it means.
#[cfg(test)]
const NOT_COMPARED: [&str; 15] = [
    "change_secrets",
    "clock_state",
    "cosignatures",
    "deliveries",
    "idempotency",
    "log_servers",
    "notice_state",
    "passwords",
    "ssh_accesses",
    "ssh_authorities",
    "ssh_certificates",
    "ssh_given",
    "ssh_hosts",
    "ssh_withdrawn",
    "tokens",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_table_is_compared_or_named_as_not_compared() {
        let listed: BTreeSet<&str> = COMPARED.iter().chain(&NOT_COMPARED).copied().collect();
        assert_eq!(
            listed.len(),
            COMPARED.len() + NOT_COMPARED.len(),
            "none is in both"
        );
        for migrations in [
            include_str!("../../migrations/sqlite/V1__first.sql"),
            include_str!("../../migrations/postgres/V1__first.sql"),
        ] {
            let made = migrations
                .lines()
                .filter_map(|line| line.strip_prefix("CREATE TABLE ")?.strip_suffix(" ("));
            assert_eq!(made.collect::<BTreeSet<&str>>(), listed);
        }
    }

    #[test]
    fn the_page_for_auditors_names_those_that_are_not_compared_and_no_other() {
        let page = include_str!("../../../../docs/audit.md");
        let (_, list) = page
            .split_once("### Tables that are not compared with the log")
            .unwrap();
        let list = list.split("\n## ").next().unwrap();
        let named: BTreeSet<&str> = list
            .lines()
            .filter_map(|line| line.strip_prefix("| `"))
            .flat_map(|line| line.split(" | ").next().unwrap().split(", "))
            .map(|name| name.trim_matches('`'))
            .collect();
        assert_eq!(named, NOT_COMPARED.into_iter().collect());
    }
}
