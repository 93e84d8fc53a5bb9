//! Programs in Python that others wrote, each set in a virtual environment of its own below the target directory.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What is installed from PyPI, and where.
pub(crate) struct Venv {
    /// The folder; another number at its end makes a new one.
    pub(crate) name: &'static str,
    /// What `pip install` is told.
    pub(crate) install: &'static [&'static str],
    /// What can be imported once it is there.
    pub(crate) modules: &'static str,
}

impl Venv {
    /// Its Python, made where it is not there yet. `None`: this machine has no Python; CI's has.
    pub(crate) fn python(&self) -> Option<PathBuf> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(self.name);
        let python = folder.join("bin/python");
        let import = format!("import {}", self.modules);
        let works = || quiet(Command::new(&python).args(["-c", &import]));
        if works() {
            return Some(python);
        }
        let program = std::env::var("DAYPASS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        if !quiet(Command::new(&program).args(["-c", "import venv, ensurepip"])) {
            assert!(std::env::var_os("CI").is_none(), "CI has no {program} with venv");
            eprintln!("NOT TESTED: no {program} with venv here, so no {}", self.modules);
            return None;
        }
        let venv = quiet(
            Command::new(&program)
                .args(["-m", "venv", "--clear"])
                .arg(&folder),
        );
        assert!(venv, "{program} -m venv {}", folder.display());
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(self.install)
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        assert!(
            quiet(&mut pip) && works(),
            "pip cannot install {:?}",
            self.install
        );
        Some(python)
    }
}

fn quiet(command: &mut Command) -> bool {
    let done = command.stdin(Stdio::null()).output();
    done.is_ok_and(|done| done.status.success())
}
