//! Installs the clients: pinned, with the hashes of their files, below the target directory, where a second run finds them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tokio::sync::Mutex;

/// Where the clients' scripts are.
pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/clients")
        .join(name)
}

/// The driver for Java, from Maven's registry, and the hash of its file.
const JDBC: (&str, &str) = (
    "42.7.13",
    "6e0e4cc2d8cae902084f8a2b18728b073a6fd9d1f87c9d8bff8f298c18185b93",
);
/// Given as it is to Maven: the plugin is pinned as the driver is.
const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy";

/// One at a time: two tests share what Python needs, and none is to measure while another one compiles.
static ONE: Mutex<()> = Mutex::const_new(());

/// psycopg and asyncpg.
pub(crate) async fn python(script: &str) -> tokio::process::Command {
    let script = folder("python").join(script);
    let bin = venv("python").await;
    let mut command = tokio::process::Command::new(bin.join("python"));
    command.arg("-B").arg(script);
    command
}

/// The programs of an environment of Python's with what the requirements in this folder say.
pub(crate) async fn venv(name: &str) -> PathBuf {
    let name = name.to_owned();
    blocking(move || {
        let here = folder(&name);
        let program = std::env::var("DAYPASS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let which = ["-c", "import sys; print(sys.executable, sys.version)"];
        let which = run(Command::new(&program).args(which));
        let place = made(&name, &which, &[&here.join("requirements.txt")], |place| {
            run(Command::new(&program).args(["-m", "venv", "--clear"]).arg(place));
            run(Command::new(place.join("bin/python"))
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
                .args(["--only-binary", ":all:", "--require-hashes", "-r"])
                .arg(here.join("requirements.txt")));
        });
        place.join("bin")
    })
    .await
}

/// node-postgres.
pub(crate) async fn node() -> tokio::process::Command {
    blocking(|| {
        let here = folder("node-postgres");
        let files = ["package.json", "package-lock.json", "client.js"].map(|name| here.join(name));
        let place = made("node", "", &files.each_ref(), |place| {
            fs::create_dir_all(place).unwrap();
            for file in &files {
                fs::copy(file, place.join(file.file_name().unwrap())).unwrap();
            }
            run(Command::new("npm")
                .args([
                    "ci",
                    "--ignore-scripts",
                    "--no-audit",
                    "--no-fund",
                    "--loglevel=error",
                ])
                .current_dir(place));
        });
        let mut command = tokio::process::Command::new("node");
        command.arg(place.join("client.js"));
        command
    })
    .await
}

/// pgx, or Go's SSH.
pub(crate) async fn go(name: &'static str) -> tokio::process::Command {
    blocking(move || {
        let here = folder(name);
        let files = ["go.mod", "go.sum", "main.go"].map(|name| here.join(name));
        let place = made(&format!("go-{name}"), "", &files.each_ref(), |place| {
            run(Command::new("go")
                .args(["build", "-mod=readonly", "-trimpath", "-o"])
                .arg(place.join("client"))
                .current_dir(&here));
        });
        tokio::process::Command::new(place.join("client"))
    })
    .await
}

/// JDBC.
pub(crate) async fn java() -> tokio::process::Command {
    blocking(|| {
        let source = folder("jdbc").join("Client.java");
        let (version, hash) = JDBC;
        let driver = format!("postgresql-{version}.jar");
        let place = made("java", version, &[&source], |place| {
            run(Command::new("mvn")
                .args([
                    "--quiet",
                    "--batch-mode",
                    COPY,
                    &format!("-Dartifact=org.postgresql:postgresql:{version}"),
                ])
                .arg(format!("-DoutputDirectory={}", place.display()))
                .current_dir(folder("jdbc")));
            let jar = fs::read(place.join(&driver)).unwrap();
            let found = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &jar);
            assert_eq!(hex::encode(found), hash, "{driver} is not the file that it was");
            run(Command::new("javac")
                .args(["-encoding", "UTF-8", "-cp"])
                .arg(place.join(&driver))
                .arg("-d")
                .arg(place)
                .arg(&source));
        });
        let mut command = tokio::process::Command::new("java");
        // It ends before a compiler of the second tier would be of use.
        command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp"]);
        command.arg(format!("{}:{}", place.display(), place.join(&driver).display()));
        command.arg("Client");
        command
    })
    .await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let _one = ONE.lock().await;
    tokio::task::spawn_blocking(work).await.unwrap()
}

/// The folder of that name, made anew whenever one of the files, or what else it was made with, is another than it was; whole or
/// not at all.
fn made(name: &str, with: &str, files: &[&PathBuf], make: impl FnOnce(&Path)) -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("client-{name}"));
    let mut made_of = with.as_bytes().to_vec();
    made_of.extend(files.iter().flat_map(|file| fs::read(file).unwrap()));
    let mark = place.join("made-of");
    if fs::read(&mark).is_ok_and(|found| found == made_of) {
        return place;
    }
    if place.exists() {
        fs::remove_dir_all(&place).unwrap();
    }
    fs::create_dir_all(&place).unwrap();
    make(&place);
    fs::write(mark, made_of).unwrap();
    place
}

/// Runs it, and returns what it printed.
fn run(command: &mut Command) -> String {
    let program = command.get_program().to_string_lossy().into_owned();
    let done = command.stdin(Stdio::null()).output();
    let done = done.unwrap_or_else(|error| {
        panic!("this machine has no {program} ({error}): cargo xtask setup installs it, or says how")
    });
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        done.status.success(),
        "{command:?}: {}{}",
        said(&done.stdout),
        said(&done.stderr)
    );
    said(&done.stdout)
}
