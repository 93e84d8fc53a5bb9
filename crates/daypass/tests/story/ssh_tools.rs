//! The tools that people have beside ssh: the real `rsync` and the real Ansible, through the block that `daypass ssh-config`
//! writes, against a real sshd. Both work while a grant lasts, and get nowhere once it has ended.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use daypass_testbed::wait;

use crate::running::ends_with;
use crate::ssh::{Fleet, QUIETLY, first_login};

/// What is installed from PyPI: whichever of these the machine's Python is new enough for.
const ANSIBLE: &str = "ansible-core>=2.15,<2.19";
/// What Ansible ends with where it could not get to a host.
const UNREACHABLE: i32 = 4;

/// The folder of Ansible's programs, made once. `None`: this machine has no Python; CI's has.
fn ansible() -> Option<&'static Path> {
    static MADE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ansible-python-1");
        let bin = folder.join("bin");
        let quiet = |command: &mut Command| {
            let done = command.stdin(Stdio::null()).output();
            done.is_ok_and(|done| done.status.success())
        };
        let works = || {
            quiet(
                Command::new(bin.join("ansible"))
                    .arg("--version")
                    .env("LC_ALL", "C.UTF-8"),
            )
        };
        if works() {
            return Some(bin);
        }
        let program = std::env::var("DAYPASS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        if !quiet(Command::new(&program).args(["-c", "import venv, ensurepip"])) {
            assert!(std::env::var_os("CI").is_none(), "CI has no {program} with venv");
            eprintln!("NOT TESTED: no {program} with venv here, so no Ansible goes through ssh-config");
            return None;
        }
        let mut venv = Command::new(&program);
        assert!(
            quiet(venv.args(["-m", "venv", "--clear"]).arg(&folder)),
            "{venv:?}"
        );
        let mut pip = Command::new(bin.join("python"));
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            ANSIBLE,
        ]);
        assert!(quiet(&mut pip) && works(), "pip cannot install {ANSIBLE}");
        Some(bin)
    });
    made.as_deref()
}

/// Ana's tools, which know of Daypass what `ssh-config` wrote, and nothing else.
struct Tools<'a> {
    fleet: &'a Fleet,
    /// ssh's own arguments.
    ssh: String,
}

impl<'a> Tools<'a> {
    fn new(fleet: &'a Fleet) -> Self {
        let house = &fleet.house;
        let (config, _) = ends_with(&mut house.cli("ana", &["ssh-config", "127.0.0.1"]), 0);
        house.write("ssh_config", &config);
        let config = house.file("ssh_config");
        let (port, quietly) = (fleet.web.port(), QUIETLY.join(" "));
        let ssh = format!("-F {} -p {port} {quietly}", config.display());
        Self { fleet, ssh }
    }

    fn at_home(&self, mut command: Command) -> Command {
        let house = &self.fleet.house;
        command
            .env("XDG_CONFIG_HOME", house.file("home-ana"))
            .env("HOME", house.file(""))
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null());
        command
    }

    fn rsync(&self, to: &Path) -> Output {
        let mut rsync = Command::new("rsync");
        rsync.arg("-e").arg(format!("ssh {}", self.ssh));
        rsync.arg("-r").arg(self.fleet.house.file("sent"));
        rsync.arg(format!("{}@127.0.0.1:{}", self.fleet.web.user(), to.display()));
        self.at_home(rsync).output().unwrap()
    }

    /// Ansible's `copy`: it logs in, sends a program and a file, and runs the program with the host's Python.
    fn copy(&self, bin: &Path, to: &Path) -> Output {
        let house = &self.fleet.house;
        let mut ansible = Command::new(bin.join("ansible"));
        ansible.args([
            "-i",
            "127.0.0.1,",
            "-u",
            self.fleet.web.user(),
            "all",
            "-m",
            "copy",
            "-a",
        ]);
        ansible.arg(format!(
            "src={} dest={}",
            house.file("sent/one").display(),
            to.display()
        ));
        ansible.arg("-e").arg(format!(
            "ansible_python_interpreter={}",
            bin.join("python").display()
        ));
        // Its own would keep a connection for a minute, which outlives the grant.
        ansible.env("ANSIBLE_SSH_ARGS", &self.ssh);
        // Fewer logins for the same.
        ansible.env("ANSIBLE_PIPELINING", "1");
        ansible.env("ANSIBLE_HOME", house.file("ansible"));
        ansible.env("ANSIBLE_REMOTE_TMP", house.file("ansible-at-the-host"));
        self.at_home(ansible).output().unwrap()
    }
}

#[track_caller]
fn said(output: &Output, code: Option<i32>) -> String {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    match code {
        Some(code) => assert_eq!(output.status.code(), Some(code), "{text}"),
        None => assert!(!output.status.success(), "{text}"),
    }
    text
}

#[test]
fn rsync_and_ansible_work_with_a_grant_and_get_nowhere_after_it() {
    let fleet = Fleet::open();
    let house = &fleet.house;
    let (tools, ansible) = (Tools::new(&fleet), ansible());
    std::fs::create_dir(house.file("sent")).unwrap();
    house.write("sent/one", "a file\n");

    // Nothing is asked for by itself.
    let none = said(&tools.rsync(&house.file("early")), None);
    assert!(
        none.contains("you hold no grant") && none.contains("Permission denied"),
        "{none}"
    );

    let grant = first_login(&fleet);
    said(&tools.rsync(&house.file("came")), Some(0));
    assert_eq!(
        std::fs::read_to_string(house.file("came/sent/one")).unwrap(),
        "a file\n"
    );
    if let Some(bin) = ansible {
        let did = said(&tools.copy(bin, &house.file("copied")), Some(0));
        assert!(did.contains("CHANGED"), "{did}");
        assert_eq!(std::fs::read_to_string(house.file("copied")).unwrap(), "a file\n");
    }

    house.run("ana", &["release", &grant]);
    // The host hears of it when it asks; no event tells that it has.
    wait::until("the end of the grant", Duration::from_secs(30), || {
        fleet.sync(0, 0);
        Ok((house.grant(&grant)["state"] == "ended").then_some(()))
    })
    .unwrap();
    let late = said(&tools.rsync(&house.file("late")), None);
    assert!(late.contains("Permission denied"), "{late}");
    if let Some(bin) = ansible {
        let late = said(&tools.copy(bin, &house.file("late")), Some(UNREACHABLE));
        assert!(
            late.contains("UNREACHABLE!") && late.contains("Permission denied"),
            "{late}"
        );
    }
    assert!(!house.file("early").exists() && !house.file("late").exists());
}
