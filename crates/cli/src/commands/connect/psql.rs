//! Runs `psql` with a grant's credentials, which it reads from private files: no argument or variable holds the password.
//!
//! Source for the files: PostgreSQL's documentation of libpq, "The Password File" and "The Connection Service File".

use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use daypass_api::grant::Credential;
use secrecy::zeroize::Zeroizing;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Exit;
use crate::failure::Failure;

/// The kind of target that this is the client of.
pub(super) const KIND: &str = "postgres";

/// The name of the service in the service file.
const SERVICE: &str = "daypass";

/// Where systems keep the authorities that they trust: Debian, Fedora, Alpine and macOS.
const BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// Variables by which libpq would connect elsewhere, as somebody else, or less safely than the service file says.
const OVERRIDES: &[&str] = &[
    "PGHOST",
    "PGHOSTADDR",
    "PGPORT",
    "PGDATABASE",
    "PGUSER",
    "PGPASSWORD",
    "PGPASSFILE",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGSYSCONFDIR",
    "PGSSLMODE",
    "PGREQUIRESSL",
    "PGSSLNEGOTIATION",
    "PGSSLROOTCERT",
    "PGSSLCERT",
    "PGSSLKEY",
    "PGSSLCRL",
    "PGSSLCRLDIR",
    "PGGSSENCMODE",
    "PGREQUIREAUTH",
    "PGREQUIREPEER",
    "PGTARGETSESSIONATTRS",
    "PGLOADBALANCEHOSTS",
];

/// Where `psql` is.
pub(in crate::commands) fn find(path: &OsStr) -> Result<PathBuf, Failure> {
    let is_program = |file: &PathBuf| {
        std::fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(path).map(|folder| folder.join("psql")).find(is_program).ok_or_else(|| {
        Failure::error("psql is not installed (or not in PATH)")
            .hint("apt install postgresql-client, brew install libpq, or your system's package of the same kind")
    })
}

/// Runs it to its end. The files are gone when this returns.
pub(super) async fn run(
    program: &Path,
    args: &[OsString],
    credential: &Credential,
    runtime: &Path,
) -> Result<Exit, Failure> {
    let files = write(credential, runtime)?;
    // The terminal sends these to the whole foreground group. The child decides what they mean; this process must stay
    // until it is gone, to take the files away.
    let caught =
        |kind| signal(kind).map_err(|error| Failure::error(format!("signals cannot be handled: {error}")));
    let mut interrupt = caught(SignalKind::interrupt())?;
    let mut quit = caught(SignalKind::quit())?;
    let mut hangup = caught(SignalKind::hangup())?;
    let mut terminate = caught(SignalKind::terminate())?;
    let mut child = command(program, args, files.path())
        .spawn()
        .map_err(|error| Failure::error(format!("{} cannot be started: {error}", program.display())))?;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            _ = interrupt.recv() => {}
            _ = quit.recv() => {}
            // Nobody is there any more: the session ends with its terminal.
            _ = hangup.recv() => { let _ = child.start_kill(); }
            _ = terminate.recv() => { let _ = child.start_kill(); }
        }
    };
    let closed = files.close();
    let status = status.map_err(|error| Failure::error(format!("psql was lost: {error}")))?;
    closed.map_err(|error| {
        Failure::error(format!(
            "the private files of this session are left behind: {error}"
        ))
    })?;
    Ok(exit(status))
}

/// The child's code; by a signal it is 128 and its number, as shells have it.
pub(super) fn exit(status: ExitStatus) -> Exit {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok())
        .map_or(Exit::WRAPPER_FAILED, Exit::of_child)
}

pub(super) fn command(program: &Path, args: &[OsString], files: &Path) -> Command {
    let mut command = Command::new(program);
    for name in OVERRIDES {
        command.env_remove(name);
    }
    command
        .env("PGSERVICEFILE", files.join("service"))
        .env("PGSERVICE", SERVICE)
        .env("PGPASSFILE", files.join("password"))
        .args(args)
        .kill_on_drop(true);
    command
}

/// The service file, the password file and perhaps a certificate, in a folder of their own that nobody else can enter.
pub(super) fn write(credential: &Credential, runtime: &Path) -> Result<TempDir, Failure> {
    let folder = tempfile::Builder::new()
        .prefix("daypass-")
        .permissions(std::fs::Permissions::from_mode(0o700))
        .tempdir_in(runtime)
        .map_err(|error| Failure::error(format!("no private folder in {}: {error}", runtime.display())))?;
    let field = |name: &str| {
        let value = credential.fields.get(name).map(String::as_str);
        value
            .filter(|value| !value.is_empty() && !value.chars().any(char::is_control))
            .ok_or_else(|| Failure::error(format!("the server's credentials have no usable {name}")))
    };
    let mut service = format!("[{SERVICE}]\n");
    // libpq's own words: what the server says goes into the file as it is.
    for name in ["host", "port", "user", "dbname", "sslmode"] {
        service.push_str(&format!("{name}={}\n", field(name)?));
    }
    let ca = match credential.fields.get("sslrootcert_pem") {
        Some(pem) => {
            let file = folder.path().join("ca.pem");
            private_file(&file, pem.as_bytes())?;
            Some(file)
        }
        None => BUNDLES.iter().map(PathBuf::from).find(|bundle| bundle.is_file()),
    };
    if field("sslmode")?.starts_with("verify") {
        // Without a file libpq would look in the home directory only. `system` is for those of version 16 and later.
        let ca = ca.map_or_else(|| String::from("system"), |ca| ca.display().to_string());
        service.push_str(&format!("sslrootcert={ca}\n"));
    }
    let (host, port, user) = (field("host")?, field("port")?, field("user")?);
    private_file(&folder.path().join("service"), service.as_bytes())?;
    private_file(
        &folder.path().join("password"),
        password_line(host, port, user, credential.secret.expose())?.as_bytes(),
    )?;
    Ok(folder)
}

/// `host:port:database:user:password`. The database stays open: `psql` may be told another one on the same server, but the
/// password goes to no other server and no other user.
fn password_line(host: &str, port: &str, user: &str, password: &str) -> Result<Zeroizing<String>, Failure> {
    if password.chars().any(|c| matches!(c, '\n' | '\r' | '\0')) {
        return Err(Failure::error(
            "the server's credentials cannot be written into a password file",
        ));
    }
    let escape = |text: &str| Zeroizing::new(text.replace('\\', "\\\\").replace(':', "\\:"));
    let (host, user, password) = (escape(host), escape(user), escape(password));
    Ok(Zeroizing::new(format!(
        "{}:{port}:*:{}:{}\n",
        *host, *user, *password
    )))
}

fn private_file(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(|error| Failure::error(format!("{} cannot be written: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(user: &str, secret: &str) -> Credential {
        serde_json::from_value(serde_json::json!({
            "item": {"resource": "orders", "role": "read"}, "kind": "postgres", "secret": secret,
            "fields": {"host": "::1", "port": "5432", "user": user, "dbname": "orders", "sslmode": "verify-full",
                       "sslrootcert_pem": "-----BEGIN"},
        }))
        .unwrap()
    }

    #[test]
    fn the_files_are_private_and_hold_what_libpq_reads() {
        let home = tempfile::tempdir().unwrap();
        let folder = write(&credential("daypass_r1", "a:b\\c"), home.path()).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(folder.path()), 0o700);
        for name in ["service", "password"] {
            assert_eq!(mode(&folder.path().join(name)), 0o600, "{name}");
        }
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("password"), "\\:\\:1:5432:*:daypass_r1:a\\:b\\\\c\n");
        let ca = folder.path().join("ca.pem");
        assert_eq!(read("ca.pem"), "-----BEGIN");
        assert_eq!(
            read("service"),
            format!(
                "[daypass]\nhost=::1\nport=5432\nuser=daypass_r1\ndbname=orders\nsslmode=verify-full\nsslrootcert={}\n",
                ca.display()
            )
        );
    }

    #[test]
    fn a_field_that_would_add_a_setting_is_refused() {
        let home = tempfile::tempdir().unwrap();
        assert!(write(&credential("x\nsslmode=disable", "p"), home.path()).is_err());
        assert!(write(&credential("x", "p\nq"), home.path()).is_err());
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn the_childs_code_is_passed_on_and_nothing_is_left_behind() {
        let home = tempfile::tempdir().unwrap();
        let runtime = tempfile::tempdir().unwrap();
        let seen = home.path().join("seen");
        // A shell in place of `psql` shows what that is started with.
        let script = format!(
            "{{ echo \"$0\"; env; cat \"$PGPASSFILE\"; }} > {}; exit 3",
            seen.display()
        );
        let args = ["-c", &script, "select 1"].map(OsString::from);
        let shell = Path::new("/bin/sh");
        let exit = run(shell, &args, &credential("u", "hunter2"), runtime.path())
            .await
            .unwrap();
        assert_eq!(exit, Exit::of_child(3));
        assert_eq!(std::fs::read_dir(runtime.path()).unwrap().count(), 0);
        let seen = std::fs::read_to_string(seen).unwrap();
        assert_eq!(seen.matches("hunter2").count(), 1, "in the password file alone");
        assert!(seen.starts_with("select 1\n"), "{seen}");
        assert!(seen.contains("PGSERVICE=daypass\n"), "{seen}");
    }

    #[tokio::test]
    async fn a_child_that_a_signal_ends_has_the_shells_code() {
        let home = tempfile::tempdir().unwrap();
        let args = ["-c", "kill -9 $$"].map(OsString::from);
        let exit = run(Path::new("/bin/sh"), &args, &credential("u", "p"), home.path())
            .await
            .unwrap();
        assert_eq!(exit, Exit::of_child(137));
    }

    #[test]
    fn a_missing_psql_is_said_to_be_missing() {
        let empty = tempfile::tempdir().unwrap();
        assert!(find(empty.path().as_os_str()).is_err());
        std::fs::write(empty.path().join("psql"), "").unwrap();
        assert!(find(empty.path().as_os_str()).is_err(), "it is no program");
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(empty.path().join("psql"), mode).unwrap();
        assert!(find(empty.path().as_os_str()).is_ok());
    }
}
