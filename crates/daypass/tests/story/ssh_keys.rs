//! Other keys while people log in: for an authority, with a real sshd, and for what seals it; and a server that is killed in between.

use std::path::{Path, PathBuf};
use std::time::Duration;

use daypass_testbed::{Sshd, wait};

use crate::house::{Store, names};
use crate::running::ends_with;
use crate::ssh::{Fleet, first_login, shown};

/// A certificate of its own for a grant of its own, kept under this name.
fn certificate(fleet: &Fleet, name: &str) -> (String, PathBuf) {
    let (grant, file) = fleet.certificate("web-1/shell");
    let kept = fleet.house.file(format!("{name}-cert.pub"));
    std::fs::rename(file, &kept).unwrap();
    (grant, kept)
}

fn signed_by(certificate: &Path) -> String {
    let said = shown(certificate);
    let line = said.lines().find(|line| line.contains("Signing CA")).unwrap();
    line.split(' ')
        .find(|word| word.starts_with("SHA256:"))
        .unwrap()
        .to_owned()
}

fn trusted(sshd: &Sshd) -> usize {
    let lines = std::fs::read_to_string(sshd.folder().join("ca.pub")).unwrap();
    lines.lines().count()
}

#[track_caller]
fn gets_in(fleet: &Fleet, certificate: &Path) {
    let output = fleet.ssh(&fleet.web, certificate, "true");
    assert_eq!(output.status.code(), Some(0), "{output:?}: {}", fleet.web.log());
}

#[track_caller]
fn rotate(fleet: &Fleet, args: &[&str]) -> String {
    let args = [&["keys", "rotate"], args].concat();
    ends_with(&mut fleet.house.as_admin(&args), 0).0
}

fn listed(fleet: &Fleet) -> String {
    ends_with(&mut fleet.house.as_admin(&["keys", "ls"]), 0).0
}

fn key_events(fleet: &Fleet) -> Vec<String> {
    let trail = fleet.house.audit(&[]);
    let mut names: Vec<_> = names(&trail).into_iter().map(str::to_owned).collect();
    names.retain(|name| name.starts_with("key."));
    names.sort();
    names
}

fn again(fleet: &mut Fleet) {
    fleet.house.kill();
    fleet.house.serve();
}

#[test]
fn logins_go_on_while_an_authority_gets_another_key() {
    let mut fleet = Fleet::open();
    first_login(&fleet);
    let (_, before) = certificate(&fleet, "before");
    gets_in(&fleet, &before);
    let old = signed_by(&before);

    // Both hosts have to say that they trust the next one; until then nothing is signed with it.
    let said = rotate(&fleet, &["fleet"]);
    assert!(said.contains("trust it: 127.0.0.1, localhost"), "{said}");
    again(&mut fleet);
    fleet.sync(0, 0);
    assert_eq!((trusted(&fleet.web), trusted(&fleet.other)), (2, 1));
    let said = rotate(&fleet, &["fleet"]);
    assert!(said.contains("trust it: localhost"), "begun once: {said}");
    let (grant, during) = certificate(&fleet, "during");
    assert_eq!(signed_by(&during), old, "one host would not take another");
    gets_in(&fleet, &before);
    gets_in(&fleet, &during);

    // The last of them; then the server goes on by itself, here as one that was killed after the host had said so.
    fleet.sync(1, 0);
    again(&mut fleet);
    wait::until("the next key", Duration::from_secs(30), || {
        Ok(listed(&fleet)
            .contains(&format!("before {old}, trusted until"))
            .then_some(()))
    })
    .unwrap();
    again(&mut fleet);
    let (_, after) = certificate(&fleet, "after");
    assert_ne!(signed_by(&after), old);
    gets_in(&fleet, &after);
    gets_in(&fleet, &before);

    // A grant of the time before ends meanwhile, and its end has its evidence: the list is about both keys.
    fleet.house.run("ana", &["release", &grant]);
    wait::until("the list naming it", Duration::from_secs(30), || {
        fleet.sync(0, 0);
        Ok((fleet.ssh(&fleet.web, &during, "true").status.code() == Some(255)).then_some(()))
    })
    .unwrap();
    let ended = fleet.house.until_state(&grant, "ended");
    let by = ended["entitlements"][0]["evidence"]["by"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(by.starts_with("127.0.0.1 acknowledged version "), "{by}");
    gets_in(&fleet, &before);

    // What it signed has not run out: not to wait for that is for a stolen key.
    let said = rotate(&fleet, &["fleet"]);
    assert!(
        said.contains(&old) && said.contains("private key is gone"),
        "{said}"
    );
    let said = rotate(&fleet, &["fleet", "--now"]);
    assert!(said.contains("alone"), "{said}");
    let line_by_hand = std::fs::read_to_string(fleet.web.folder().join("ca.pub")).unwrap();
    fleet.sync(0, 0);
    assert_eq!(trusted(&fleet.web), 1);
    fleet.refused(&fleet.web, &before, "revoked");
    gets_in(&fleet, &after);
    // Also where somebody wrote the old line elsewhere: the list names the key itself.
    std::fs::write(fleet.web.folder().join("ca.pub"), line_by_hand).unwrap();
    let output = fleet.ssh(&fleet.web, &before, "true");
    assert_eq!(output.status.code(), Some(255), "{output:?}");
    gets_in(&fleet, &after);
    assert_eq!(key_events(&fleet), ["key.changed", "key.staged", "key.withdrawn"]);
    let about = fleet.house.audit(&["ssh/fleet"]);
    assert_eq!(about.len(), 3, "{about:?}");
}

#[test]
fn a_key_that_signed_nothing_is_withdrawn_by_itself() {
    let fleet = Fleet::open();
    rotate(&fleet, &["fleet"]);
    // A host whose sshd reads another file has not said that it trusts the next key.
    let config = std::fs::read_to_string(fleet.web.folder().join("sshd_config")).unwrap();
    let without = config
        .lines()
        .filter(|line| !line.starts_with("TrustedUserCAKeys"));
    let without: String = without.map(|line| format!("{line}\n")).collect();
    fleet.house.write("sshd_config", &without);
    let (_, told) = fleet.sync_with((0, 0), &fleet.house.file("sshd_config"), 0);
    assert!(told.contains("TrustedUserCAKeys none and not"), "{told}");
    fleet.sync(1, 0);
    let waits = listed(&fleet);
    assert!(waits.contains("when trusted by 127.0.0.1"), "{waits}");
    let doctor = ends_with(&mut fleet.house.as_admin(&["doctor"]), 0);
    let doctor = format!("{}{}", doctor.0, doctor.1);
    assert!(doctor.contains("authority fleet"), "{doctor}");
    fleet.sync(0, 0);
    wait::until("the end of it", Duration::from_secs(40), || {
        Ok((key_events(&fleet).len() == 3).then_some(()))
    })
    .unwrap();
    fleet.sync(0, 0);
    assert_eq!(trusted(&fleet.web), 1);
}

#[test]
fn everything_is_sealed_by_another_key_and_nobody_notices() {
    let mut fleet = Fleet::open();
    first_login(&fleet);
    let read = |fleet: &Fleet| std::fs::read_to_string(fleet.house.file("secrets/sealing-key")).unwrap();
    let old = read(&fleet);
    let said = rotate(&fleet, &["sealing"]);
    let new = read(&fleet);
    assert!(new != old && new.lines().count() == 1, "{said}");
    assert!(
        said.contains("(1 sealed by it)") && said.lines().count() == 1,
        "{said}"
    );
    // Without a restart.
    let (_, certified) = certificate(&fleet, "after");
    gets_in(&fleet, &certified);

    // The old file put back, by hand or from a copy: it opens nothing, and says what is missing.
    fleet.house.secret("sealing-key", &old);
    let keys = ends_with(&mut fleet.house.as_admin(&["keys", "ls"]), 0);
    assert!(
        keys.0.contains("does not have") && keys.1.contains("put its line back"),
        "{keys:?}"
    );
    let refused = ends_with(&mut fleet.house.as_admin(&["keys", "rotate", "sealing"]), 2).1;
    assert!(refused.contains("nothing was changed"), "{refused}");
    assert_eq!(read(&fleet), old);

    // Killed after the next key was put there: it goes on with that one, and makes no other.
    let next = format!("{}=\n", "B".repeat(42) + "A");
    fleet.house.kill();
    fleet.house.secret("sealing-key", &format!("{next}{new}"));
    fleet.house.serve();
    let (_, certified) = certificate(&fleet, "between");
    gets_in(&fleet, &certified);
    rotate(&fleet, &["sealing"]);
    assert_eq!(read(&fleet), next);
    // Killed before the old one was taken out.
    fleet.house.secret("sealing-key", &format!("{next}{new}"));
    rotate(&fleet, &["sealing"]);
    assert_eq!(read(&fleet), next);
    assert_eq!(
        key_events(&fleet),
        ["key.resealed", "key.resealed"],
        "nothing the third time"
    );
    again(&mut fleet);
    let (_, certified) = certificate(&fleet, "last");
    gets_in(&fleet, &certified);
}

#[test]
fn where_servers_share_a_store_the_operator_brings_the_key_to_each() {
    let fleet = Fleet::on(Store::Postgres);
    let file = fleet.house.file("secrets/sealing-key");
    let old = std::fs::read_to_string(&file).unwrap();
    let refused = ends_with(&mut fleet.house.as_admin(&["keys", "rotate", "sealing"]), 2).1;
    assert!(
        refused.contains("have a file each") && refused.contains("first line"),
        "{refused}"
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), old);
    let next = format!("{}=\n", "B".repeat(42) + "A");
    fleet.house.secret("sealing-key", &format!("{next}{old}"));
    let said = rotate(&fleet, &["sealing"]);
    assert!(said.contains("take its line out of the file"), "{said}");
    fleet.house.secret("sealing-key", &next);
    first_login(&fleet);
    assert!(rotate(&fleet, &["fleet"]).contains("127.0.0.1, localhost"));
}
