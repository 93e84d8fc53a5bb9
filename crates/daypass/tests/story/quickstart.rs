//! `docs/quickstart.md`, run as it stands: only the two ports in it are others, so that it never meets anything real.

use std::process::{Command, Stdio};

use daypass_testbed::Postgres;

use crate::running::{Running, daypass, ends_with};

const PAGE: &str = include_str!("../../../../docs/quickstart.md");

/// The commands of the page up to the server, the server's own, and those after it.
fn blocks() -> (String, String, String) {
    let (mut before, mut server, mut after) = (String::new(), String::new(), String::new());
    for part in PAGE.split("\n```").skip(1).step_by(2) {
        let (info, text) = part.split_once('\n').expect("a block has lines");
        match info {
            "sh" if server.is_empty() => before += &format!("{text}\n"),
            "sh" => after += &format!("{text}\n"),
            "sh server" => server = text.to_owned(),
            _ => {}
        }
    }
    (before, server, after)
}

#[test]
fn the_page_does_what_it_says() {
    let (before, server, after) = blocks();
    assert!(before.contains("daypass init") && !server.is_empty() && after.contains("keys rotate"));
    let postgres = Postgres::start().unwrap();
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port().to_string()
    };
    let folder = tempfile::tempdir().unwrap();
    let binary = daypass(&[]).get_program().to_owned();
    let programs = std::path::Path::new(&binary).parent().unwrap().to_owned();
    let path = std::env::var("PATH").unwrap();
    let path = format!(
        "{}:{}:{path}",
        programs.display(),
        postgres.installed().bin_dir().display()
    );
    let shell = |text: &str| {
        let text = text
            .replace("7373", &port)
            .replace("5432", &postgres.port().to_string());
        let mut command = Command::new("bash");
        command
            .args(["-euo", "pipefail", "-c", &text])
            .current_dir(folder.path())
            .stdin(Stdio::null());
        command
            .env("PATH", &path)
            .env("PGPASSWORD", postgres.password())
            .env("XDG_CONFIG_HOME", folder.path());
        for name in ["DAYPASS_SERVER", "DAYPASS_TOKEN", "DAYPASS_PROFILE"] {
            command.env_remove(name);
        }
        command
    };
    // The address is the page's default, which `init` takes as an option.
    let before = before.replace("daypass init dp", "daypass init dp --listen 127.0.0.1:7373");
    let (_, err) = ends_with(&mut shell(&before), 0);
    assert!(err.contains("its tests pass (4)"), "{err}");
    let mut running = Running::start(shell(&format!("exec {server}")));
    running.says("Daypass answers on");
    let exports = "export PGHOST=127.0.0.1 PGPORT=5432 PGUSER=postgres\n";
    let (out, err) = ends_with(&mut shell(&format!("{exports}{after}")), 0);
    let mut rest = out.as_str();
    for part in [
        "orders/write",
        "UPDATE 1",
        "The deadline came.",
        "(0 rows)",
        "entitlement.verified_absent",
    ] {
        let Some((_, then)) = rest.split_once(part) else {
            panic!("no {part:?} in its place:\n{out}\n{err}")
        };
        rest = then;
    }
    assert!(
        err.contains("terminating connection due to administrator command"),
        "{err}"
    );
    let paid = postgres
        .psql("orders", "SELECT state FROM orders WHERE id = 7")
        .unwrap();
    assert_eq!(paid, "paid");
}
