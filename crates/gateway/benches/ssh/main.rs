//! The gateway of SSH beside `ssh -J` and beside no gateway at all: how fast much goes through it, and what a short command costs.
//!
//! `cargo xtask bench ssh` runs it; `-- --help` says what it takes. All three ways have OpenSSH's own client and sshd, one cipher
//! and one key exchange. In each round the direct way is measured, then the others, then the direct way again; what counts is the ratio.
//! It is the library that is measured, with the tests' own `Control`: what a server decides and seals is not in it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a bench that cannot run says so by panicking"
)]

#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/it/control.rs"]
mod control;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/it/ssh_world.rs"]
mod ssh_world;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/it/world.rs"]
mod world;

use std::time::{Duration, Instant};

use tokio::process::Command;

use ssh_world::{PRINCIPAL, World};

const HELP: &str = "\
cargo xtask bench ssh [--rounds N] [--mib N]

  --rounds N   rounds that count, of each thing (7); void ones are repeated, up to three times as many
  --mib N      how much goes through at once (500)";

/// So much may the direct way vary within a round, as a part of itself.
const STEADY: f64 = 0.15;

/// What a machine is given for one measurement.
const LONGEST: Duration = Duration::from_secs(300);

/// As on all ways: what both sides' processors do in hardware.
const ALIKE: [&str; 4] = [
    "-c",
    "aes128-gcm@openssh.com",
    "-o",
    "KexAlgorithms=curve25519-sha256",
];

#[derive(Debug, Clone, Copy)]
enum Way {
    Direct,
    Gateway,
    Jump,
}

fn main() {
    let (mut rounds, mut mib) = (7, 500);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|text| text.parse().ok()).expect(HELP);
        match word.as_str() {
            "--bench" => {}
            "--rounds" => rounds = number(),
            "--mib" => mib = number(),
            "-h" | "--help" => return println!("{HELP}"),
            other => panic!("{other} is not known\n{HELP}"),
        }
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(run(rounds, mib));
}

async fn run(rounds: usize, mib: usize) {
    let bench = Bench::open().await;
    let much = format!("head -c {mib}M /dev/zero");
    println!("{mib} MiB, seconds: direct, gateway, ssh -J, direct");
    let all = measure(&bench, rounds, &much).await;
    report(
        "2a: throughput, gateway / direct",
        &all,
        |[direct, gateway, _]| direct / gateway,
    );
    report("2a: throughput, gateway / ssh -J", &all, |[_, gateway, jump]| {
        jump / gateway
    });
    println!("ssh … true, seconds: direct, gateway, ssh -J, direct");
    let all = measure(&bench, rounds, "true").await;
    report("2b: time, gateway / direct", &all, |[direct, gateway, _]| {
        gateway / direct
    });
    report("2b: time, ssh -J / direct", &all, |[direct, _, jump]| {
        jump / direct
    });
}

/// The rounds that count: direct, through the gateway, and with `-J`.
async fn measure(bench: &Bench, rounds: usize, command: &str) -> Vec<[f64; 3]> {
    let mut all = Vec::new();
    for _ in 0..3 * rounds {
        if all.len() == rounds {
            break;
        }
        let before = bench.time(Way::Direct, command).await;
        let gateway = bench.time(Way::Gateway, command).await;
        let jump = bench.time(Way::Jump, command).await;
        let after = bench.time(Way::Direct, command).await;
        println!("  {before:8.3} {gateway:8.3} {jump:8.3} {after:8.3}");
        let direct = f64::midpoint(before, after);
        if (before - after).abs() > direct * STEADY {
            println!("  void: the direct way varied");
            continue;
        }
        all.push([direct, gateway, jump]);
    }
    all
}

fn report(what: &str, all: &[[f64; 3]], ratio: impl Fn(&[f64; 3]) -> f64) {
    let mut ratios: Vec<f64> = all.iter().map(ratio).collect();
    ratios.sort_by(f64::total_cmp);
    match ratios.as_slice() {
        [] => println!("{what}: no round in which the direct way was steady: the machine is too busy"),
        [least, .., most] => {
            let median = ratios[ratios.len() / 2];
            println!(
                "{what}: {median:.3} ({least:.3} to {most:.3}), {} rounds",
                all.len()
            );
        }
        [one] => println!("{what}: {one:.3}, 1 round"),
    }
}

struct Bench {
    world: World,
}

impl Bench {
    async fn open() -> Self {
        let world = World::start().await;
        let (host, key, authority) = World::host();
        // Directly, the client is known by a certificate of its own.
        for name in ["id", "id.pub"] {
            std::fs::copy(World::key_file(name), world.path(name)).unwrap();
        }
        let mut keygen = std::process::Command::new("ssh-keygen");
        keygen.args(["-q", "-I", "bench", "-V", "-1m:+1d", "-n", PRINCIPAL, "-s"]);
        let signed = keygen.arg(authority).arg(world.path("id.pub")).output().unwrap();
        assert!(
            signed.status.success(),
            "{}",
            String::from_utf8_lossy(&signed.stderr)
        );
        let config = format!(
            "Host hop\nHostName localhost\nHost *\nHostName 127.0.0.1\nPort {host}\nHostKeyAlias host\nIdentityFile {0}/id\nIdentitiesOnly yes\nIdentityAgent none\n\
             UserKnownHostsFile {0}/host_known\nStrictHostKeyChecking yes\nUpdateHostKeys no\nCiphers aes128-gcm@openssh.com\n\
             KexAlgorithms curve25519-sha256\n",
            world.dir.path().display()
        );
        std::fs::write(world.path("direct"), config).unwrap();
        std::fs::write(world.path("host_known"), format!("host {key}\n")).unwrap();
        Self { world }
    }

    fn command(&self, way: Way) -> Command {
        if matches!(way, Way::Gateway) {
            let mut ssh = self.world.program("ssh");
            ssh.args(ALIKE).args(["-l", "web/ops", "gateway"]);
            return ssh;
        }
        let mut ssh = Command::new("ssh");
        ssh.env_remove("SSH_AUTH_SOCK")
            .arg("-F")
            .arg(self.world.path("direct"));
        if matches!(way, Way::Jump) {
            // The same sshd by another name: OpenSSH takes no host for the way to itself.
            ssh.args(["-J", "hop"]);
        }
        ssh.arg("host").kill_on_drop(true);
        ssh
    }

    /// How many seconds it takes.
    async fn time(&self, way: Way, command: &str) -> f64 {
        let mut ssh = self.command(way);
        ssh.arg(command)
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::piped());
        let begun = Instant::now();
        let done = world::for_a_while(LONGEST, ssh.output()).await;
        let took = begun.elapsed();
        let done = done
            .unwrap_or_else(|| panic!("{way:?} took longer than {LONGEST:?}"))
            .unwrap();
        assert!(
            done.status.success(),
            "{way:?}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        took.as_secs_f64()
    }
}
