//! A gateway apart with TLS: clients are told what to trust, their proofs are bound to its certificate, and it may show no other than
//! the operator says.

use rustix::process::Signal;

use crate::apart::{Apart, configured, server, token};
use crate::gateway::{closed, house, sessions};
use crate::house::{House, Store};
use crate::running::{daypass, ends_with};

/// Makes a certificate for this machine and its key; what a gateway is told to show it.
fn certificate(house: &House, name: &str) -> String {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    house.write(&format!("{name}.pem"), &made.cert.pem());
    house.secret(&format!("{name}-key"), &made.signing_key.serialize_pem());
    format!(", tls: {{certificate: {name}.pem, key: secrets/{name}-key}}")
}

#[test]
fn proofs_are_bound_to_the_certificate_that_the_operator_knows() {
    let mut house = house(Store::Sqlite);
    let its_token = token(&house, "edge", "orders-gate");
    let at = server(&house).to_string();
    let tls = certificate(&house, "shown");
    let mut gateway = Apart::start_with(&house, "edge", &its_token, (&at, &tls));

    // The server learns where it is, and which certificate it shows.
    let config = std::fs::read_to_string(house.file("server.yaml")).unwrap();
    let known = format!(
        "\"localhost:{}\", ca: shown.pem, certificate: shown.pem}}",
        gateway.at().port()
    );
    house.write("server.yaml", &config.replace("\"127.0.0.1:6\"}", &known));
    house.end(Signal::TERM);
    house.serve();
    gateway.hears();
    let mut psql = house.cli(
        "ana",
        &[
            "psql",
            "orders-gate/read",
            "--reason",
            "counting orders",
            "--",
            "-X",
            "-At",
            "-c",
            "SELECT count(*) FROM orders",
        ],
    );
    let (out, _) = ends_with(psql.env("PGCHANNELBINDING", "require"), 0);
    assert_eq!(out.trim(), "2");
    let [one] = sessions(&house, &[]).try_into().unwrap();
    assert_eq!(one["gateway"], "edge");
    assert_eq!(closed(&house, one["id"].as_str().unwrap())["reason"], "left");

    // Whoever stole its token shows another, and is no gateway.
    let tls = certificate(&house, "stolen");
    let file = configured(&house, "edge", (&at, &tls));
    let (_, said) = ends_with(daypass(&["gateway", "--config"]).arg(file), 1);
    assert!(
        said.contains("another certificate than the operator knows"),
        "{said}"
    );
}
