//! Ports that stand open at machines, by rules that are not of Daypass.

use daypass_providers::inventory::SubjectKind;
use serde_json::json;

use super::bench::as_described;
use super::survey::{lines, surveyed, tenant};

#[tokio::test]
async fn a_port_that_is_open_to_the_world_or_to_an_address_is_told() {
    let bench = tenant();
    let vm = bench.azure.vm(&bench.subscription, "web", "web-1", "10.0.0.4");
    let nsg = bench.azure.nsg_of(&vm);
    bench.azure.open_by_hand(&nsg, "ssh", 300, 22, "Internet");
    bench.azure.open_by_hand(&nsg, "db", 310, 5432, "203.0.113.0/24");
    bench.azure.open_by_hand(&nsg, "again", 320, 22, "*");
    bench
        .azure
        .open_by_hand(&nsg, "inside", 330, 8080, "VirtualNetwork");
    bench.azure.put_rule(
        &nsg,
        "many",
        json!({
            "protocol": "*", "access": "Allow", "direction": "Inbound", "priority": 340, "sourcePortRange": "*",
            "destinationPortRanges": ["53", "8000-8100"], "sourceAddressPrefix": "0.0.0.0/0", "destinationAddressPrefix": "*",
        }),
    );
    bench.azure.put_rule(
        &nsg,
        "out",
        json!({
            "protocol": "*", "access": "Allow", "direction": "Outbound", "priority": 100, "sourcePortRange": "*",
            "destinationPortRange": "*", "sourceAddressPrefix": "*", "destinationAddressPrefix": "*",
        }),
    );
    let page = surveyed(&bench).await;
    assert_eq!(
        lines(&page),
        [
            format!("203.0.113.0/24: port 5432/tcp open {vm} [the rule db of web-1-nsg]"),
            format!("Internet: port 22/tcp open {vm} [the rule ssh of web-1-nsg]"),
            format!("Internet: ports 53, 8000-8100 open {vm} [the rule many of web-1-nsg]"),
        ],
        "what a rule before it decides is not of the later one"
    );
    let ssh = page
        .standing
        .iter()
        .find(|one| one.right == "port 22/tcp open")
        .unwrap();
    assert_eq!(ssh.subject.kind, SubjectKind::Everybody);
    let offer = ssh.offer.as_ref().unwrap();
    assert_eq!(
        (&offer.resource, &offer.role),
        (&json!({"vms": [vm]}), &json!({"ports": [22]}))
    );
    let ranges = page
        .standing
        .iter()
        .find(|one| one.right.contains("8000-8100"))
        .unwrap();
    assert_eq!(ranges.offer, None, "policy knows no ranges");
    as_described(&bench);
}

#[tokio::test]
async fn a_rule_of_a_subnet_is_told_for_exactly_the_machines_that_it_opens() {
    let bench = tenant();
    let vm = |n: u8| {
        bench.azure.vm(
            &bench.subscription,
            "web",
            &format!("web-{n}"),
            &format!("10.0.0.{n}"),
        )
    };
    let vms = [vm(4), vm(5), vm(6)];
    let subnet = bench.azure.nsg(&bench.subscription, "web", "subnet-nsg");
    bench.azure.nsg_at_subnet(&bench.subscription, "web", &subnet);
    bench.azure.open_by_hand(&subnet, "ssh", 300, 22, "*");
    assert_eq!(
        lines(&surveyed(&bench).await),
        Vec::<String>::new(),
        "the groups at the interfaces keep it shut"
    );
    for vm in &vms[..2] {
        bench
            .azure
            .open_by_hand(&bench.azure.nsg_of(vm), "own", 300, 22, "*");
    }
    let page = surveyed(&bench).await;
    let by_subnet = page.standing.iter().find(|one| one.on == subnet).unwrap();
    assert_eq!(
        by_subnet.offer.as_ref().unwrap().resource,
        json!({"vms": vms[..2]})
    );
    assert_eq!(lines(&page).len(), 3, "{:?}", lines(&page));
    assert!(!lines(&page).iter().any(|line| line.contains("web-6")));
}

#[tokio::test]
async fn a_machine_without_a_group_of_rules_is_said_to_be_untold() {
    let bench = tenant();
    bench
        .azure
        .vm_without_nsg(&bench.subscription, "web", "bare", "10.0.0.9");
    let page = surveyed(&bench).await;
    assert_eq!(lines(&page), Vec::<String>::new());
    assert!(
        matches!(page.untold.as_slice(), [one] if one.ends_with("not told: 1")),
        "{:?}",
        page.untold
    );
}
