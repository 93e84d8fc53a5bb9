//! A kind of resource that connectors of another kind reach, as machines are reached by an account of a cloud.

use std::sync::Arc;

use daypass_core::id::GrantId;
use daypass_core::name::Name;
use daypass_policy::Source;
use daypass_providers::memory::Memory;
use daypass_providers::{ConfigProblem, Error, Kind, Provider, SecretUse, Secrets};
use serde_json::Value;

use crate::house::{House, POLICY};

/// The kind `memory-part`, which is reached by a connector of kind `memory`.
pub(crate) struct Below(pub(crate) &'static Memory);

impl Kind for Below {
    fn name(&self) -> &'static str {
        "memory-part"
    }

    fn connector(&self) -> &'static str {
        "memory"
    }

    fn check_connector(&self, config: &Value) -> Result<(), Vec<ConfigProblem>> {
        self.0.check_connector(config)
    }

    fn check_resource(&self, config: &Value) -> Result<(), Vec<ConfigProblem>> {
        self.0.check_resource(config)
    }

    fn check_role(&self, config: &Value) -> Result<(), Vec<ConfigProblem>> {
        self.0.check_role(config)
    }

    fn secrets(&self, config: &Value) -> Vec<SecretUse> {
        self.0.secrets(config)
    }

    fn target_key(&self, grant: GrantId, index: usize, resource: &Value, role: &Value) -> String {
        self.0.target_key(grant, index, resource, role)
    }

    fn connect(
        &self,
        connector: &Name,
        config: &Value,
        secrets: Arc<dyn Secrets>,
        installation: &str,
    ) -> Result<Arc<dyn Provider>, Error> {
        self.0.connect(connector, config, secrets, installation)
    }
}

fn found(house: &House, was: &str, is: &str) -> Vec<String> {
    let sources = [Source {
        name: "policy.yaml".into(),
        text: POLICY.replace(was, is),
    }];
    let found = house.engine.check_policy(&sources).unwrap().findings;
    found.into_iter().map(|one| one.message).collect()
}

#[tokio::test]
async fn what_is_reached_by_another_kind_is_given_and_ends_as_everything() {
    let mut house = House::new().await;
    house
        .under(&POLICY.replace("orders, kind: memory,", "orders, kind: memory-part,"))
        .await;
    let grant = house.granted(&["orders/read"]).await;
    assert_eq!(house.state(grant).await, "active");
    house.engine.release(house.caller("ana"), grant).await.unwrap();
    house.reconcile().await;
    assert_eq!(house.state(grant).await, "ended");
}

#[tokio::test]
async fn no_connector_is_of_a_kind_that_is_reached_by_another() {
    let house = House::new().await;
    assert!(found(&house, "", "").is_empty());
    let told = found(&house, "kind: memory,", "kind: memory-part,");
    assert_eq!(told.len(), 3, "the connector, and both resources on it: {told:?}");
    assert!(
        told[0].contains("there are no connectors of kind memory-part"),
        "{told:?}"
    );
    assert!(
        told[1..]
            .iter()
            .all(|one| one.contains("reached by a connector of kind memory;"))
    );
}
