//! What we make, read by OpenSSH's own `ssh-keygen`; and keys that are not to be certified.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daypass_core::time::{Span, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::authority::{Authority, Claims};
use super::config::{Connector, Resource, Role};
use super::key::PublicKey;
use super::krl;
use super::rotation::Publics;
use super::wire::Writer;

fn authority() -> Authority {
    Authority::new(&[7; 32]).unwrap_or_else(|error| panic!("{error}"))
}

/// The authority's, as `ssh-keygen` shows it.
fn fingerprint() -> String {
    let line = authority().line("x");
    PublicKey::read(&line).unwrap().fingerprint
}

fn publics() -> Publics {
    Publics {
        signing: vec![authority().blob()],
        withdrawn: Vec::new(),
    }
}

fn at() -> Timestamp {
    "2026-03-07T12:00:00Z".parse().unwrap()
}

fn keygen(args: &[&str], file: &Path) -> (bool, String) {
    let output = Command::new("ssh-keygen")
        .args(args)
        .arg(file)
        .env("TZ", "UTC")
        .output()
        .expect("ssh-keygen");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

fn generated(folder: &Path, kind: &[&str]) -> String {
    let file = folder.join(kind.join("-"));
    let mut args = vec!["-q", "-N", "", "-t"];
    args.extend(kind);
    args.push("-f");
    assert!(keygen(&args, &file).0);
    std::fs::read_to_string(file.with_extension("pub")).unwrap()
}

#[test]
fn ssh_keygen_reads_what_a_certificate_says_for_every_kind_of_key() {
    let folder = tempfile::tempdir().unwrap();
    let principals = [String::from("deploy@web-1"), String::from("root@web-1")];
    for kind in [
        &["ed25519"][..],
        &["ecdsa", "-b", "256"],
        &["ecdsa", "-b", "384"],
        &["ecdsa", "-b", "521"],
        &["rsa", "-b", "3072"],
    ] {
        let line = generated(folder.path(), kind);
        let key = PublicKey::read(&line).unwrap_or_else(|why| panic!("{line}: {why}"));
        let signed = authority().sign(
            [9; 32],
            &Claims {
                key: &key,
                serial: 41,
                key_id: "G7K2M9 ana web-1/deploy",
                principals: &principals,
                valid_after: at(),
                valid_before: at() + Span::minutes(5) + Span::millis(999),
                force_command: Some("uptime -p"),
                source_address: &["10.0.0.0/8".into(), "2001:db8::/32".into()],
                extensions: &["permit-pty".into(), "permit-X11-forwarding".into()],
            },
        );
        let file = folder.path().join("shown-cert.pub");
        std::fs::write(&file, signed).unwrap();
        let (good, shown) = keygen(&["-L", "-f"], &file);
        assert!(good, "{shown}");
        for expect in [
            format!("Public key: {}", shown_kind(kind)),
            key.fingerprint.clone(),
            format!("Signing CA: ED25519 {}", fingerprint()),
            "Key ID: \"G7K2M9 ana web-1/deploy\"".into(),
            "Serial: 41".into(),
            "Valid: from 2026-03-07T12:00:00 to 2026-03-07T12:05:00".into(),
            "                deploy@web-1\n                root@web-1\n".into(),
            "force-command uptime -p\n                source-address 10.0.0.0/8,2001:db8::/32".into(),
            "permit-X11-forwarding\n                permit-pty".into(),
        ] {
            assert!(shown.contains(&expect), "{expect} is not in\n{shown}");
        }
    }
}

fn shown_kind(kind: &[&str]) -> String {
    format!("{}-CERT", kind[0].to_ascii_uppercase())
}

#[test]
fn the_authority_and_its_line_have_one_fingerprint() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pub");
    std::fs::write(&file, authority().line("daypass fleet")).unwrap();
    let (_, shown) = keygen(&["-l", "-f"], &file);
    assert!(shown.contains(&fingerprint()), "{shown}");
    assert_eq!(authority().fingerprint(), fingerprint());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn ssh_keygen_finds_in_a_list_what_was_put_there(
        serials in proptest::collection::btree_set(1..=u64::MAX, 0..60), version in any::<u64>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("list");
        std::fs::write(&file, krl::write(version, at(), &publics(), &serials)).unwrap();
        let (good, shown) = keygen(&["-Q", "-l", "-f"], &file);
        prop_assert!(good, "{shown}");
        prop_assert!(shown.contains(&format!("KRL version {version}\n")), "{}", shown);
        // A run of serials is shown as a range.
        let mut listed = BTreeSet::new();
        for line in shown.lines().filter_map(|line| line.trim().strip_prefix("serial: ")) {
            let (low, high) = line.split_once('-').unwrap_or((line, line));
            listed.extend(low.parse::<u64>().unwrap()..=high.parse::<u64>().unwrap());
        }
        prop_assert_eq!(listed, serials);
    }

    #[test]
    fn no_line_makes_reading_a_key_fail_otherwise_than_with_words(line in ".{0,200}") {
        let _ = PublicKey::read(&line);
        let _ = PublicKey::read(&format!("ssh-ed25519 {}", STANDARD.encode(&line)));
    }
}

#[test]
fn one_list_is_about_all_keys_of_an_authority() {
    let folder = tempfile::tempdir().unwrap();
    let [current, old, gone] = [7, 8, 9].map(|seed| Authority::new(&[seed; 32]).unwrap());
    let publics = Publics {
        signing: vec![current.blob(), old.blob()],
        withdrawn: vec![gone.blob()],
    };
    let list = folder.path().join("list");
    std::fs::write(&list, krl::write(3, at(), &publics, &[41].into())).unwrap();
    let key = PublicKey::read(&generated(folder.path(), &["ed25519"])).unwrap();
    for (signed_by, serial, revoked) in [
        (&current, 41, true),
        (&current, 42, false),
        (&old, 41, true),
        (&old, 42, false),
        (&gone, 42, true),
    ] {
        let claims = Claims {
            key: &key,
            serial,
            key_id: "x",
            principals: &["deploy@web-1".to_owned()],
            valid_after: at(),
            valid_before: at() + Span::minutes(5),
            force_command: None,
            source_address: &[],
            extensions: &[],
        };
        let file = folder.path().join("asked-cert.pub");
        std::fs::write(&file, signed_by.sign([9; 32], &claims)).unwrap();
        let list = list.display().to_string();
        let (_, shown) = keygen(&["-Q", "-f", &list], &file);
        assert_eq!(shown.contains("REVOKED"), revoked, "{serial}: {shown}");
    }
}

#[test]
fn what_is_no_plain_public_key_is_not_certified() {
    let folder = tempfile::tempdir().unwrap();
    let good = generated(folder.path(), &["ed25519"]);
    let short = generated(folder.path(), &["rsa", "-b", "2048"]);
    let blob = good.split(' ').nth(1).unwrap();
    let mut cut = Writer::default();
    cut.string("ssh-ed25519");
    cut.string([1; 31]);
    let mut more = STANDARD.decode(blob).unwrap();
    more.push(0);
    let mut huge = Writer::default();
    huge.string("ssh-ed25519");
    huge.u32(u32::MAX);
    for (line, why) in [
        (String::new(), "no public key"),
        ("ssh-ed25519".into(), "no public key"),
        (short, "3072"),
        (format!("command=\"x\" {good}"), "begin its line"),
        (format!("{good}{good}"), "one line"),
        (format!("ssh-ed25519 {blob}\tx\0"), "one line"),
        (format!("ssh-rsa {blob}"), "not of the algorithm"),
        (format!("ssh-ed25519-cert-v01@openssh.com {blob}"), "must be"),
        (format!("sk-ssh-ed25519@openssh.com {blob}"), "must be"),
        (format!("ssh-dss {blob}"), "must be"),
        ("ssh-ed25519 !!!".into(), "base64"),
        (format!("ssh-ed25519 {}", STANDARD.encode(cut.0)), "sound"),
        (format!("ssh-ed25519 {}", STANDARD.encode(more)), "sound"),
        (format!("ssh-ed25519 {}", STANDARD.encode(huge.0)), "sound"),
        ("ssh-ed25519 ".to_owned() + &"A".repeat(100_000), "at most"),
    ] {
        let refused = PublicKey::read(&line).unwrap_err();
        assert!(refused.contains(why), "{refused} for {:.60}", line);
    }
}

#[test]
fn what_would_open_more_than_is_meant_does_not_load() {
    let pointers = |config: &Value| {
        Role::read(config)
            .unwrap_err()
            .into_iter()
            .map(|problem| problem.pointer)
            .collect::<Vec<_>>()
    };
    for (config, pointer) in [
        (json!({}), "/principals"),
        (json!({"principals": []}), "/principals"),
        (json!({"principals": ["*"]}), "/principals/0"),
        (json!({"principals": ["a,b"]}), "/principals/0"),
        (json!({"principals": ["root@web-2"]}), "/principals/0"),
        (json!({"principals": ["a\nb"]}), "/principals/0"),
        (json!({"principals": [""]}), "/principals/0"),
        (
            json!({"principals": ["a"], "extensions": ["permit-everything"]}),
            "/extensions/0",
        ),
        (
            json!({"principals": ["a"], "source_address": null}),
            "/source_address",
        ),
        (json!({"principals": ["a"], "allow": null}), "/allow"),
        (
            json!({"principals": ["a"], "source_address": ["10.0.0.0/33"]}),
            "/source_address/0",
        ),
        (
            json!({"principals": ["a"], "source_address": ["!10.0.0.1"]}),
            "/source_address/0",
        ),
        (
            json!({"principals": ["a"], "force_command": "a\nb"}),
            "/force_command",
        ),
        (json!({"principals": ["a"], "forced": "a"}), "/forced"),
    ] {
        assert!(
            pointers(&config).contains(&pointer.to_owned()),
            "{config}: {:?}",
            pointers(&config)
        );
    }
    let role = Role::read(&json!({"principals": ["b", "a", "b"]})).unwrap();
    assert_eq!(
        (role.users, role.extensions),
        (vec!["a".into(), "b".into()], vec!["permit-pty".to_owned()])
    );
    let none = Role::read(&json!({"principals": ["a"], "extensions": []})).unwrap();
    assert!(none.extensions.is_empty(), "none is none");
    for bad in ["1s", "2h", "x"] {
        assert!(Connector::read(&json!({"certificate": bad})).is_err(), "{bad}");
    }
    for bad in [
        json!({}),
        json!({"host": "a b"}),
        json!({"host": "-oProxyCommand=x"}),
        json!({"host": "a", "port": 0}),
        json!({"host": "Web-1.internal"}),
        json!({"account": "x", "hosts": [{"host": "a"}]}),
        json!({"hosts": [{"host": "a"}, {"host": "A"}]}),
    ] {
        assert!(Resource::read(&bad).is_err(), "{bad}");
    }
}

#[test]
fn a_network_is_one_that_sshd_takes() {
    for (address, mended) in [
        ("10.1.2.3/8", Some("10.0.0.0/8")),
        ("192.0.2.129/25", Some("192.0.2.128/25")),
        ("1.2.3.4/0", Some("0.0.0.0/0")),
        ("2001:db8::1/32", Some("2001:db8::/32")),
        ("::ffff:10.0.0.0/104", Some("10.0.0.0/8")),
        ("::ffff:192.0.2.7", Some("192.0.2.7/32")),
        ("::ffff:0.0.0.0/80", None),
        ("10.0.0.0/8", Some("")),
        ("192.0.2.7", Some("")),
        ("0.0.0.0/0", Some("")),
        ("2001:db8::1", Some("")),
        ("::/0", Some("")),
    ] {
        let read = Role::read(&json!({"principals": ["a"], "source_address": [address]}));
        let told = read
            .err()
            .map_or_else(String::new, |found| found[0].message.clone());
        match mended {
            Some("") => assert_eq!(told, "", "{address}"),
            Some(mended) => assert!(told.ends_with(&format!(": {mended}")), "{address}: {told}"),
            None => assert!(told.contains("such as"), "{address}: {told}"),
        }
    }
}
