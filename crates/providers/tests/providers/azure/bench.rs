//! A tenant with a subscription, people and machines in it, and a connector in front of it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use daypass_core::entitlement::Spec;
use daypass_core::time::{Span, Timestamp};
use daypass_providers::azure::{Azure as Connector, Cloud, Identity, Login};
use daypass_providers::{
    Credential, Error, Inspection, Kind, Notebook, Progress, Provider, Revealed, Secrets,
};
use daypass_testbed::azure::contract::Verdict;
use daypass_testbed::azure::{Azure, Certificate, Fault, Program, Proof, Struck, Times};
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::stand::{Ability, Stand, Use};

/// How many grants of the suite have somebody of their own.
const PEOPLE: u8 = 64;

/// Notes in memory.
#[derive(Default)]
pub(super) struct Notes(Mutex<BTreeMap<String, String>>);

#[async_trait]
impl Notebook for Notes {
    async fn notes(&self, prefix: &str) -> Result<BTreeMap<String, String>, Error> {
        let all = self.0.lock().unwrap();
        let ours = all.iter().filter(|(name, _)| name.starts_with(prefix));
        Ok(ours.map(|(name, text)| (name.clone(), text.clone())).collect())
    }

    async fn write(&self, name: &str, text: &str) -> Result<(), Error> {
        self.0.lock().unwrap().insert(name.to_owned(), text.to_owned());
        Ok(())
    }

    async fn strike(&self, name: &str) -> Result<(), Error> {
        self.0.lock().unwrap().remove(name);
        Ok(())
    }
}

/// What an operator's file says, in memory.
#[derive(Clone)]
pub(super) struct Operator {
    pub(super) identity: Identity,
    pub(super) notes: Option<Arc<Notes>>,
}

#[async_trait]
impl Secrets for Operator {
    async fn reveal(&self, _: &str, _: &str, _: u16) -> Result<Revealed, Error> {
        panic!("no secret of Azure's is revealed")
    }

    async fn replace(&self, _: &str, _: &SecretString) -> Result<(), Error> {
        panic!("nor replaced")
    }

    fn identity(&self, name: &str) -> Option<Identity> {
        (name == "azure").then(|| self.identity.clone())
    }

    fn identities(&self) -> Vec<String> {
        vec!["azure".to_owned()]
    }

    fn notebook(&self) -> Option<Arc<dyn Notebook>> {
        let notes = self.notes.clone()?;
        Some(notes)
    }
}

/// A tenant and all that is needed to call it.
pub(super) struct Bench {
    pub(super) azure: Azure,
    pub(super) us: Program,
    pub(super) subscription: String,
    pub(super) people: Vec<String>,
    pub(super) operator: Operator,
    pub(super) settings: Value,
    _folder: TempDir,
    down: Mutex<Option<Struck>>,
}

impl Bench {
    /// A tenant in which Daypass may do all that it needs.
    pub(super) fn new() -> Self {
        let bench = Self::bare();
        bench.azure.assign(&bench.us.object, "Owner", &bench.scope());
        bench
            .azure
            .consent(&bench.us.object, &["GroupMember.ReadWrite.All"]);
        bench
    }

    /// A tenant in which Daypass may do nothing.
    pub(super) fn bare() -> Self {
        let azure = Azure::start().unwrap();
        let shown = Certificate::make().unwrap();
        let us = azure.program("daypass", &Proof::Certificate(shown.clone()));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("daypass.pem");
        std::fs::write(&file, format!("{}{}", shown.certificate, shown.key)).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let identity = Identity {
            tenant: azure.tenant(),
            login: Login::Certificate {
                client_id: us.client.clone(),
                file,
            },
            cloud: Cloud::Public,
            authority: Some(azure.url()),
            arm: Some(azure.url()),
            graph: Some(azure.url()),
            ca_pem: Some(azure.ca_pem().to_owned()),
        };
        Self {
            subscription: azure.subscription("Production"),
            people: (0..PEOPLE)
                .map(|n| azure.user(&format!("p{n}@corp.example")))
                .collect(),
            settings: json!({"tenant": azure.tenant(), "identity": "azure"}),
            operator: Operator {
                identity,
                notes: Some(Arc::default()),
            },
            azure,
            us,
            _folder: folder,
            down: Mutex::new(None),
        }
    }

    pub(super) fn scope(&self) -> String {
        format!("/subscriptions/{}", self.subscription)
    }

    pub(super) fn connect(&self, installation: &str) -> Arc<dyn Provider> {
        let mut operator = self.operator.clone();
        if installation != "this" {
            operator.notes = Some(Arc::default());
        }
        Connector
            .connect(
                &"azure-main".parse().unwrap(),
                &self.settings,
                Arc::new(operator),
                installation,
            )
            .unwrap()
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.azure.now().as_microsecond())
    }

    pub(super) fn person(&self, grant: u8) -> String {
        self.people[usize::from(grant % PEOPLE)].clone()
    }

    pub(super) fn set_down(&self, down: bool) {
        let mut struck = self.down.lock().unwrap();
        if let Some(struck) = struck.take() {
            struck.lift();
        }
        if down {
            *struck = Some(self.azure.fail("*", "", Fault::Unavailable, Times::Always));
        }
    }
}

/// An address of a grant's own.
pub(super) fn address(grant: u8) -> IpAddr {
    format!("203.0.113.{grant}").parse().unwrap()
}

/// One kind of resource of a tenant, for the suite.
pub(super) struct One {
    pub(super) bench: Bench,
    pub(super) kind: &'static dyn Kind,
    pub(super) resource: Value,
    pub(super) role: Value,
    pub(super) hostile: Vec<(Value, Value)>,
    /// Makes by hand what a grant would give.
    pub(super) by_hand: fn(&One, u8),
    /// All that stands at the target.
    pub(super) dump: fn(&One) -> String,
}

impl One {
    /// The key and spec of a grant.
    pub(super) fn placed(&self, grant: u8) -> (String, Spec) {
        crate::stand::spec_of(self, grant, self.config(&[]))
    }

    pub(super) fn hour(&self) -> Timestamp {
        self.bench.now() + Span::hours(1)
    }
}

/// Provisions until it is through.
pub(super) async fn give(provider: &dyn Provider, key: &str, spec: &Spec, until: Timestamp) {
    let done = provider.provision(key, spec, "ana", until).await;
    assert_eq!(done, Ok(Progress::Done));
}

/// Whether an inspection shows that it is there.
pub(super) async fn is_there(provider: &dyn Provider, key: &str, spec: &Spec) -> bool {
    match provider.inspect(key, Some(spec)).await.unwrap() {
        Inspection::Present { .. } => true,
        Inspection::Absent { .. } => false,
        other => panic!("{other:?}"),
    }
}

#[async_trait]
impl Stand for One {
    fn kind(&self) -> &dyn Kind {
        self.kind
    }

    fn provider(&self) -> Arc<dyn Provider> {
        self.bench.connect("this")
    }

    fn other_installation(&self) -> Arc<dyn Provider> {
        self.bench.connect("other")
    }

    fn config(&self, _: &[Ability]) -> (Value, Value) {
        (self.resource.clone(), self.role.clone())
    }

    fn hostile(&self) -> Vec<(Value, Value)> {
        self.hostile.clone()
    }

    async fn now(&self) -> Timestamp {
        self.bench.now()
    }

    async fn open(&self, _: &Credential) -> Option<Box<dyn Use>> {
        None
    }

    async fn add_by_hand(&self, _key: &str) {
        // The suite's case of that name is its sixth.
        (self.by_hand)(self, 6);
    }

    async fn everything_else(&self) -> String {
        (self.dump)(self)
    }

    fn subject(&self, grant: u8) -> Option<String> {
        Some(self.bench.person(grant))
    }

    fn source(&self, grant: u8) -> Option<IpAddr> {
        Some(address(grant))
    }

    async fn down(&self) {
        self.bench.set_down(true);
    }

    async fn up(&self) {
        self.bench.set_down(false);
    }
}

/// Holds all that was asked and answered against Microsoft's own descriptions; says so where they are not at hand.
pub(super) fn as_described(bench: &Bench) {
    match bench.azure.check_contract().unwrap() {
        Verdict::NotTested(why) => println!("NOT TESTED: {why}"),
        Verdict::Tested { held, wrong, .. } => {
            assert!(held > 0 && wrong.is_empty(), "{wrong:#?}");
        }
    }
}
