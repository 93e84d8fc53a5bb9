//! The server as its users see it: up, down, up again, and gone.

use super::*;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;

/// How many processes have `needle` in their arguments.
fn processes_with(needle: &str) -> usize {
    let output = Command::new("grep")
        .args(["-lFs", "--", needle])
        .args(cmdlines())
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).lines().count()
}

fn cmdlines() -> Vec<PathBuf> {
    let numeric = |name: &std::ffi::OsStr| name.to_string_lossy().bytes().all(|b| b.is_ascii_digit());
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|entry| numeric(&entry.file_name()) && entry.file_name() != *std::process::id().to_string())
        .map(|entry| entry.path().join("cmdline"))
        .collect()
}

#[test]
fn answers_with_the_right_password_only() {
    let postgres = Postgres::start().unwrap();
    assert_eq!(
        postgres.psql("postgres", "SELECT current_user, 6 * 7").unwrap(),
        "postgres|42"
    );

    let wrong = Command::new(postgres.installed().program("psql"))
        .args([
            "-w",
            "-d",
            &postgres.url_as(SUPERUSER, "wrong", "postgres"),
            "-c",
            "SELECT 1",
        ])
        .output()
        .unwrap();
    assert!(!wrong.status.success());
    let said = String::from_utf8_lossy(&wrong.stderr);
    assert!(said.contains("password authentication failed"), "{said}");
}

#[test]
fn listens_on_loopback_alone_and_has_no_local_socket() {
    let postgres = Postgres::start().unwrap();
    assert_eq!(
        postgres.psql("postgres", "SHOW listen_addresses").unwrap(),
        "127.0.0.1"
    );
    assert_eq!(
        postgres.psql("postgres", "SHOW unix_socket_directories").unwrap(),
        ""
    );
}

#[test]
fn runs_as_somebody_without_privileges() {
    let postgres = Postgres::start().unwrap();
    let uid = std::os::unix::fs::MetadataExt::uid(&fs::metadata(postgres.data_dir()).unwrap());
    assert_ne!(uid, 0);
}

#[test]
fn keeps_data_and_port_across_a_stop_and_a_crash() {
    let mut postgres = Postgres::start().unwrap();
    let port = postgres.port();
    postgres
        .psql("postgres", "CREATE TABLE t (n int); INSERT INTO t VALUES (1)")
        .unwrap();

    for how in [Stop::Fast, Stop::Immediate] {
        postgres.stop(how).unwrap();
        assert!(!postgres.is_running());
        assert!(
            TcpStream::connect(postgres.addr()).is_err(),
            "{how:?} left somebody listening"
        );
        postgres.start_again().unwrap();
        assert_eq!(postgres.port(), port);
        assert_eq!(
            postgres.psql("postgres", "SELECT count(*) FROM t").unwrap(),
            "1",
            "after {how:?}"
        );
    }
    assert!(
        postgres.log().unwrap().contains("automatic recovery in progress"),
        "Immediate is not a crash"
    );
}

#[test]
fn is_durable_only_when_asked() {
    let fast = Postgres::start().unwrap();
    assert_eq!(fast.psql("postgres", "SHOW fsync").unwrap(), "off");
    let durable = Postgres::options()
        .durable(true)
        .setting("log_statement", "all")
        .start()
        .unwrap();
    assert_eq!(durable.psql("postgres", "SHOW fsync").unwrap(), "on");
    assert_eq!(durable.psql("postgres", "SHOW full_page_writes").unwrap(), "on");
    assert!(
        durable
            .log()
            .unwrap()
            .contains("statement: SHOW full_page_writes")
    );
}

#[test]
fn drop_leaves_no_process_and_no_file() {
    let postgres = Postgres::start().unwrap();
    let home = postgres.place.path().to_owned();
    let name = home.to_str().unwrap().to_owned();
    assert!(processes_with(&name) >= 2, "the server and its keeper");
    drop(postgres);
    assert_eq!(processes_with(&name), 0);
    assert!(!home.exists());
}

/// Set for the copy of this test binary that is going to be killed.
const VICTIM: &str = "DAYPASS_TESTBED_VICTIM";

#[test]
fn a_killed_process_leaves_nothing_either() {
    if std::env::var_os(VICTIM).is_some() {
        let postgres = Postgres::start().unwrap();
        eprintln!("home={}", postgres.place.path().display());
        std::thread::park();
    }
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "postgres::tests::a_killed_process_leaves_nothing_either",
            "--nocapture",
        ])
        .env(VICTIM, "1")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(victim.stderr.take().unwrap()).lines();
    let home = lines
        .map_while(Result::ok)
        .find_map(|line| Some(line.strip_prefix("home=")?.to_owned()))
        .unwrap();
    assert!(processes_with(&home) >= 2, "the server and its keeper");

    victim.kill().unwrap();
    victim.wait().unwrap();

    wait::until("the directory to go", Duration::from_secs(20), || {
        Ok((!Path::new(&home).exists()).then_some(()))
    })
    .unwrap();
    wait::until("the processes to go", Duration::from_secs(5), || {
        Ok((processes_with(&home) == 0).then_some(()))
    })
    .unwrap();
}

#[test]
fn a_port_that_is_taken_is_reported_with_the_servers_own_words() {
    let mut postgres = Postgres::start().unwrap();
    postgres.stop(Stop::Fast).unwrap();
    let _squatter = std::net::TcpListener::bind(postgres.addr()).unwrap();
    let error = postgres.start_again().unwrap_err().to_string();
    assert!(error.contains("Address already in use"), "{error}");
    assert!(!postgres.is_running());
}

#[test]
fn a_setting_that_does_not_exist_fails_at_once_and_says_so() {
    let error = Postgres::options()
        .setting("no_such_thing", "1")
        .start()
        .unwrap_err()
        .to_string();
    assert!(error.contains("no_such_thing"), "{error}");
}

#[test]
fn the_shared_server_gives_everybody_their_own_database() {
    let shared = Postgres::shared().unwrap();
    assert_eq!(Postgres::shared().unwrap().port(), shared.port());
    let (one, two) = (
        shared.create_database("t").unwrap(),
        shared.create_database("t").unwrap(),
    );
    shared.psql(&one, "CREATE TABLE only_here ()").unwrap();
    assert!(shared.psql(&two, "SELECT * FROM only_here").is_err());
}

#[test]
fn ready_means_this_process_and_the_eighth_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("postmaster.pid");
    let write = |pid: u32, state: &str| {
        fs::write(
            &file,
            format!("{pid}\n/data\n1700000000\n5432\n\n127.0.0.1\n  1 2\n{state}\n"),
        )
        .unwrap();
    };
    assert!(!is_ready(&file, 7));
    write(7, "starting");
    assert!(!is_ready(&file, 7));
    write(8, "ready   ");
    assert!(!is_ready(&file, 7), "the file of a predecessor");
    write(7, "ready   ");
    assert!(is_ready(&file, 7));
}
