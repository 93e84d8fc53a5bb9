//! A host whose server's log is not the one that was seen: what the server then says is revoked is refused here too, and nothing that was
//! refused before is let in again. Whom the host lets in stays as it is.
//!
//! Source: OpenSSH's PROTOCOL.krl. A list is a head and sections; the same thing may be said in several of them.

/// What begins every revocation list.
const MAGIC: &[u8] = b"SSHKRL\n\0";
/// The bytes between that and the two texts of the head: format, version, time, flags.
const NUMBERS: usize = 4 + 8 + 8 + 8;
/// A section that signs those before it: with others in between it would be false. No server of ours writes one.
const SIGNATURE: u8 = 4;

/// The list with all that either refuses, under the head of the one that is shown; `None` where one of them cannot be read.
pub(super) fn joined(there: &[u8], shown: &[u8]) -> Option<Vec<u8>> {
    let (_, kept) = parts(there)?;
    let (head, mut all) = parts(shown)?;
    // In the same order each time: a list that has all of it stays as it is.
    for section in kept {
        if !all.contains(&section) {
            all.push(section);
        }
    }
    let mut list = head.to_vec();
    all.into_iter()
        .for_each(|section| list.extend_from_slice(section));
    Some(list)
}

/// The head and the sections.
fn parts(list: &[u8]) -> Option<(&[u8], Vec<&[u8]>)> {
    let rest = list.strip_prefix(MAGIC)?.get(NUMBERS..)?;
    let rest = text(text(rest)?)?;
    let (head, mut rest) = list.split_at_checked(list.len().checked_sub(rest.len())?)?;
    let mut sections = Vec::new();
    while let Some((kind, body)) = rest.split_first() {
        if *kind == SIGNATURE {
            return None;
        }
        let after = text(body)?;
        let (section, _) = rest.split_at_checked(rest.len().checked_sub(after.len())?)?;
        sections.push(section);
        rest = after;
    }
    Some((head, sections))
}

/// What comes after a text, which has its length before it.
fn text(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.get(usize::try_from(u32::from_be_bytes(*length)).ok()?..)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn string(bytes: &[u8]) -> Vec<u8> {
        let length = u32::try_from(bytes.len()).unwrap();
        [&length.to_be_bytes(), bytes].concat()
    }

    pub(in super::super) fn list(version: u64, sections: &[(u8, &[u8])]) -> Vec<u8> {
        let mut list = [MAGIC, &1_u32.to_be_bytes(), &version.to_be_bytes(), &[0; 16]].concat();
        list.extend(string(b""));
        list.extend(string(b"daypass"));
        for (kind, body) in sections {
            list.push(*kind);
            list.extend(string(body));
        }
        list
    }

    #[test]
    fn both_lists_are_refused_and_nothing_grows_without_news() {
        let there = list(9, &[(1, b"serials 1 2 3"), (2, b"a key")]);
        let shown = list(4, &[(1, b"serials 1 4")]);
        let both = joined(&there, &shown).unwrap();
        assert_eq!(
            both,
            list(4, &[(1, b"serials 1 4"), (1, b"serials 1 2 3"), (2, b"a key")])
        );
        assert_eq!(joined(&both, &shown).unwrap(), both);
        assert_eq!(joined(&list(1, &[]), &shown).unwrap(), shown);
    }

    /// That OpenSSH reads a list as it is said here: the same authority in two sections.
    #[test]
    fn openssh_refuses_what_either_list_refuses() {
        let folder = tempfile::tempdir().unwrap();
        let keygen = |args: &[&str]| {
            let mut command = std::process::Command::new("ssh-keygen");
            command.args(args).current_dir(folder.path()).output()
        };
        if keygen(&["-?"]).is_err() {
            eprintln!("no ssh-keygen here: it is not asked");
            return;
        }
        let done = |args: &[&str]| assert!(keygen(args).unwrap().status.success(), "{args:?}");
        for key in ["ca", "user"] {
            done(&["-q", "-t", "ed25519", "-N", "", "-f", key]);
        }
        for serial in ["1", "2"] {
            std::fs::write(folder.path().join("serial"), format!("serial: {serial}\n")).unwrap();
            done(&["-q", "-k", "-f", serial, "-s", "ca.pub", "serial"]);
        }
        let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
        std::fs::write(
            folder.path().join("both"),
            joined(&read("1"), &read("2")).unwrap(),
        )
        .unwrap();
        for (serial, list, refused) in [
            ("1", "both", true),
            ("2", "both", true),
            ("3", "both", false),
            ("1", "2", false),
        ] {
            done(&["-q", "-s", "ca", "-I", "x", "-n", "x", "-z", serial, "user.pub"]);
            let asked = keygen(&["-Q", "-f", list, "user-cert.pub"]).unwrap();
            assert_eq!(asked.status.success(), !refused, "{serial} in {list}");
        }
    }

    #[test]
    fn what_is_no_list_is_not_joined() {
        let good = list(1, &[(1, b"x")]);
        for bad in [
            Vec::new(),
            MAGIC.to_vec(),
            good[..good.len() - 1].to_vec(),
            [good.as_slice(), &[1, 0xff, 0xff, 0xff, 0xff]].concat(),
            [good.as_slice(), &[1]].concat(),
            list(1, &[(SIGNATURE, b"x")]),
        ] {
            assert_eq!(joined(&bad, &good), None, "{bad:?}");
            assert_eq!(joined(&good, &bad), None, "{bad:?}");
        }
    }
}
