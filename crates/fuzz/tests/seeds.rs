//! Every target with its seeds, and with what becomes of them by chance. The same inputs each time; change the seed to look
//! further, or use `cargo fuzz`.

#![cfg(test)]

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use daypass_fuzz::{ALL, Target};
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;

/// What means something to one of them.
const WORDS: &[&str] = &[
    "\n",
    "\n\n",
    "— ",
    "old ",
    "tile/",
    "tile/entries/",
    "x001/",
    ".p/",
    "\"",
    "{",
    "}",
    "[",
    "]",
    ": ",
    "- ",
    "&a ",
    "*a",
    "!!binary ",
    "null",
    "true",
    "-1",
    "0",
    "18446744073709551615",
    "1e400",
    "9d",
    "1h",
    "2026-01-01T00:00:00Z",
    "\u{202e}",
    "\0",
    "if",
    "when",
    "approval",
    "none",
    "rules",
    "version: 1\n",
    "max",
    "count",
    "within",
    "escalate",
    "(",
    ")",
    "&&",
    "matches",
    ".all(x, ",
    "\u{fffd}",
    "session",
    "direct-tcpip",
    "exec",
    "subsystem",
    "pty-req",
    "ssh-ed25519",
    "\0\0\0\u{1}",
];
/// The longest input, in bytes.
const LONGEST: usize = 16 * 1024;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

fn seeds(target: &Target) -> Vec<Vec<u8>> {
    let folder = root().join("seeds").join(target.name);
    let mut folders = vec![folder.clone()];
    if target.name == "policy" {
        // Those with which every word of the policy's language is tested.
        folders.push(root().join("../crates/policy/tests/golden"));
    }
    let files = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let mut files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// A place in it, and one behind that.
fn range(dice: &mut Pcg64Mcg, length: usize) -> std::ops::Range<usize> {
    let from = dice.random_range(0..=length);
    let most = (length - from).min(64);
    from..from + dice.random_range(0..=most)
}

/// Something else made of a seed and, at times, of another one.
fn mutated(dice: &mut Pcg64Mcg, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut data = seeds[dice.random_range(0..seeds.len())].clone();
    for _ in 0..dice.random_range(1..6) {
        let at = range(dice, data.len());
        match dice.random_range(0..7) {
            0 => drop(data.drain(at)),
            1 => {
                let piece = data[at].to_vec();
                let to = dice.random_range(0..=data.len());
                data.splice(to..to, piece);
            }
            2 => {
                let other = &seeds[dice.random_range(0..seeds.len())];
                let piece = other[range(dice, other.len())].to_vec();
                data.splice(at, piece);
            }
            3 => {
                let word = WORDS[dice.random_range(0..WORDS.len())];
                data.splice(at, word.bytes());
            }
            4 => data.truncate(at.end),
            5 => {
                if let Some(byte) = data.get_mut(at.start) {
                    *byte ^= 1 << dice.random_range(0..8);
                }
            }
            _ => {
                let mut noise = [0; 8];
                dice.fill_bytes(&mut noise);
                data.splice(at, noise);
            }
        }
    }
    data.truncate(LONGEST);
    data
}

/// Throws it; an input that a target does not stand is kept where `cargo fuzz` would keep it.
fn throw(target: &Target, data: &[u8]) {
    let run = target.run;
    if let Err(why) = catch_unwind(|| run(data)) {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.input", target.name));
        std::fs::write(&file, data).unwrap();
        eprintln!(
            "{} does not stand {}; put it into fuzz/seeds/{0}",
            target.name,
            file.display()
        );
        std::panic::resume_unwind(why);
    }
}

fn all_of(name: &str) {
    let target = ALL.iter().find(|target| target.name == name).unwrap();
    let (seeds, mut dice) = (seeds(target), Pcg64Mcg::seed_from_u64(7));
    for seed in &seeds {
        throw(target, seed);
    }
    for _ in 0..target.cases {
        throw(target, &mutated(&mut dice, &seeds));
    }
}

macro_rules! targets {
    ($($name:ident),*) => {
        $(#[test] fn $name() { all_of(stringify!($name)); })*

        #[test]
        fn each_target_is_driven_by_both() {
            let driven = [$(stringify!($name)),*];
            let listed: Vec<_> = ALL.iter().map(|target| target.name).collect();
            assert_eq!(listed, driven);
            let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
            for name in driven {
                let text = std::fs::read_to_string(root().join(format!("fuzz_targets/{name}.rs"))).unwrap();
                assert!(text.contains(&name.to_uppercase()), "{name}");
                assert!(manifest.contains(&format!("fuzz_targets/{name}.rs")), "{name}");
            }
        }
    };
}

targets!(
    policy,
    wire,
    note,
    checkpoint,
    tile,
    proof,
    proposal,
    startup,
    session,
    statement,
    ssh_wire,
    ssh_transport,
    ssh_key,
    ssh_files,
    ssh_session
);
