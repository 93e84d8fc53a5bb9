//! The main job with a port of a virtual machine in Azure in place of a database: shut, opened to one address after two people
//! agreed, and seen shut again; and two people behind one address, of whom neither cuts the other.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use daypass_testbed::azure::{Azure, Certificate, Fault, Proof, Times};
use serde_json::{Value, json};

use crate::house::{House, Settings, Store, ended_as_seen, names, on_both_stores};
use crate::running::ends_with;

on_both_stores!(a_port_is_opened_for_a_while);

/// Whoever asks in these tests asks from here.
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Nobody asks from here.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// A house with a tenant in Azure beside its database.
struct Cloud {
    house: House,
    azure: Azure,
    vm: String,
}

impl Cloud {
    fn open(store: Store) -> Self {
        let azure = Azure::start().unwrap();
        let subscription = azure.subscription("Production");
        let vm = azure.vm(&subscription, "web", "web-1", "10.0.0.4");
        let shown = Certificate::make().unwrap();
        let daypass = azure.program("daypass", &Proof::Certificate(shown.clone()));
        azure.assign(
            &daypass.object,
            "Owner",
            &format!("/subscriptions/{subscription}"),
        );

        let mut house = House::build(&Settings::on(store));
        house.secret("azure.pem", &format!("{}{}", shown.certificate, shown.key));
        house.write("azure-ca.pem", azure.ca_pem());
        let (tenant, url) = (azure.tenant(), azure.url());
        let mut operator = std::fs::read_to_string(house.file("server.yaml")).unwrap();
        write!(
            operator,
            "identities:\n  azure-daypass:\n    azure: {{tenant: {tenant}, client_id: {}, \
             certificate: secrets/azure.pem, authority: \"{url}\", arm: \"{url}\", graph: \"{url}\", ca: azure-ca.pem}}\n",
            daypass.client
        )
        .unwrap();
        house.write("server.yaml", &operator);
        house.write("policy/azure.yaml", &policy(&tenant, &vm));
        house.serve();
        house.move_in();
        Self { house, azure, vm }
    }

    fn is_open(&self, from: IpAddr) -> bool {
        self.azure.is_open(&self.vm, 22, "Tcp", from)
    }

    /// The rules of the machine's network security group by name.
    fn rules(&self) -> Vec<String> {
        let all = self.azure.rules(&self.azure.nsg_of(&self.vm));
        all.into_iter().map(|(name, _)| name).collect()
    }
}

fn policy(tenant: &str, vm: &str) -> String {
    format!(
        "version: 1
connectors:
  - {{name: azure-main, kind: azure, config: {{tenant: {tenant}, identity: azure-daypass}}}}
resources:
  - name: web
    kind: azure-vm
    connector: azure-main
    labels: {{env: cloud}}
    config: {{closed: true, vms: [\"{vm}\"]}}
    roles: {{ssh: {{ports: [22]}}}}
rules:
  - name: web-ssh
    allow: engineers
    to: {{env: cloud}}
    source: [my-ip]
    approval:
      - {{from: leads, within: 15m, else: deny}}
      - {{from: security, within: 30m, else: deny}}
    max: 2h
"
    )
}

fn a_port_is_opened_for_a_while(store: Store) {
    let cloud = Cloud::open(store);
    let house = &cloud.house;
    assert!(!cloud.is_open(HERE));
    let ask = [
        "request",
        "web/ssh",
        "--for",
        "10s",
        "--reason",
        "PAY-7: look at the log",
    ];
    let asked = house.run("ana", &ask);
    let id = asked["id"].as_str().unwrap();
    assert_eq!(asked["state"], "pending");
    let seen = house.api("bo").get(&format!("/api/v1/requests/{id}")).of(200);
    let does = seen["effects"][0]["does"].to_string();
    assert!(
        does.contains("22") && does.contains("127.0.0.1"),
        "in Azure's words: {does}"
    );
    ends_with(&mut house.cli("bo", &["approve", id, "--yes"]), 0);
    assert!(!cloud.is_open(HERE), "one of two is not enough");
    let cy = house.api("cy");
    let seen = cy.get(&format!("/api/v1/requests/{id}")).of(200);
    let review = json!({"decision": "approve", "digest": seen["digest"]});
    cy.post(&format!("/api/v1/requests/{id}/reviews"), &review)
        .of(200);

    let seen = cy.get(&format!("/api/v1/requests/{id}")).of(200);
    let grant = seen["grant"].as_str().unwrap();
    house.until_state(grant, "active");
    assert!(cloud.is_open(HERE) && !cloud.is_open(ELSEWHERE));
    let ended = house.until_state(grant, "ended");
    assert!(!cloud.is_open(HERE));
    ended_as_seen(&ended);
    assert_eq!(ended["ended_reason"], "expired");
    let events = house.audit(&[id]);
    let all = names(&events);
    for name in [
        "entitlement.provisioned",
        "grant.activated",
        "entitlement.verified_absent",
        "grant.ended",
    ] {
        assert!(all.contains(&name), "no {name}: {all:?}");
    }
}

/// Asks for the port as somebody, and has two others agree; the grant, active.
fn granted(house: &House, who: &str) -> String {
    let ask = [
        "request",
        "web/ssh",
        "--for",
        "1h",
        "--reason",
        "PAY-8: look at the log",
    ];
    let asked = house.run(who, &ask);
    let id = asked["id"].as_str().unwrap().to_owned();
    for reviewer in ["bo", "cy"] {
        ends_with(&mut house.cli(reviewer, &["approve", &id, "--yes"]), 0);
    }
    let seen = house.api("dee").get(&format!("/api/v1/requests/{id}")).of(200);
    let grant = seen["grant"].as_str().unwrap().to_owned();
    house.until_state(&grant, "active");
    grant
}

#[test]
fn two_people_behind_one_address_do_not_cut_each_other() {
    let mut cloud = Cloud::open(Store::Sqlite);
    cloud.house.add("eve", &["--group", "engineering"]);
    let (ana, eve) = (granted(&cloud.house, "ana"), granted(&cloud.house, "eve"));
    let house = &cloud.house;
    // What keeps the port shut for everybody else is a rule as well.
    let openings = cloud
        .rules()
        .into_iter()
        .filter(|name| !name.contains("-closed-"));
    assert_eq!(openings.count(), 1, "{:?}", cloud.rules());
    ends_with(&mut house.cli("ana", &["release", &ana]), 0);
    house.until_state(&ana, "ended");
    assert!(cloud.is_open(HERE), "ana's end does not shut eve out");
    assert_eq!(house.grant(&eve)["state"], "active");

    let ana = granted(house, "ana");
    ends_with(&mut house.cli("eve", &["release", &eve]), 0);
    house.until_state(&eve, "ended");
    assert!(cloud.is_open(HERE), "nor does eve's end shut ana out");
    // Azure refuses for a while: the port stays open, and that is said; then it is shut.
    let refuses = cloud
        .azure
        .fail("DELETE", "/securityRules/", Fault::Throttled(1), Times::Always);
    ends_with(&mut house.cli("ana", &["release", &ana]), 0);
    let late = house.until(&ana, "overdue", |grant| grant["overdue"] == Value::Bool(true));
    assert_eq!(late["state"], "ending");
    assert!(cloud.is_open(HERE));
    refuses.lift();
    house.until_state(&ana, "ended");
    assert!(!cloud.is_open(HERE));
}
