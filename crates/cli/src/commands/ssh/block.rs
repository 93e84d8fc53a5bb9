//! What `ssh-config` prints: what plain ssh is to do before it logs in to a host.

use std::path::Path;

use super::gate::ALIAS;
use super::keep::GATEWAY;

/// A path inside quotes of ssh_config, where `%` begins a token.
pub(super) fn quoted(path: &Path) -> String {
    path.display().to_string().replace('%', "%%")
}

/// The block for these patterns of hosts. `program`: daypass and its options, as a shell takes them, `%` doubled.
///
/// It may stand first in a configuration, so that it ends up in no other block. Nothing that stands below is known there yet: so
/// the certificate is looked for when ssh reads it all once more (`final`), with the `User` and the `HostName` that it found.
/// Where a gateway is in front, ssh offers it nothing but that certificate and its key: by another key, a user would mean something else there.
/// `ControlPath` is what the first line says that has it.
pub(super) fn block(program: &str, hosts: &[String], key: &Path, folder: &Path) -> String {
    let (hosts, key, folder) = (hosts.join(","), quoted(key), quoted(folder));
    format!(
        "# Written by daypass ssh-config. What is asked of daypass here is answered without a question to anybody.\n\
         # A connection that is shared would be used beyond the end of a grant.\n\
         Match host {hosts}\n    ControlPath none\n\
         Match final host {hosts} exec \"{program} ssh-certificate --for '%h' --user '%r'\"\n    \
         IdentityFile \"{key}\"\n    CertificateFile \"{folder}/%h_%r-cert.pub\"\n    IdentitiesOnly yes\n    \
         ControlPath none\n\
         # Where a gateway is in front of the host, the certificate opens that alone, and ssh goes through.\n\
         Match final host {hosts} exec \"test -f '{folder}/%h_%r-cert.{GATEWAY}' && {program} ssh-certificate --for '%h' --user '%r'\"\n    \
         IdentityFile \"{key}\"\n    CertificateFile \"{folder}/%h_%r-cert.pub\"\n    IdentitiesOnly yes\n    \
         ProxyCommand {program} ssh-through --for '%h' --user '%r'\n    HostKeyAlias {ALIAS}\n    \
         UserKnownHostsFile \"{folder}/%h_%r-cert.{GATEWAY}\"\n    GlobalKnownHostsFile /dev/null\n    \
         StrictHostKeyChecking yes\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What ssh makes of it for a destination, and what it asked of daypass.
    fn shown(config: &Path, asked: &Path, to: &str) -> (String, String) {
        let _ = std::fs::remove_file(asked);
        let output = std::process::Command::new("ssh")
            .args(["-G", "-F"])
            .arg(config)
            .arg(to)
            .output()
            .expect("ssh");
        let asked = std::fs::read_to_string(asked).unwrap_or_default();
        (String::from_utf8(output.stdout).unwrap(), asked)
    }

    #[test]
    fn at_the_top_it_keeps_what_stands_below() {
        let dir = tempfile::tempdir().unwrap();
        let (config, asked) = (dir.path().join("config"), dir.path().join("asked"));
        let program = format!("echo >>{}", asked.display());
        let block = block(
            &program,
            &["*.internal".to_owned()],
            Path::new("/k/id"),
            Path::new("/k"),
        );
        std::fs::write(dir.path().join("daypass.conf"), block).unwrap();
        let below = "Host web\n  HostName web-1.internal\n  User deploy\nHost *\n  ServerAliveInterval 7\n";
        let include = format!("Include {}\n", dir.path().join("daypass.conf").display());
        std::fs::write(&config, format!("{include}{below}")).unwrap();

        let (web, told) = shown(&config, &asked, "web");
        for line in [
            "user deploy",
            "hostname web-1.internal",
            "serveraliveinterval 7",
            "identityfile /k/id",
            "certificatefile /k/%h_%r-cert.pub",
            "identitiesonly yes",
        ] {
            assert!(web.lines().any(|one| one == line), "{line} is not in {web}");
        }
        assert_eq!(
            told, "ssh-certificate --for web-1.internal --user deploy\n",
            "once, for whom it is"
        );
        let (_, told) = shown(&config, &asked, "ana@Web-2.Internal");
        assert_eq!(told, "ssh-certificate --for web-2.internal --user ana\n");
        let (other, told) = shown(&config, &asked, "other");
        assert!(!other.contains("/k/") && told.is_empty(), "{other}{told}");
        assert!(other.contains("serveraliveinterval 7"));
    }

    /// The lines of `ssh -G` that begin with one of these.
    fn of<'a>(config: &'a str, words: &[&str]) -> Vec<&'a str> {
        let is_one = |line: &&str| words.contains(&line.split(' ').next().unwrap_or_default());
        config.lines().filter(is_one).collect()
    }

    #[test]
    fn a_gateway_is_shown_the_certificate_and_no_other_key() {
        let dir = tempfile::tempdir().unwrap();
        let (config, asked) = (dir.path().join("config"), dir.path().join("asked"));
        let (known, fails) = (
            dir.path().join("web.internal_backup-cert.gateway"),
            dir.path().join("fails"),
        );
        std::fs::write(&known, "").unwrap();
        // It says once more that there is one, or that there is none: at first, or later too.
        let program = |first: &str, then: &str| {
            format!(
                "{{ if [ -e '{0}' ]; then {then}; else touch '{0}'; {first}; fi; }} && :",
                fails.display()
            )
        };
        let own = "Host *\n  IdentityFile /own/id\n";
        let words = [
            "identityfile",
            "identitiesonly",
            "certificatefile",
            "proxycommand",
        ];
        for (first, then, through) in [
            ("true", "true", true),
            ("exit 1", "true", true),
            ("exit 1", "exit 1", false),
        ] {
            let _ = std::fs::remove_file(&fails);
            let hosts = ["*.internal".to_owned()];
            let program = program(first, then);
            let text = block(&program, &hosts, Path::new("/k/id"), dir.path());
            std::fs::write(&config, format!("{text}{own}")).unwrap();
            let (shown, _) = shown(&config, &asked, "backup@web.internal");
            let shown = of(&shown, &words);
            let has = |word: &str| shown.iter().any(|line| line.starts_with(word));
            assert_eq!(has("proxycommand"), through, "{first} {then}: {shown:?}");
            assert_eq!(has("identitiesonly yes"), through, "{first} {then}: {shown:?}");
            assert_eq!(has("certificatefile"), through, "{first} {then}: {shown:?}");
        }
        // With none, it is the host itself that ssh goes to.
        std::fs::remove_file(&known).unwrap();
        let (shown, _) = shown(&config, &asked, "backup@web.internal");
        assert!(of(&shown, &["proxycommand"]).is_empty());
    }

    #[test]
    fn no_connection_is_shared() {
        let dir = tempfile::tempdir().unwrap();
        let (config, asked) = (dir.path().join("config"), dir.path().join("asked"));
        let block = block(
            "true",
            &["*.internal".to_owned()],
            Path::new("/k"),
            Path::new("/k"),
        );
        std::fs::write(&config, format!("{block}Host *\n  ControlPath /tmp/shared-%C\n")).unwrap();
        // ssh shows none as nothing.
        let (host, _) = shown(&config, &asked, "web-1.internal");
        assert!(!host.contains("controlpath"), "{host}");
        let (other, _) = shown(&config, &asked, "other");
        assert!(other.contains("controlpath /tmp/shared-"), "{other}");
    }
}
