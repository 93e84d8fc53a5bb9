//! An auditor needs no Daypass: age's own program opens a chunk, and `sha256sum` says what the log says.

use std::fs;
use std::process::Command;

use secrecy::ExposeSecret as _;

use crate::world::{World, lines};

#[tokio::test]
async fn age_itself_opens_a_chunk() {
    let found = Command::new("age").arg("--version").output();
    if found.is_err() {
        assert!(
            std::env::var_os("CI").is_none(),
            "`age` is missing: cargo xtask setup"
        );
        eprintln!(
            "NOT TESTED: whether age's own program opens a chunk; it is not installed (cargo xtask setup)"
        );
        return;
    }
    let world = World::new();
    let logged = world.finished("A", 5).await;
    let key = world.folder.path().join("key.txt");
    fs::write(&key, world.pair.to_string().expose_secret()).unwrap();
    let mut all = Vec::new();
    for sealed in &logged {
        let file = world.file("A", sealed.number);
        let opened = Command::new("age")
            .arg("-d")
            .arg("-i")
            .arg(&key)
            .arg(&file)
            .output()
            .unwrap();
        assert!(
            opened.status.success(),
            "{}",
            String::from_utf8_lossy(&opened.stderr)
        );
        let text = String::from_utf8(opened.stdout).unwrap();
        let heading = format!(
            "#daypass-recording A {} {} {} ",
            sealed.number, sealed.first, sealed.last
        );
        assert!(text.starts_with(&heading), "{text}");
        all.extend(text.lines().skip(1).map(str::to_owned));
        let sum = Command::new("sha256sum").arg(&file).output().unwrap();
        assert!(String::from_utf8_lossy(&sum.stdout).starts_with(&sealed.sealed.to_string()));
    }
    assert_eq!(all, lines(1, 5));
}
